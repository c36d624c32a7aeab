"""The paper's own claims, tested: the ticket against every dense network, paired by seed.

Two networks of one seed share the data's order but not their initial values, so a pair is worth little more
than two runs; it is still the comparison that needs no assumption about the losses' distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.report.statistics import (
    ENOUGH_SEEDS,
    Interval,
    Summary,
    bootstrap,
    summarise,
    wilcoxon,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table1 import Table

HIGH_PERFORMERS = "High performers"


@dataclass(frozen=True, slots=True)
class Paired:
    """Final validation loss of the ticket minus another network's, over the seeds that have both.

    `interval` is the mean difference's 95 % bootstrap interval, `p` of Wilcoxon's signed-rank test,
    `lower` counts the seeds whose ticket has the lower loss, `others` are the hidden sizes of the networks compared
    with: one, or all whose mean it is.
    """

    label: str
    difference: Summary
    interval: Interval
    p: float
    lower: int
    others: tuple[tuple[int, ...], ...]

    @property
    def enough(self) -> bool:
        """Whether there are seeds enough for a claim."""
        return self.difference.n >= ENOUGH_SEEDS

    @property
    def direction(self) -> int:
        """−1 if the ticket's loss is shown to be lower, 1 if higher, 0 if neither: interval and test agree."""
        if not self.enough or not self.p < 0.05:  # noqa: PLR2004 - the interval's level
            return 0
        return -1 if self.interval.high < 0 else 1 if self.interval.low > 0 else 0


def paired(evaluation: Evaluation, table: Table) -> tuple[Paired, ...]:
    """The ticket against each dense network in the table's order, last against the high performers' mean."""
    dense = {
        row.label: {r.seed: r.final_val_loss for r in evaluation.finished("hyperop", row.hidden)}
        for row in table.rows
        if row.kind == "hyperop"
    }
    sizes: dict[str, tuple[tuple[int, ...], ...]] = {
        row.label: (row.hidden,) for row in table.rows if row.kind == "hyperop"
    }
    group = [row for row in table.rows if row.category == "High performer"]
    high = [dense[row.label] for row in group]
    # A seed counts if it has every network of the group: means over different networks are no pair.
    seeds = set[int].intersection(*(set(losses) for losses in high)) if high else set()
    dense[HIGH_PERFORMERS] = {s: summarise(losses[s] for losses in high).mean for s in sorted(seeds)}
    sizes[HIGH_PERFORMERS] = tuple(row.hidden for row in group)
    ticket = {r.seed: r.final_val_loss for r in evaluation.finished("ticket")}
    return tuple(_paired(label, sizes[label], ticket, losses) for label, losses in dense.items())


def _paired(
    label: str, others: tuple[tuple[int, ...], ...], ticket: Mapping[int, float], other: Mapping[int, float]
) -> Paired:
    differences = [ticket[seed] - other[seed] for seed in sorted(ticket.keys() & other.keys())]
    return Paired(
        label,
        summarise(differences),
        bootstrap(differences),
        wilcoxon(differences),
        sum(d < 0 for d in differences),
        others,
    )

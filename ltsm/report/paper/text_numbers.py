"""The numbers of the paper's text (sections 3.3 to 3.5), measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.report.paper import published
from ltsm.report.paper.table_1 import BASELINE, INITIAL
from ltsm.report.statistics import Summary, summarise
from ltsm.report.words import mean_and_spread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table import Row, Table


@dataclass(frozen=True, slots=True)
class TextNumber:
    """One number of the text: its name in `published.json`, what it is, our values and the published one."""

    name: str
    title: str
    values: tuple[float, ...]
    theirs: Summary
    digits: int = 1
    unit: str = ""

    @property
    def ours(self) -> Summary:
        """Our values' mean and spread."""
        return summarise(self.values)

    @property
    def text(self) -> str:
        """Ours with the published number of digits."""
        return mean_and_spread(self.ours, self.digits, self.unit)

    @property
    def published(self) -> str:
        """As the paper prints it."""
        return mean_and_spread(self.theirs, self.digits, self.unit)


def text_numbers(evaluation: Evaluation, table: Table) -> tuple[TextNumber, ...]:
    """Every number with a mean and a spread, in the text's order. Needs the evaluation's records."""
    chosen = [mask for mask in evaluation.masks if mask.selected]
    high = [r.final_val_loss for row in _high_performers(table) for r in evaluation.finished(row.group)]
    return (
        _number("validation_accuracy_before_training", "Accuracy before training", _first(evaluation), 3),
        _number(
            "baseline_validation_accuracy_after_training",
            "Baseline's accuracy after training",
            (r.final_val_accuracy for r in evaluation.finished(BASELINE)),
            3,
        ),
        _size_at(evaluation, 0.0, "relative_size_percent_at_threshold_0"),
        _size_at(evaluation, 0.2, "relative_size_percent_at_threshold_0.2"),
        _number("selected_threshold", "Selected threshold", (m.amount for m in chosen), 3),
        _percent(
            "supermask_relative_size_percent", "Supermask's relative size", (m.relative_size for m in chosen)
        ),
        _percent(
            "supermask_validation_accuracy_percent",
            "Supermask's accuracy, untrained",
            (m.val_accuracy for m in chosen),
        ),
        _number(
            "high_performers_final_validation_loss",
            "High performers' final validation loss, over all their runs",
            high,
            3,
            n=published.seeds() * sum(r.category == "High performer" for r in published.table_1().values()),
        ),
    )


def _high_performers(table: Table) -> list[Row]:
    """The networks that are high performers in the paper, if they are ours: like is compared with like."""
    paper = published.table_1()
    theirs = [
        row for row in table.rows if row.label in paper and paper[row.label].category == "High performer"
    ]
    return theirs or [row for row in table.rows if row.category == "High performer"]


def _first(evaluation: Evaluation) -> Iterable[float]:
    """The accuracy at iteration 0 of every seed's initial training."""
    for run in evaluation.runs:
        records = evaluation.records.get(run.id, [])
        if run.recipe in INITIAL.recipes and records and records[0].iteration == 0:
            yield records[0].val_accuracy


def _size_at(evaluation: Evaluation, threshold: float, name: str) -> TextNumber:
    sizes = [m.relative_size for m in evaluation.masks if abs(m.amount - threshold) < 1e-9]  # noqa: PLR2004 - equal
    return _percent(name, f"Relative size at t = {threshold:g}", sizes)


def _percent(name: str, title: str, shares: Iterable[float]) -> TextNumber:
    return _number(name, title, (100 * share for share in shares), 1, unit="%")


def _number(
    name: str, title: str, values: Iterable[float], digits: int, *, unit: str = "", n: int | None = None
) -> TextNumber:
    return TextNumber(name, title, tuple(values), published.text_summary(name, n), digits, unit)

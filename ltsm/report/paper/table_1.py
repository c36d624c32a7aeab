"""Table 1 as values: rows, order and number format as in the paper; its groups computed instead of gauged by eye."""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from ltsm.report import table as general
from ltsm.report.paper import published
from ltsm.report.table import FINAL_LOSS, ITERATION, MINIMAL_LOSS, SIZE, Row, Table, summary
from ltsm.report.words import seeds_text
from ltsm.studies import paper
from ltsm.studies.names import title
from ltsm.studies.study import Group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ltsm.report.evaluation import Evaluation

COLUMNS = (SIZE, FINAL_LOSS, MINIMAL_LOSS, ITERATION)
INITIAL, BASELINE, TICKET = (Group(name, (name,)) for name in (paper.INITIAL, paper.BASELINE, paper.TICKET))
LOTTERY_TICKET = "Lottery ticket"
Category = Literal["High performer", "Medium performer", "Low performer"]
CATEGORIES: tuple[Category, ...] = ("High performer", "Medium performer", "Low performer")
_OF: dict[int, tuple[Category, ...]] = {1: CATEGORIES[:1], 2: CATEGORIES[::2], 3: CATEGORIES}


def table_1(evaluation: Evaluation) -> Table:
    """The table of everything that is finished."""
    losses = {hidden(evaluation, g): summary(evaluation, g, FINAL_LOSS).mean for g in dense(evaluation)}
    category = groups({sizes: loss for sizes, loss in losses.items() if math.isfinite(loss)})
    rows = [_row(evaluation, TICKET, LOTTERY_TICKET)]
    rows += [_row(evaluation, group, category.get(hidden(evaluation, group))) for group in dense(evaluation)]
    rows.sort(key=lambda row: _place(evaluation, row))
    return Table(
        title="Table 1",
        columns=COLUMNS,
        rows=tuple(rows),
        seeds=len(evaluation.seeds),
        caption=_caption(evaluation, rows),
        notes=tuple(_notes(evaluation, rows)),
    )


def dense(evaluation: Evaluation) -> list[Group]:
    """The dense networks, one a group."""
    return [group for group in evaluation.study.groups if group != TICKET]


def hidden(evaluation: Evaluation, group: Group) -> tuple[int, ...]:
    """The hidden layers of a group's network."""
    return evaluation.study.recipes[group.recipes[0]].hidden


def label(evaluation: Evaluation, group: Group) -> str:
    """A network as Table 1 calls it: `Hyperop (200, 30) [baseline]`."""
    if group == TICKET:
        return LOTTERY_TICKET
    return title(group.label) + " [baseline]" * is_baseline(evaluation, group)


def is_baseline(evaluation: Evaluation, group: Group) -> bool:
    """Whether it is the dense network with the baseline's layers."""
    return group != TICKET and hidden(evaluation, group) == evaluation.protocol.hidden


def _row(evaluation: Evaluation, group: Group, category: str | None) -> Row:
    name = label(evaluation, group)
    theirs = published.table_1().get(name) if published.comparable(evaluation.protocol) else None
    return general.row(evaluation, group, COLUMNS, name, category, theirs.cells if theirs else None)


def _place(evaluation: Evaluation, row: Row) -> tuple[int, int, bool, tuple[int, ...]]:
    """The paper's order: the ticket, then group by group; what the paper does not have comes last in its group."""
    order = (LOTTERY_TICKET, *CATEGORIES, None)
    known = list(published.table_1())
    place = known.index(row.label) if row.label in known else len(known)
    return (
        order.index(row.category),
        place,
        not is_baseline(evaluation, row.group),
        hidden(evaluation, row.group),
    )


def _caption(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    p = evaluation.protocol
    letters = ", ".join("abcdefghijklmnopqrstuvwxyz"[: len(p.hidden)]) if len(p.hidden) <= len("abc") else "…"
    sentences = [
        "Comparison of performance and size between the lottery tickets and the hyperoptimized networks.",
        f"“Hyperop ({letters})” is a dense network with hidden layers of these sizes.",
        f"All networks were trained for {p.iterations} iterations.",
    ]
    return " ".join([*sentences, *general.sample(evaluation, rows)])


def _notes(evaluation: Evaluation, rows: Sequence[Row]) -> list[str]:
    notes = list(general.notes(evaluation, rows))
    if seeds := [r.seed for r in evaluation.ended(INITIAL) if r.minimal_iteration == 0]:
        notes.append(
            f"Initial training never improved on the untrained network for {seeds_text(seeds)}: the masks follow the initial weights alone."
        )
    if other := published.other_settings(evaluation.protocol):
        notes.append(f"The protocol is not the paper's in: {', '.join(other)}.")
    return notes


def of_category(table: Table, category: str) -> Group:
    """The networks of one kind as one group."""
    return Group(
        category, tuple(name for row in table.rows if row.category == category for name in row.group.recipes)
    )


def groups(losses: Mapping[tuple[int, ...], float]) -> dict[tuple[int, ...], Category]:
    """Hidden sizes → group, from each network's mean final loss.

    The best least-squares split of the sorted losses into three runs of neighbours (Figures 5 and 6);
    two networks are one high and one low performer, a single one is a high performer.
    """
    ordered = sorted(losses, key=lambda hidden: (losses[hidden], hidden))
    names = _OF[min(3, len(ordered))] if ordered else ()
    cuts = best_cuts([losses[hidden] for hidden in ordered], len(names))
    return {
        hidden: name
        for name, (start, end) in zip(names, pairwise(cuts), strict=True)
        for hidden in ordered[start:end]
    }


def best_cuts(ordered: Sequence[float], parts: int) -> tuple[int, ...]:
    """Where to cut sorted values into so many non-empty runs with the least squared distance from their means.

    Both ends included: `(0, 5, 8, 10)` are three runs. The earliest cuts on a tie; `(0,)` for no parts.
    """
    if not parts:
        return (0,)
    values = np.asarray(ordered, dtype=float)
    ways = ((0, *cuts, len(values)) for cuts in combinations(range(1, len(values)), parts - 1))
    return min(ways, key=lambda cuts: sum(_squares(values[a:b]) for a, b in pairwise(cuts)))


def _squares(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 2).sum())

"""Figures 6 and 7: how large the networks are, and what size buys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ltsm.report.evaluation import dataset_title
from ltsm.report.figures.curves import STYLES
from ltsm.report.figures.values import Axis, Bars, Figure, Panel, Points, limits
from ltsm.report.groups import CATEGORIES
from ltsm.report.statistics import summarise
from ltsm.report.words import left_out, over_seeds

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer
    from ltsm.report.table1 import Row, Table
    from ltsm.store.values import ResultRow

SIZE = "Relative size (%)"
NAME_WIDTH = 15.0
"""How much of the size's axis a name beside a marker takes, in per cent."""
NOTHING = "No ticket and no hyperop is finished yet."


def relative_sizes(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 6: the ticket and the three groups."""
    found = {
        category: summarise(
            100 * r.relative_size
            for row in table.rows
            if row.category == category
            for r in evaluation.finished(row.kind, row.hidden)
        )
        for category in ("Lottery ticket", *CATEGORIES)
    }
    found = {category: size for category, size in found.items() if size.n}
    names = tuple(f"{category}s\n(n = {size.n})".replace(" ", "\n", 1) for category, size in found.items())
    means, errors = tuple(s.mean for s in found.values()), tuple(s.sd for s in found.values())
    top = max((m + (e if math.isfinite(e) else 0) for m, e in zip(means, errors, strict=True)), default=100.0)
    bars = Bars(means, errors, tuple(STYLES[category] for category in found))
    panel = Panel(
        Axis("", -0.5, len(found) - 0.5 if found else 0.5, names),
        Axis(SIZE, 0.0, max(1.05 * top, 100.0)),
        (bars,) if found else (),
        missing=NOTHING,
    )
    caption = (
        "The relative network sizes of the lottery tickets and of the three groups of hyperoptimized networks: "
        f"mean ± standard deviation over the n runs of each; {_about(evaluation)}"
        f"{left_out(evaluation, 'ticket', 'hyperop')}"
    )
    return Figure(6, "Relative sizes of lottery tickets and hyperops", caption, (panel,))


def trade_off(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 7: final loss against relative size, every run and every network's mean."""
    rows = [(row, evaluation.finished(row.kind, row.hidden)) for row in table.rows]
    rows = [(row, results) for row, results in rows if results]
    small = [_runs(row, results) for row, results in rows]
    categories: set[str | None] = set()
    large: list[Layer] = []
    for row, _ in rows:
        label = "" if row.category in categories else f"{row.category}s"
        large.append(_mean(row, label, below=_crowded(row, [other for other, _ in rows])))
        categories.add(row.category)
    losses = tuple(r.final_val_loss for _, results in rows for r in results)
    sizes = tuple(100 * r.relative_size for _, results in rows for r in results)
    panel = Panel(
        Axis(SIZE, 0.0, max(1.1 * max(sizes, default=0), 112.0)),
        Axis("Final validation loss", *limits(losses)),
        (*small, *large),
        missing=NOTHING,
    )
    caption = (
        "Final validation loss against relative size: each small marker is one run, each large one a network's mean "
        f"with the standard deviations of both; {_about(evaluation)} Down and to the left is better."
        f"{left_out(evaluation, 'ticket', 'hyperop')}"
    )
    return Figure(7, "Loss and size of every network", caption, (panel,))


def _runs(row: Row, results: list[ResultRow]) -> Points:
    x = tuple(100 * r.relative_size for r in results)
    y = tuple(r.final_val_loss for r in results)
    return Points(x, y, STYLES[row.category or "Low performer"], small=True)


def _crowded(row: Row, rows: list[Row]) -> bool:
    """Whether another network's mean lies so close above this one's that their names would overlap."""
    size, loss = row.cells[0].ours.mean, row.cells[1].ours.mean
    span = max(r.cells[1].ours.mean for r in rows) - min(r.cells[1].ours.mean for r in rows)
    return any(
        abs(other.cells[0].ours.mean - size) < NAME_WIDTH and 0 < other.cells[1].ours.mean - loss < span / 16
        for other in rows
    )


def _mean(row: Row, label: str, *, below: bool) -> Points:
    size, loss = row.cells[0].ours, row.cells[1].ours
    name = "ticket" if row.kind == "ticket" else f"({', '.join(map(str, row.hidden))})"
    return Points(
        (size.mean,),
        (loss.mean,),
        STYLES[row.category or "Low performer"],
        label,
        x_error=(size.sd,) if math.isfinite(size.sd) else (),
        y_error=(loss.sd,) if math.isfinite(loss.sd) else (),
        names=(name,),
        below=below,
    )


def _about(evaluation: Evaluation) -> str:
    return f"{over_seeds(len(evaluation.seeds), len(evaluation.seeds))}, data: {dataset_title(evaluation.protocol)}."

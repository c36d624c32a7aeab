"""The figures of any study: its groups beside each other, and its masks."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, get_args

from ltsm.report.figures.curves import (
    bars_panel,
    curve_band,
    curves_panel,
    highest,
    layers,
    mask_band,
    mean_point,
)
from ltsm.report.figures.values import Axis, Curve, Figure, Panel, Points, Style, limits
from ltsm.report.figures.values import Band as Area
from ltsm.report.table import FINAL_LOSS, UNTRAINED_ACCURACY, summary
from ltsm.report.words import averaged, left_out, nothing_yet, over_all
from ltsm.studies.names import title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer
    from ltsm.report.statistics import Summary
    from ltsm.report.table import Row, Table
    from ltsm.store.values import MaskRow

STYLES: tuple[Style, ...] = get_args(Style)[4:]
"""The styles that mean nothing by themselves, in the order in which groups take them."""
AMOUNTS = {"threshold": "Threshold", "fraction": "Fraction kept"}


def curves(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 1: how each group trains."""
    measure = table.measure
    found = ((curve_band(evaluation, row.group, measure), s, table.label(row)) for row, s in styled(table))
    panel, beyond = curves_panel(found, _nothing(evaluation), measure)
    every = evaluation.protocol.record_every
    caption = f"The {measure.what} during training, every {every} iterations: {_about(evaluation)} {beyond}"
    return Figure(1, f"{measure.label} during training", caption.strip() + _left_out(evaluation), (panel,))


def untrained(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 2: what each group can do before any training."""
    found = [(row.label.replace(" ", "\n"), s, _untrained(evaluation, row)) for row, s in styled(table)]
    found = [(name, style, accuracy) for name, style, accuracy in found if accuracy.n]
    top = 1.08 * max(highest((accuracy for *_, accuracy in found), 1.0), 1.0)
    y = Axis("Untrained validation accuracy (%)", 0.0, top)
    panel = bars_panel(found, y, _nothing(evaluation), evaluation.classes)
    caption = f"The validation accuracy of each network before its training: {_about(evaluation)}"
    return Figure(2, "Accuracy without training", caption + _left_out(evaluation), (panel,))


def start_and_end(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 3: is what is good untrained also good in the end?"""
    drawn: list[Layer] = []
    means: list[Layer] = []
    for row, style in styled(table):
        results = [
            r
            for r in evaluation.finished(row.group)
            if math.isfinite(r.final_val_loss + r.untrained_val_accuracy)
        ]
        if results:
            x, y = UNTRAINED_ACCURACY.values(results), FINAL_LOSS.values(results)
            drawn.append(Points(tuple(x), tuple(y), style, small=True))
            mean = _untrained(evaluation, row), summary(evaluation, row.group, FINAL_LOSS)
            means.append(mean_point(*mean, style, table.label(row)))
    points = [layer for layer in drawn if isinstance(layer, Points)]
    panel = Panel(
        Axis("Untrained validation accuracy (%)", *limits(tuple(v for p in points for v in p.x))),
        Axis("Final validation loss", *limits(tuple(v for p in points for v in p.y))),
        (*drawn, *means),
        missing=_nothing(evaluation),
    )
    caption = (
        "Final validation loss against the accuracy before training: each small marker is one run, each large one a "
        f"group's mean with the standard deviations of both; {_about(evaluation)}"
    )
    return Figure(3, "Final loss and accuracy without training", caption + _left_out(evaluation), (panel,))


def amounts(evaluation: Evaluation, _table: Table) -> Figure | None:
    """Figure 4: size and accuracy of the untrained masked networks by how much is kept; none without several amounts."""
    found = searches(evaluation)
    if not found:
        return None
    panels = tuple(
        panel
        for by in dict.fromkeys(masks[0].amount_by for masks in found.values())
        for panel in _amount_panels({n: m for n, m in found.items() if m[0].amount_by == by}, by)
    )
    n = len({mask.seed for masks in found.values() for mask in masks})
    caption = (
        f"Size and accuracy of the untrained masked networks by how much is kept: {averaged(evaluation, n)} "
        "Each marker is the mask that was chosen for one seed."
    )
    return Figure(4, "Masks by amount", caption, panels)


FIGURES = {1: curves, 2: untrained, 3: start_and_end, 4: amounts}


def searches(evaluation: Evaluation) -> dict[str, list[MaskRow]]:
    """The masks of each recipe whose runs try several amounts, by amount and seed."""
    recipe = {run.id: run.recipe for run in evaluation.runs}
    tried = Counter(mask.run_id for mask in evaluation.masks)
    found: dict[str, list[MaskRow]] = defaultdict(list)
    for mask in evaluation.masks:
        if tried[mask.run_id] > 1:
            found[recipe[mask.run_id]].append(mask)
    return found


def _amount_panels(found: Mapping[str, list[MaskRow]], by: str) -> list[Panel]:
    """Size, and accuracy, of one kind of amount."""
    sizes: list[Layer] = []
    accuracies: list[Layer] = []
    for i, (name, masks) in enumerate(found.items()):
        style, chosen = STYLES[i % len(STYLES)], [m for m in masks if m.selected]
        sizes += layers(mask_band(masks, lambda m: 100 * m.relative_size), style, title(name), floor=0)
        accuracies += layers(mask_band(masks, lambda m: 100 * m.val_accuracy), style, title(name), floor=0)
        at, best = tuple(m.amount for m in chosen), tuple(100 * m.val_accuracy for m in chosen)
        accuracies.append(Points(at, best, style, "chosen" if not i else "", small=True))
    x = Axis(
        AMOUNTS.get(by, title(by)), *limits(tuple(m.amount for masks in found.values() for m in masks), 0)
    )
    return [_panel_of(x, "Relative size (%)", sizes), _panel_of(x, "Validation accuracy (%)", accuracies)]


def _panel_of(x: Axis, label: str, drawn: list[Layer]) -> Panel:
    areas = [v for layer in drawn if isinstance(layer, Area) for v in layer.high]
    lines = [v for layer in drawn if isinstance(layer, Curve | Points) for v in layer.y]
    return Panel(x, Axis(label, 0.0, limits((0.0, *areas, *lines))[1]), tuple(drawn))


def styled(table: Table) -> list[tuple[Row, Style]]:
    """Each row with how it looks."""
    return [(row, STYLES[i % len(STYLES)]) for i, row in enumerate(table.rows)]


def _untrained(evaluation: Evaluation, row: Row) -> Summary:
    return summary(evaluation, row.group, UNTRAINED_ACCURACY)


def _about(evaluation: Evaluation) -> str:
    return f"mean ± standard deviation {over_all(evaluation)}"


def _nothing(evaluation: Evaluation) -> str:
    return nothing_yet(evaluation, f"run of the study {evaluation.study.name}", *evaluation.study.groups)


def _left_out(evaluation: Evaluation) -> str:
    return left_out(evaluation, *evaluation.study.groups)

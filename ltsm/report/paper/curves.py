"""Figures 1, 2 and 5: validation losses during training, or accuracies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.report.evaluation import dataset_title
from ltsm.report.figures.curves import curve_band, curve_panel, curves_panel, layers
from ltsm.report.figures.values import Curve, Figure, Points
from ltsm.report.paper.table_1 import BASELINE, CATEGORIES, INITIAL, LOTTERY_TICKET, of_category
from ltsm.report.words import averaged, left_out, nothing_yet, over_seeds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ltsm.report import bands
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer, Style
    from ltsm.report.table import Table
    from ltsm.studies.study import Group

STYLES: dict[str, Style] = {
    LOTTERY_TICKET: "ticket",
    "High performer": "high",
    "Medium performer": "medium",
    "Low performer": "low",
}


def initial_training(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 1: overfitting."""
    n, measure = len(evaluation.finished(INITIAL)), table.measure
    found = curve_band(evaluation, INITIAL, measure)
    drawn = layers(found, "first", "mean", "± standard deviation") if n else []
    panel, beyond = curve_panel([found], drawn, nothing_yet(evaluation, "initial training", INITIAL), measure)
    caption = (
        f"The {measure.what} during the initial training without early stopping, "
        f"every {evaluation.protocol.record_every} iterations, {averaged(evaluation, n)} {beyond}"
    )
    return Figure(1, f"{measure.label} during initial training", caption.strip(), (panel,))


def retraining(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 2: early stopping; each run ends at an iteration of its own."""
    results, measure = evaluation.finished(BASELINE), table.measure
    found = curve_band(evaluation, BASELINE, measure)
    drawn: list[Layer] = []
    alone = ""
    if results:
        all_left = int((found.n == len(results)).sum())
        drawn = _until(found, all_left)
        lasts = sorted(evaluation.records[r.run_id][-1] for r in results if r.run_id in evaluation.records)
        x = tuple(float(m.iteration) for m in lasts)
        y = tuple(measure.scale * float(getattr(m, measure.record)) for m in lasts)
        drawn.append(Points(x, y, "third", "where each seed stopped", small=True))
        if all_left < len(found.x):
            alone = (
                f"After iteration {found.x[all_left - 1]:.0f} the mean (dashed) is taken over the seeds that are "
                "still training, fewer and fewer. "
            )
    panel, beyond = curve_panel([found], drawn, nothing_yet(evaluation, "retraining", BASELINE), measure)
    caption = (
        f"The {measure.what} during the retraining, which stops for each seed at the iteration of the initial "
        f"training's minimal validation loss, {averaged(evaluation, len(results))} {alone}{beyond}"
    )
    return Figure(2, f"{measure.label} during retraining with early stopping", caption.strip(), (panel,))


def tickets_and_hyperops(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 5: the ticket and the three groups of dense networks."""
    groups, measure = evaluation.study.groups, table.measure
    found = (
        (curve_band(evaluation, group, measure), STYLES[of], f"{of}s (n = {len(evaluation.whole(group))})")
        for of, group in categories(table)
    )
    panel, beyond = curves_panel(found, nothing_yet(evaluation, "ticket or hyperop", *groups), measure)
    caption = (
        f"The {measure.what} of lottery tickets and hyperoptimized networks, every "
        f"{evaluation.protocol.record_every} iterations: for each seed the mean over a group's networks, then mean ± "
        f"standard deviation over the n seeds that have them all; "
        f"{over_seeds(len(evaluation.seeds), len(evaluation.seeds))}, data: {dataset_title(evaluation.protocol)}. "
        f"The groups are the best least-squares split of the networks' mean final losses. {beyond}"
    )
    caption = caption.strip() + left_out(evaluation, *groups)
    return Figure(5, f"{measure.label} of lottery tickets and hyperops", caption, (panel,))


def categories(table: Table) -> Iterator[tuple[str, Group]]:
    """The ticket and the three groups of dense networks."""
    for category in (LOTTERY_TICKET, *CATEGORIES):
        yield category, of_category(table, category)


def _until(found: bands.Band, all_left: int) -> list[Layer]:
    """Solid while every run is there, dashed from then on."""
    *band, line = layers(found, "first", "mean", "± standard deviation")
    assert isinstance(line, Curve)  # noqa: S101 - as `layers` says
    tail = max(all_left - 1, 0)
    drawn: list[Layer] = [*band, Curve(line.x[:all_left], line.y[:all_left], "first", "mean of all seeds")]
    if all_left < len(line.x):
        rest = Curve(line.x[tail:], line.y[tail:], "first", "mean of the seeds left", dashed=True)
        drawn.append(rest)
    return drawn

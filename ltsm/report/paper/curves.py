"""Figures 1, 2 and 5: validation losses during training."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.report.evaluation import dataset_title
from ltsm.report.figures.values import Axis, Band, Curve, Figure, Numbers, Panel, Points, Style, limits
from ltsm.report.paper.groups import CATEGORIES
from ltsm.report.statistics import summarise
from ltsm.report.words import left_out, nothing_yet, over_seeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer
    from ltsm.report.paper.table_1 import Table

LOSS = "Validation loss"
ITERATION = "Iteration"
STYLES: dict[str, Style] = {
    "Lottery ticket": "ticket",
    "High performer": "high",
    "Medium performer": "medium",
    "Low performer": "low",
}


@dataclass(frozen=True, slots=True)
class MeanCurve:
    """Mean and deviation at each iteration, over the `counts` runs that have a finite loss there."""

    x: Numbers
    mean: Numbers
    sd: Numbers
    counts: tuple[int, ...]

    def layers(self, style: Style, label: str, band: str = "") -> list[Layer]:
        """The mean, on the band of one deviation to each side; no band where no deviation is."""
        if not any(s > 0 for s in self.sd):
            return [Curve(self.x, self.mean, style, label)]
        low = tuple(m - s if math.isfinite(s) else m for m, s in zip(self.mean, self.sd, strict=True))
        high = tuple(m + s if math.isfinite(s) else m for m, s in zip(self.mean, self.sd, strict=True))
        return [Band(self.x, low, high, style, band), Curve(self.x, self.mean, style, label)]


def mean_curve(evaluation: Evaluation, run_ids: Iterable[int]) -> MeanCurve:
    """The mean validation loss of these runs."""
    losses: dict[int, list[float]] = defaultdict(list)
    for run_id in run_ids:
        for record in evaluation.records.get(run_id, ()):
            if math.isfinite(record.val_loss):
                losses[record.iteration].append(record.val_loss)
    at = sorted(losses)
    found = [summarise(losses[i]) for i in at]
    return MeanCurve(
        tuple(map(float, at)),
        tuple(s.mean for s in found),
        tuple(s.sd for s in found),
        tuple(s.n for s in found),
    )


def initial_training(evaluation: Evaluation, _table: Table) -> Figure:
    """Figure 1: overfitting."""
    results = evaluation.finished("initial")
    curve = mean_curve(evaluation, (r.run_id for r in results))
    layers = curve.layers("first", "mean", "± standard deviation") if results else []
    panel, above = _panel([curve], layers, nothing_yet(evaluation, "initial training", "initial"))
    caption = (
        f"The validation loss during the initial training without early stopping, "
        f"every {evaluation.protocol.record_every} iterations, {_about(evaluation, len(results))} {above}"
    )
    return Figure(1, "Validation loss during initial training", caption.strip(), (panel,))


def retraining(evaluation: Evaluation, _table: Table) -> Figure:
    """Figure 2: early stopping; each run ends at an iteration of its own."""
    results = evaluation.finished("baseline")
    curve = mean_curve(evaluation, (r.run_id for r in results))
    layers: list[Layer] = []
    alone = ""
    if results:
        all_left = sum(n == len(results) for n in curve.counts)
        layers = _until(curve, all_left)
        lasts = sorted(evaluation.records[r.run_id][-1] for r in results if r.run_id in evaluation.records)
        x, y = tuple(float(m.iteration) for m in lasts), tuple(m.val_loss for m in lasts)
        layers.append(Points(x, y, "third", "where each seed stopped", small=True))
        if all_left < len(curve.x):
            alone = (
                f"After iteration {curve.x[all_left - 1]:.0f} the mean (dashed) is taken over the seeds that are "
                "still training, fewer and fewer. "
            )
    panel, above = _panel([curve], layers, nothing_yet(evaluation, "retraining", "baseline"))
    caption = (
        f"The validation loss during the retraining, which stops for each seed at the iteration of the initial "
        f"training's minimal validation loss, {_about(evaluation, len(results))} {alone}{above}"
    )
    return Figure(2, "Validation loss during retraining with early stopping", caption.strip(), (panel,))


def tickets_and_hyperops(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 5: the ticket and the three groups of dense networks."""
    layers: list[Layer] = []
    curves = []
    for category in ("Lottery ticket", *CATEGORIES):
        ids = runs_of(evaluation, table, category)
        curve = mean_curve(evaluation, ids)
        if ids:
            curves.append(curve)
            layers += curve.layers(STYLES[category], f"{category}s (n = {len(ids)})")
    layers.sort(key=lambda layer: not isinstance(layer, Band))
    panel, above = _panel(curves, layers, nothing_yet(evaluation, "ticket or hyperop", "ticket", "hyperop"))
    caption = (
        f"The validation loss of lottery tickets and hyperoptimized networks, every "
        f"{evaluation.protocol.record_every} iterations: mean ± standard deviation over the n runs of each group; "
        f"{over_seeds(len(evaluation.seeds), len(evaluation.seeds))}, data: {dataset_title(evaluation.protocol)}. "
        f"The groups are the best least-squares split of the networks' mean final losses. {above}"
    )
    caption += left_out(evaluation, "ticket", "hyperop")
    return Figure(5, "Validation loss of lottery tickets and hyperops", caption.strip(), (panel,))


def runs_of(evaluation: Evaluation, table: Table, category: str) -> list[int]:
    """The finished runs of the ticket or of a group."""
    return [
        result.run_id
        for row in table.rows
        if row.category == category
        for result in evaluation.finished(row.kind, row.hidden)
    ]


def _until(curve: MeanCurve, all_left: int) -> list[Layer]:
    """Solid while every run is there, dashed from then on."""
    *band, line = curve.layers("first", "mean", "± standard deviation")
    assert isinstance(line, Curve)  # noqa: S101 - as MeanCurve.layers says
    tail = max(all_left - 1, 0)
    layers: list[Layer] = [*band, Curve(line.x[:all_left], line.y[:all_left], "first", "mean of all seeds")]
    if all_left < len(line.x):
        rest = Curve(line.x[tail:], line.y[tail:], "first", "mean of the seeds left", dashed=True)
        layers.append(rest)
    return layers


def _panel(curves: Sequence[MeanCurve], layers: list[Layer], missing: str) -> tuple[Panel, str]:
    """The panel, cut above where the start of the training would press all the rest flat."""
    end = max((c.x[-1] for c in curves if c.x), default=0.0)
    low, high = limits(tuple(v for c in curves for v in _seen(c, end)))
    top = max((m for c in curves for m in c.mean), default=0.0)
    above = f"The first records, up to {top:.2f}, lie above the picture." if top > high else ""
    # Where every best iteration was 0 there is only the record at 0, and an axis needs a length.
    panel = Panel(
        Axis(ITERATION, 0.0, 1.01 * end or 1.0),
        Axis(LOSS, max(low, 0.0), high),
        tuple(layers),
        missing=missing,
    )
    return panel, above


def _seen(curve: MeanCurve, end: float) -> Iterator[float]:
    """What has to be in the picture: means from a fifth of the training on, deviations from a half on."""
    for x, mean, sd in zip(curve.x, curve.mean, curve.sd, strict=True):
        if x >= end / 5:
            yield mean
        if x >= end / 2 and math.isfinite(sd):
            yield mean - sd
            yield mean + sd


def _about(evaluation: Evaluation, n: int) -> str:
    return f"mean ± standard deviation {over_seeds(n, len(evaluation.seeds))}; data: {dataset_title(evaluation.protocol)}."

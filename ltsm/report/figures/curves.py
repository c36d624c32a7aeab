"""Mean curves with their bands, over seeds: what figures of every study are made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ltsm.report.bands import band
from ltsm.report.figures.values import Axis, Bars, Curve, Level, Panel, Points, limits
from ltsm.report.figures.values import Band as Area

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ltsm.report.bands import Band, Floats
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer, Style
    from ltsm.report.measure import Measure
    from ltsm.report.statistics import Summary
    from ltsm.store.values import MaskRow
    from ltsm.studies.study import Group

ITERATION = "Iteration"


def curve_band(evaluation: Evaluation, group: Group, measure: Measure) -> Band:
    """The curves of a group's finished runs: each seed's mean over the group's recipes, then over seeds."""
    seeds = evaluation.whole(group).values()
    return band(
        seed_curve([_points(evaluation, r.run_id, group.until, measure) for r in results])
        for results in seeds
    )


def mask_band(masks: Iterable[MaskRow], value: Callable[[MaskRow], float]) -> Band:
    """A number of masks against their amount."""
    return band([[(mask.amount, value(mask)) for mask in masks]])


def layers(
    found: Band, style: Style, label: str, band_label: str = "", floor: float = -np.inf
) -> list[Layer]:
    """The mean, on the band of one deviation to each side, not below `floor`; no band where no deviation is."""
    x, mean = tuple(found.x.tolist()), tuple(found.mean.tolist())
    curve = Curve(x, mean, style, label)
    spread = np.nan_to_num(found.deviation)
    if not spread.any():
        return [curve]
    low, high = np.maximum(found.mean - spread, floor), found.mean + spread
    return [Area(x, tuple(low.tolist()), tuple(high.tolist()), style, band_label), curve]


def curves_panel(
    found: Iterable[tuple[Band, Style, str]], missing: str, measure: Measure, floor: float = -np.inf
) -> tuple[Panel, str]:
    """The panel of these bands, each with its style and name, and the sentence that `curve_panel` has for it."""
    there = [one for one in found if len(one[0].x)]
    drawn = [layer for curve, style, name in there for layer in layers(curve, style, name, floor=floor)]
    return curve_panel([curve for curve, *_ in there], areas_first(drawn), missing, measure)


def areas_first(drawn: Iterable[Layer]) -> list[Layer]:
    """No area lies over a line."""
    return sorted(drawn, key=lambda layer: not isinstance(layer, Area))


def bars_panel(
    found: Sequence[tuple[str, Style, Summary]], y: Axis, missing: str, classes: int | None = None
) -> Panel:
    """A bar with its deviation for each of these names, and the level of chance where there are classes."""
    names, styles, values = tuple(zip(*found, strict=True)) or ((), (), ())
    bars = Bars(tuple(v.mean for v in values), tuple(v.sd for v in values), styles)
    chance = [Level(100 / classes, "chance")] if classes else []
    x = Axis("", -0.5, max(len(found), 1) - 0.5, names)
    return Panel(x, y, (bars, *chance) if found else (), missing=missing)


def highest(values: Iterable[Summary], least: float) -> float:
    """Where the bars with their deviations end above; `least` without any."""
    return max((v.mean + (v.sd if math.isfinite(v.sd) else 0) for v in values), default=least)


def mean_point(x: Summary, y: Summary, style: Style, label: str, **more: Any) -> Points:
    """A mean marker with the deviations of both of its numbers."""
    x_error, y_error = ((v.sd,) if math.isfinite(v.sd) else () for v in (x, y))
    return Points((x.mean,), (y.mean,), style, label, x_error, y_error, **more)


def curve_panel(
    bands: Sequence[Band], drawn: list[Layer], missing: str, measure: Measure
) -> tuple[Panel, str]:
    """The panel, cut where the start of the training would press all the rest flat, and a sentence on that."""
    end = max((float(b.x[-1]) for b in bands if len(b.x)), default=0.0)
    low, high = limits(tuple(v for b in bands for v in _seen(b, end, measure)))
    means = np.concatenate([np.empty(0), *(b.mean[np.isfinite(b.mean)] for b in bands)])
    beyond = _below(means, low, measure) if measure.rises else _above(means, high)
    # Where every best iteration was 0 there is only the record at 0, and an axis needs a length.
    x, y = Axis(ITERATION, 0.0, 1.01 * end or 1.0), Axis(measure.axis, max(low, 0.0), high)
    return Panel(x, y, tuple(drawn), missing=missing), beyond


def _above(means: Floats, high: float) -> str:
    top = means.max(initial=0.0)
    return f"The first records, up to {top:.2f}, lie above the picture." if top > high else ""


def _below(means: Floats, low: float, measure: Measure) -> str:
    least = means.min(initial=np.inf)
    return (
        f"The first records, down to {least:.1f}{measure.unit}, lie below the picture." if least < low else ""
    )


def _seen(found: Band, end: float, measure: Measure) -> Iterator[float]:
    """What has to be in the picture: the best mean, means from a fifth of the training on, deviations from a half on."""
    if (means := found.mean[np.isfinite(found.mean)]).size:
        yield float(means.max() if measure.rises else means.min())
    yield from found.mean[found.x >= end / 5].tolist()
    late = (found.x >= end / 2) & np.isfinite(found.deviation)
    yield from (found.mean - found.deviation)[late].tolist()
    yield from (found.mean + found.deviation)[late].tolist()


def _points(
    evaluation: Evaluation, run_id: int, until: int | None, measure: Measure
) -> list[tuple[float, float]]:
    return [
        (m.iteration, measure.scale * getattr(m, measure.record))
        for m in evaluation.records.get(run_id, ())
        if until is None or m.iteration <= until
    ]


def seed_curve(runs: Sequence[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """One seed's curve: the mean of its runs, which are of different recipes."""
    if len(runs) == 1:
        return runs[0]
    found = band(runs)
    return list(zip(found.x.tolist(), found.mean.tolist(), strict=True))

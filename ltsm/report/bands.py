"""Mean and standard deviation over seeds, point by point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ltsm.report.statistics import Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """What several seeds did at each `x`: `mean` and `deviation` of the `n` that have a finite value there.

    The deviation is the sample's (ddof = 1), NaN where n is 1; the mean is NaN where n is 0.
    """

    x: Floats
    mean: Floats
    deviation: Floats
    n: Floats

    def at(self, x: float) -> Summary | None:
        """Mean, deviation and n at the recorded point next to `x`; None beyond half a step of either end."""
        if not len(self.x):
            return None
        nearest = int(np.abs(self.x - x).argmin())
        step = float(np.diff(self.x).min()) if len(self.x) > 1 else 0.0
        if abs(self.x[nearest] - x) > step / 2 + 1e-9:
            return None
        return Summary(int(self.n[nearest]), float(self.mean[nearest]), float(self.deviation[nearest]))


def band(seeds: Iterable[Sequence[tuple[float, float]]]) -> Band:
    """The band of several curves of (x, value), each with its own points; NaN values are left out."""
    points = np.array([point for seed in seeds for point in seed], dtype=np.float64).reshape(-1, 2)
    x, place = np.unique(points[:, 0], return_inverse=True)
    good = np.isfinite(points[:, 1])
    values, place = points[good, 1], place[good]
    n = np.bincount(place, minlength=len(x)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(place, values, minlength=len(x)) / n
        squares = np.bincount(place, (values - mean[place]) ** 2, minlength=len(x))
        deviation = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
    return Band(x, mean, deviation, n)


def smoothed(points: Sequence[tuple[float, float]], records: int) -> list[tuple[float, float]]:
    """The curve with the mean of so many records around each in its place, fewer at the ends; NaN values are left out.

    Args:
        points: (x, value), by x.
        records: an odd number; 1 changes nothing.
    """
    found = np.array(points, dtype=np.float64).reshape(-1, 2)
    good = np.isfinite(found[:, 1])
    if not len(found):
        return []
    around, first = np.ones(records), records // 2
    total, n = (
        np.convolve(part, around)[first : first + len(found)]
        for part in (np.where(good, found[:, 1], 0.0), good.astype(np.float64))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(good, total / n, np.nan)
    return list(zip(found[:, 0].tolist(), values.tolist(), strict=True))

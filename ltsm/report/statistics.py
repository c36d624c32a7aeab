"""Means, spreads and tests between them: numbers in, numbers out.

`scipy.special` is imported where a test needs it: it takes a quarter of the second that a whole report may take,
and the dashboard, which shows means alone, need not wait for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEVEL = 0.05
"""The error rate that every test and every interval keeps."""
RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean and sample standard deviation (ddof = 1) of n values; NaN where n is too small for one."""

    n: int
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


def summarise(values: Iterable[float]) -> Summary:
    """Mean and sample standard deviation."""
    array = np.asarray(list(values), dtype=float)
    n = len(array)
    mean = float(array.mean()) if n else math.nan
    if n < 2:  # noqa: PLR2004 - a spread needs two
        return Summary(n, mean, math.nan)
    # Equal values have no spread, even where their mean is rounded.
    return Summary(n, mean, 0.0 if (array == array[0]).all() else float(array.std(ddof=1)))


def welch(a: Summary, b: Summary) -> float:
    """Two-sided p of Welch's t-test between two means; NaN where a spread is missing or both are 0."""
    error, freedom = _of_difference(a, b)
    return _two_sided((a.mean - b.mean) / error, freedom) if error > 0 else math.nan


def two_sample(a: Summary, b: Summary) -> tuple[Interval, float]:
    """The 95 % interval of the first mean minus the second, and Welch's p that they are the same; NaN as in `welch`."""
    error, freedom = _of_difference(a, b)
    if not error > 0:
        return Interval(math.nan, math.nan), math.nan
    return _student(a.mean - b.mean, error, freedom)


def _of_difference(a: Summary, b: Summary) -> tuple[float, float]:
    """The standard error of the difference of two means, and Welch's degrees of freedom; NaN where a spread is missing."""
    if math.isnan(a.sd + b.sd) or a.sd == b.sd == 0:
        return math.nan, math.nan
    of_a, of_b = a.sd**2 / a.n, b.sd**2 / b.n
    freedom = (of_a + of_b) ** 2 / (of_a**2 / (a.n - 1) + of_b**2 / (b.n - 1))
    return math.sqrt(of_a + of_b), freedom


def equal_spreads(values: Sequence[float], other: Summary) -> float:
    """Two-sided p that our values' spread and a published one are of one distribution: the larger of two.

    The classical F test takes one outlier for a difference. Shoemaker's (Fixing the F Test for Equal Variances,
    The American Statistician 57, 2003) counts fewer degrees of freedom, the heavier the tails are; those of
    the published values are unknown, so ours stand for both, but never count as lighter than normal ones.
    Where it finds a difference, the bootstrap is asked as well: how often samples of the published size,
    drawn from our values, have a spread so far from their usual one. It knows about two clusters of values,
    which heavy tails do not describe; alone, it would trust our ten values too much. Values that are all the
    same are of another distribution than ones that are not, for certain: p is 0.
    """
    ours = summarise(values)
    if min(ours.n, other.n) < 3 or math.isnan(other.sd):  # noqa: PLR2004 - below, no freedom is left
        return math.nan
    if not ours.sd or not other.sd:
        return float(ours.sd == other.sd)
    tails = max(kurtosis(values), 3.0)
    freedom = [2 * n / (tails - (n - 3) / (n - 1)) for n in (ours.n, other.n)]
    from scipy.special import fdtrc

    above = float(fdtrc(freedom[0], freedom[1], (ours.sd / other.sd) ** 2))
    p = 2 * min(above, 1 - above)
    return max(p, _drawn_spreads(values, other)) if p < LEVEL else p


def _drawn_spreads(values: Sequence[float], other: Summary) -> float:
    """Two-sided p of the published spread among those of samples drawn from ours, from a fixed random stream."""
    array = np.asarray(values, dtype=float)
    draws = np.random.default_rng(0).integers(len(array), size=(RESAMPLES, other.n))
    spreads = array[draws].std(1, ddof=1)
    least = min(int((spreads <= other.sd).sum()), int((spreads >= other.sd).sum()))
    return min(1.0, 2 * (least + 1) / (RESAMPLES + 1))


def kurtosis(values: Sequence[float]) -> float:
    """Fourth central moment ÷ squared variance: 3 for a normal distribution."""
    array = np.asarray(values, dtype=float)
    array = array - array.mean()
    return float((array**4).mean() / (array**2).mean() ** 2)


def extreme(ours: float, n: int, theirs: float, of: int, spread: float) -> float:
    """Two-sided p that the least of `n` and the least of `of` normal values differ so much.

    Negate both for the greatest. From a fixed random stream; `spread` is the common standard deviation.
    """
    rng = np.random.default_rng(0)
    least = rng.standard_normal((RESAMPLES, n)).min(1) - rng.standard_normal((RESAMPLES, of)).min(1)
    # A spread of 0 leaves no room for any difference.
    if not spread > 0:
        return float(ours == theirs)
    away = (ours - theirs) / spread - least.mean()
    return float(((np.abs(least - least.mean()) >= abs(away)).sum() + 1) / (RESAMPLES + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that keep the family's error rate; NaN stays and is not counted."""
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    corrected, highest = [math.nan] * len(p_values), 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[i] = highest
    return corrected


def one_sample(values: Sequence[float], null: float = 0.0) -> tuple[Interval, float]:
    """The mean's 95 % interval and the two-sided p that it is `null`, by Student's t.

    The interval leaves `null` out exactly when p is below 0.05. NaN for fewer than two values; of equal ones the interval is a point, and p is 0 unless that is `null`.
    """
    found = summarise(values)
    if found.n < 2:  # noqa: PLR2004 - one value has no spread
        return Interval(math.nan, math.nan), math.nan
    if not found.sd:
        return Interval(found.mean, found.mean), float(found.mean == null)
    return _student(found.mean, found.sd / math.sqrt(found.n), found.n - 1, null)


def _student(mean: float, error: float, freedom: float, null: float = 0.0) -> tuple[Interval, float]:
    """The 95 % interval of a mean with this standard error, and the two-sided p that it is `null`."""
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    return Interval(mean - half, mean + half), _two_sided((mean - null) / error, freedom)


def _two_sided(t: float, freedom: float) -> float:
    """Both tails of Student's t."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(t)))

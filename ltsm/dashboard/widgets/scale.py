"""From numbers to places on an axis, and round numbers to write beside it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf, log10
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_LARGE, _ROUNDING = 100, 1e-9
_SMALLEST = 1e-12
"""What a logarithmic axis takes for everything smaller."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`, linear or logarithmic."""

    low: float
    high: float
    log: bool = False

    def place(self, values: Any) -> NDArray[np.float64]:
        """Where the values lie: 0 at `low`, 1 at `high`, beyond where they are outside; NaN stays NaN."""
        low, high, at = self._stretched(self.low), self._stretched(self.high), self._stretched(values)
        return np.asarray((at - low) / ((high - low) or 1.0), dtype=np.float64)

    def ticks(self, count: int) -> list[float]:
        """About so many round numbers inside."""
        ticks = self._decades() if self.log else []
        return _thinned(ticks, count) if len(ticks) > 1 else _even(self.low, self.high, count)

    def _decades(self) -> list[float]:
        low, high = max(self.low, _SMALLEST), max(self.high, _SMALLEST)
        powers = range(floor(log10(low)), ceil(log10(high)) + 1)
        return [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]

    def _stretched(self, values: Any) -> NDArray[np.float64]:
        array = np.asarray(values, dtype=np.float64)
        return np.log10(np.maximum(array, _SMALLEST)) if self.log else array


def spanning(values: NDArray[np.float64], *, log: bool = False, margin: float = 0.04) -> Scale:
    """The scale on which all finite values lie, with a little room above and below; 0 … 1 for none."""
    finite = values[np.isfinite(values)]
    if log:
        finite = finite[finite > 0]
    if not finite.size:
        return Scale(0.1 if log else 0.0, 1.0, log)
    low, high = float(finite.min()), float(finite.max())
    if log:
        room = (high / low) ** margin if high > low else 1.1
        return Scale(low / room, high * room, log)
    room = (high - low) * margin or abs(high) * 0.1 or 1.0
    return Scale(low - room, high + room)


def _even(low: float, high: float, count: int) -> list[float]:
    if not low < high < inf:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in ROUND if m * power >= rough * 0.999)
    first, last = ceil(low / step - _ROUNDING), floor(high / step + _ROUNDING)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def _thinned(ticks: list[float], count: int) -> list[float]:
    """Every decade rather than every second tick, where there are too many."""
    if len(ticks) <= count:
        return ticks
    decades = [tick for tick in ticks if abs(log10(tick) - round(log10(tick))) < _ROUNDING]
    return decades if len(decades) > 1 else ticks[:: ceil(len(ticks) / max(1, count))]


def tick_label(value: float) -> str:
    """`0.05`, `20,000`: as short as the number is round."""
    return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.6g}"

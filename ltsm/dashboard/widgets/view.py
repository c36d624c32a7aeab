"""How a panel is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ltsm.report.figures.values import Axis, Band, Curve, Points, limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.report.bands import Floats
    from ltsm.report.figures.values import Layer, Panel

SETTLED = 0.2
"""The first fifth of a training falls from far above; the first look is at the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a panel is looked at: a window of x (None: all of it), a logarithmic y axis, the cursor's x."""

    window: tuple[float, float] | None = None
    log: bool = False
    cursor: float | None = None

    def moved(self, panel: Panel, stops: Floats, by: int) -> View:
        """The cursor some stops further, and the window after it where it would leave it.

        A first step to the right comes in at the left, one to the left at the right.
        """
        if not len(stops):
            return self
        low, high = self.window or (panel.x.low, panel.x.high)
        if self.cursor is None:
            start = low if by > 0 else high
            return replace(self, cursor=float(stops[np.abs(stops - start).argmin()]))
        index = int(np.abs(stops - self.cursor).argmin()) + by
        cursor = float(stops[max(0, min(index, len(stops) - 1))])
        shift = min(0.0, cursor - low) + max(0.0, cursor - high)
        return replace(self, cursor=cursor, window=self.window and (low + shift, high + shift))

    def zoomed(self, panel: Panel, factor: float) -> View:
        """A window narrower by `factor`, around the cursor; never wider than the panel."""
        first, last = panel.x.low, panel.x.high
        low, high = self.window or (first, last)
        centre = self.cursor if self.cursor is not None else (low + high) / 2
        left = max(first, centre - (centre - low) / factor)
        right = min(last, centre + (high - centre) / factor)
        whole = (left, right) == (first, last) or right <= left
        return replace(self, window=None if whole else (left, right))

    def axes(self, panel: Panel) -> tuple[Axis, Axis]:
        """The panel's own, or the window across and all that lies in it upwards."""
        if self.window is None and not self.log:
            return panel.x, panel.y
        low, high = self.window or (panel.x.low, panel.x.high)
        bottom, top = spanning(panel.layers, low, high, log=self.log)
        return replace(panel.x, low=low, high=high), replace(panel.y, low=bottom, high=top, log=self.log)


def settled_axes(layers: Sequence[Layer], x: str, y: str, *, settles: bool) -> tuple[Axis, Axis]:
    """From the first x to the last, and upwards what is seen there, or once a training has settled."""
    ends = [x for layer in layers if isinstance(layer, Curve | Points) for x in layer.x]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    high = high if high > low else low + 1
    start = low + SETTLED * (high - low) * settles
    return Axis(x, low, high), Axis(y, *spanning(layers, start, high))


def spanning(layers: Sequence[Layer], low: float, high: float, *, log: bool = False) -> tuple[float, float]:
    """The y between which lies all that is seen between two x."""
    seen = np.concatenate([np.empty(0), *(part for layer in layers for part in _seen(layer, low, high))])
    if not log:
        return limits(tuple(seen.tolist()))
    bottom, top = limits(tuple(np.log10(seen[seen > 0]).tolist()) or (-1.0, 0.0))
    return float(10**bottom), float(10**top)


def _seen(layer: Layer, low: float, high: float) -> Iterator[Floats]:
    if isinstance(layer, Curve | Band | Points):
        x = np.array(layer.x)
        sides = (layer.low, layer.high) if isinstance(layer, Band) else (layer.y,)
        # A line across is seen whole wherever its ends are.
        inside = (x >= low) & (x <= high) | (isinstance(layer, Curve) and len(set(layer.y)) == 1)
        yield from (np.array(side)[inside] for side in sides)

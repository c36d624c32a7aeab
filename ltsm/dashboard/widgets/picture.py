"""What a chart shows and how it is looked at: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ltsm.dashboard.widgets.raster import DASHES
from ltsm.dashboard.widgets.scale import Scale, spanning

if TYPE_CHECKING:
    from ltsm.report.bands import Band, Floats

SETTLED = 0.2
"""The first fifth of a training falls from far above; the first look is at the rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """A line, by its points; `low` and `high` bound the band around it; `tag` is its letter at the right."""

    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    tone: str
    tag: str = ""
    dashes: tuple[int, ...] = DASHES[0]


@dataclass(frozen=True, slots=True)
class Level:
    """A dashed line across, such as a published value."""

    y: float
    tone: str


@dataclass(frozen=True, slots=True)
class Point:
    """A single mark."""

    x: float
    y: float
    tone: str
    glyph: str = "◆"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All that is drawn; later curves cover earlier ones. `shaded` is a range of x."""

    title: str = ""
    curves: tuple[Curve, ...] = ()
    levels: tuple[Level, ...] = ()
    points: tuple[Point, ...] = ()
    shaded: tuple[float, float] | None = None
    settles: bool = False

    @property
    def span(self) -> tuple[float, float]:
        """From the first to the last x of any curve; 0 … 1 without any."""
        ends = [float(end) for curve in self.curves if len(curve.x) for end in (curve.x[0], curve.x[-1])]
        return (min(ends), max(ends)) if ends else (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a picture is looked at: a window of x (None: all of it), a logarithmic y axis, the cursor's x."""

    window: tuple[float, float] | None = None
    log: bool = False
    cursor: float | None = None

    def moved(self, picture: Picture, stops: Floats, by: int) -> View:
        """The cursor some stops further, and the window after it where it would leave it.

        A first step to the right comes in at the left, one to the left at the right.
        """
        if not len(stops):
            return self
        low, high = self.window or picture.span
        if self.cursor is None:
            start = low if by > 0 else high
            return replace(self, cursor=float(stops[np.abs(stops - start).argmin()]))
        index = int(np.abs(stops - self.cursor).argmin()) + by
        cursor = float(stops[max(0, min(index, len(stops) - 1))])
        shift = min(0.0, cursor - low) + max(0.0, cursor - high)
        return replace(self, cursor=cursor, window=self.window and (low + shift, high + shift))

    def zoomed(self, picture: Picture, factor: float) -> View:
        """A window narrower by `factor`, around the cursor; never wider than the picture."""
        low, high = self.window or picture.span
        centre = self.cursor if self.cursor is not None else (low + high) / 2
        first, last = picture.span
        left = max(first, centre - (centre - low) / factor)
        right = min(last, centre + (high - centre) / factor)
        whole = (left, right) == (first, last) or right <= left
        return replace(self, window=None if whole else (left, right))


def band_curve(band: Band, *, tone: str, tag: str = "", dashes: tuple[int, ...] = DASHES[0]) -> Curve:
    """The mean as a line, a standard deviation either way around it."""
    width = np.nan_to_num(band.deviation)
    return Curve(
        x=band.x,
        y=band.mean,
        low=band.mean - width,
        high=band.mean + width,
        tone=tone,
        tag=tag,
        dashes=dashes,
    )


@dataclass(frozen=True, slots=True)
class Axes:
    """The two scales of a picture as it is looked at."""

    x: Scale
    y: Scale = field(default=Scale(0.0, 1.0))


def axes(picture: Picture, view: View) -> Axes:
    """The window across, and all that lies in it upwards."""
    low, high = view.window or picture.span
    x = Scale(low, high if high > low else low + 1)
    settled = low
    if picture.settles and view.window is None and not view.log:
        settled = low + SETTLED * (high - low)
    seen = [_seen(curve, settled, high) for curve in picture.curves]
    if not any(np.isfinite(part).any() for part in seen):
        seen = [_seen(curve, low, high) for curve in picture.curves]
    seen.append(np.array([level.y for level in picture.levels]))
    seen.append(np.array([point.y for point in picture.points if settled <= point.x <= high]))
    return Axes(x, spanning(np.concatenate(seen), log=view.log))


def _seen(curve: Curve, low: float, high: float) -> Floats:
    inside = (curve.x >= low) & (curve.x <= high)
    sides = [side[inside] for side in (curve.y, curve.low, curve.high) if side is not None]
    return np.concatenate(sides)

"""A panel as characters: curves and bands in braille, axes with round numbers. No colours yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from ltsm.dashboard.widgets.raster import ACROSS_ALL, DASHES, Raster
from ltsm.dashboard.widgets.tones import series_tone
from ltsm.report.figures.values import Band, Curve, Points, Shade, Style, ticks

if TYPE_CHECKING:
    from typing import Any

    from ltsm.dashboard.widgets.view import View
    from ltsm.report.bands import Floats
    from ltsm.report.figures.values import Axis, Numbers, Panel

ABOVE, BELOW, TAGS = 1, 2, 2
"""Lines above the plot for the title, lines below it for the axis, columns to its right for letters."""
STYLES: tuple[Style, ...] = get_args(Style)
_EMPTY, _SMALLEST = "\u2800", 1e-12


class Look(NamedTuple):
    """The colours of a cell: its tone, the tone that washes its background, and whether it is shaded."""

    tone: str = ""
    wash: str = ""
    shaded: bool = False


class Cell(NamedTuple):
    """One character of the plot, and how it looks."""

    text: str
    look: Look = Look()


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things are: the axes, the plot's size in cells, and the columns to its left."""

    x: Axis
    y: Axis
    width: int
    height: int
    left: int

    def column(self, x: float | None) -> int | None:
        """The column of an x, None outside."""
        at = -1.0 if x is None else float(place(self.x, x))
        return min(self.width - 1, int(at * self.width)) if 0 <= at <= 1 else None

    def row(self, y: float, *, clip: bool = False) -> int | None:
        """The row of a y, None outside; or the nearest."""
        at = float(place(self.y, y))
        at = min(1.0, max(0.0, at)) if clip else at
        return round((1 - at) * (self.height - 1)) if 0 <= at <= 1 else None

    def pointed(self, column: int) -> float | None:
        """The x in the middle of a column of the widget, None beside the plot."""
        share = (column - self.left + 0.5) / self.width
        return self.x.low + share * (self.x.high - self.x.low) if 0 <= share <= 1 else None

    def shaded(self, panel: Panel) -> list[bool]:
        """Which columns are in a shaded range."""
        middles = self.x.low + (np.arange(self.width) + 0.5) / self.width * (self.x.high - self.x.low)
        ranges = [(s.low <= middles) & (middles <= s.high) for s in panel.layers if isinstance(s, Shade)]
        return [bool(inside) for inside in np.any([np.zeros(self.width, dtype=bool), *ranges], axis=0)]


def tone(style: Style) -> str:
    """The tone of a style's lines; eight can be told apart, and differ in dashes too."""
    return series_tone(STYLES.index(style))


def place(axis: Axis, values: Any) -> Floats:
    """Where values lie on an axis: 0 at its low end, 1 at its high one, beyond where they are outside."""
    low, high, at = (np.asarray(v, dtype=np.float64) for v in (axis.low, axis.high, values))
    if axis.log:
        low, high, at = (np.log10(np.maximum(v, _SMALLEST)) for v in (low, high, at))
    return np.asarray((at - low) / ((high - low) or 1.0), dtype=np.float64)


def frame(panel: Panel, view: View, width: int, height: int) -> Frame | None:
    """The frame of a panel in so many columns and lines; None where nothing could be read."""
    x, y = view.axes(panel)
    rows = height - ABOVE - BELOW
    left = max(len(text) for _, text in [*ticks(y, _y_ticks(rows)), (0, "")]) + 2
    columns = width - left - TAGS
    return Frame(x, y, columns, rows, left) if columns >= 8 and rows >= 2 else None  # noqa: PLR2004


def cells(panel: Panel, view: View, frame: Frame, *, dotted: bool) -> list[list[Cell]]:
    """The plot row by row, with the curves' letters at the end; bands are dots instead of colour if `dotted`."""
    raster = _drawn(panel, frame)
    tones = [tone(layer.style) if isinstance(layer, Curve | Band) else "" for layer in panel.layers] + [""]
    text, ink, wash = (
        part.tolist() for part in (raster.characters(dotted=dotted), raster.ink_of_cells(), raster.wash)
    )
    shaded = frame.shaded(panel)
    rows = [
        [
            Cell(t, Look(tones[line] or tones[band] * dotted, tones[band] * (not dotted), shade))
            for t, line, band, shade in zip(*row, shaded, strict=True)
        ]
        for row in zip(text, ink, wash, strict=True)
    ]
    _mark_cursor(rows, frame.column(view.cursor))
    _mark_points(rows, panel, frame)
    return [row + tags for row, tags in zip(rows, _tags(panel, frame), strict=True)]


def labels(frame: Frame) -> list[str]:
    """What stands to the left of each row: a number where a tick is, and the axis."""
    marks = {frame.row(tick): text for tick, text in reversed(ticks(frame.y, _y_ticks(frame.height)))}
    width = frame.left - 2
    return [f"{marks.get(row, ''):>{width}} {'┤' if row in marks else '│'}" for row in range(frame.height)]


def below(panel: Panel, view: View, frame: Frame) -> tuple[str, str]:
    """The axis with its ticks, heavy where it is shaded, and their numbers as far apart as they need to be."""
    line = ["━" if shaded else "─" for shaded in frame.shaded(panel)]
    numbers = [" "] * (frame.width + TAGS)
    free = 0
    for tick, text in ticks(frame.x, max(1, frame.width // 10)):
        column = frame.column(tick)
        if column is None:
            continue
        line[column] = "┴"
        start = max(0, min(column - len(text) // 2, len(numbers) - len(text)))
        if start >= free:
            numbers[start : start + len(text)] = text
            free = start + len(text) + 1
    if (cursor := frame.column(view.cursor)) is not None:
        line[cursor] = "▲"
    space = " " * (frame.left - 1)
    return f"{space}└{''.join(line)}", f"{space} {''.join(numbers)}"


def _y_ticks(rows: int) -> int:
    return max(2, rows // 3 if rows > 12 else rows // 2)  # noqa: PLR2004 - a low plot needs its few rows


def _drawn(panel: Panel, frame: Frame) -> Raster:
    """Bands lie beneath the lines whatever their order."""
    raster = Raster(frame.width, frame.height)
    x = frame.x.low + raster.columns * (frame.x.high - frame.x.low)
    for index, layer in enumerate(panel.layers):
        if isinstance(layer, Band):
            low, high = (_heights(layer.x, side, x, frame.y) for side in (layer.low, layer.high))
            raster.band(low, high, index)
        elif isinstance(layer, Curve):
            dashes = ACROSS_ALL if layer.dashed else DASHES[STYLES.index(layer.style) % len(DASHES)]
            raster.line(_heights(layer.x, layer.y, x, frame.y), index, dashes)
    return raster


def _heights(at: Numbers, y: Numbers, x: Floats, axis: Axis) -> Floats:
    """A line at each column of dots, straight between its points; NaN beyond its ends."""
    if not at:
        return np.full(len(x), np.nan)
    places = np.clip(place(axis, y), -1, 2)  # far outside is outside: a dot column is not a mile high
    return np.interp(x, at, places, left=np.nan, right=np.nan)


def _mark_cursor(rows: list[list[Cell]], column: int | None) -> None:
    if column is None:
        return
    for row in rows:
        if row[column].text == _EMPTY:
            row[column] = Cell("┊", row[column].look._replace(tone="muted"))


def _mark_points(rows: list[list[Cell]], panel: Panel, frame: Frame) -> None:
    for points in (layer for layer in panel.layers if isinstance(layer, Points)):
        for at in zip(points.x, points.y, strict=True):
            x, y = frame.column(at[0]), frame.row(at[1])
            if x is not None and y is not None:
                look = rows[y][x].look._replace(tone=tone(points.style))
                rows[y][x] = Cell("◇" if points.small else "◆", look)


def _tags(panel: Panel, frame: Frame) -> list[list[Cell]]:
    """Each curve's letter, a label of one character, beside its end, or in the nearest row that is free."""
    rows: dict[int, Cell] = {}
    for curve in panel.layers:
        free = [row for row in range(frame.height) if row not in rows]
        if not isinstance(curve, Curve) or len(curve.label) != 1 or not free:
            continue
        seen = [y for x, y in zip(curve.x, curve.y, strict=True) if np.isfinite(y) and x <= frame.x.high]
        if seen:
            wanted = frame.row(seen[-1], clip=True) or 0
            rows[min(free, key=lambda row: abs(row - wanted))] = Cell(curve.label, Look(tone(curve.style)))
    blank = Cell(" ")
    return [[blank, rows.get(row, blank)] for row in range(frame.height)]

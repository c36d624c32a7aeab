"""A picture as characters: curves and bands in braille and blocks, axes with round numbers. No colours yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltsm.dashboard.widgets.picture import Axes, Picture, View, axes
from ltsm.dashboard.widgets.raster import DOWN, Raster
from ltsm.dashboard.widgets.scale import tick_label

if TYPE_CHECKING:
    from ltsm.report.bands import Floats
    from ltsm.dashboard.widgets.picture import Curve

ABOVE, BELOW, TAGS = 1, 2, 2
"""Lines above the plot for the title, lines below it for the axis, columns to its right for letters."""
_POWERS = 1 << np.arange(DOWN)
_QUARTERS = " ▂▄▆█"
_EMPTY = f"\u2800{_QUARTERS}"
"""An empty braille character, and the ends of bands: where a line may be drawn instead."""


class Look(NamedTuple):
    """The colours of a cell: its tone, the tone that washes its background, and whether it is shaded.

    An `edge` is the end of a band within the cell: the character is then drawn in the washed colour on the
    ground, or for -1 the other way round. The ground is washed by `beneath`, where another band ends later.
    """

    tone: str = ""
    wash: str = ""
    shaded: bool = False
    beneath: str = ""
    edge: int = 0


class Cell(NamedTuple):
    """One character of the plot, and how it looks."""

    text: str
    look: Look = Look()


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things are: the scales, the plot's size in cells, and the columns to its left."""

    scales: Axes
    width: int
    height: int
    left: int

    def column(self, x: float | None) -> int | None:
        """The column of an x, None outside."""
        if x is None:
            return None
        place = float(self.scales.x.place(x))
        return min(self.width - 1, int(place * self.width)) if 0 <= place <= 1 else None

    def row(self, y: float, *, clip: bool = False) -> int | None:
        """The row of a y, None outside; or the nearest."""
        place = float(self.scales.y.place(y))
        if clip:
            place = min(1.0, max(0.0, place))
        return round((1 - place) * (self.height - 1)) if 0 <= place <= 1 else None

    def x(self, column: int) -> float | None:
        """What lies in the middle of a column of the widget, None beside the plot."""
        share = (column - self.left + 0.5) / self.width
        low, high = self.scales.x.low, self.scales.x.high
        return low + share * (high - low) if 0 <= share <= 1 else None


def frame(picture: Picture, view: View, width: int, height: int) -> Frame | None:
    """The frame of a picture in so many columns and lines; None where nothing could be read."""
    scales = axes(picture, view)
    rows = height - ABOVE - BELOW
    left = max(len(tick_label(tick)) for tick in [*scales.y.ticks(_y_ticks(rows)), 0]) + 2
    columns = width - left - TAGS
    return Frame(scales, columns, rows, left) if columns >= 8 and rows >= 2 else None  # noqa: PLR2004


def cells(picture: Picture, view: View, frame: Frame, *, dotted: bool) -> list[list[Cell]]:
    """The plot row by row, with the curves' letters at the end; bands are dots instead of colour if `dotted`."""
    raster = _drawn(picture, frame)
    text, ink = raster.characters(dotted=dotted).tolist(), raster.ink_of_cells().tolist()
    wash = raster.wash_of_cells()
    covered = (wash.covered @ _POWERS).tolist()
    tones = [*(level.tone for level in picture.levels), *(curve.tone for curve in picture.curves), ""]
    shaded = _shaded(picture, frame)

    @cache  # of a screen's 5,000 cells only some dozens differ
    def cell(text: str, ink: int, owner: int, beneath: int, covered: int, shaded: bool) -> Cell:
        line, band = tones[ink], tones[owner]
        if dotted or not band:
            return Cell(text, Look(line or band, "", shaded))
        return _ended(Cell(text, Look(line, band, shaded, tones[beneath])), covered)

    layers = (text, ink, wash.owner.tolist(), wash.beneath.tolist(), covered)
    rows = [list(map(cell, *row, shaded)) for row in zip(*layers, strict=True)]
    _mark_cursor(rows, frame.column(view.cursor))
    _mark_points(rows, picture, frame)
    return [row + tags for row, tags in zip(rows, _tags(picture, frame), strict=True)]


def labels(frame: Frame) -> list[str]:
    """What stands to the left of each row: a number where a tick is, and the axis."""
    ticks = {
        frame.row(tick): tick_label(tick) for tick in reversed(frame.scales.y.ticks(_y_ticks(frame.height)))
    }
    width = frame.left - 2
    return [f"{ticks.get(row, ''):>{width}} {'┤' if row in ticks else '│'}" for row in range(frame.height)]


def below(picture: Picture, view: View, frame: Frame) -> tuple[str, str]:
    """The axis with its ticks, heavy where it is shaded, and their numbers as far apart as they need to be."""
    line = ["━" if shaded else "─" for shaded in _shaded(picture, frame)]
    numbers = [" "] * (frame.width + TAGS)
    free = 0
    for tick in frame.scales.x.ticks(frame.width // 10):
        column = frame.column(tick)
        if column is None:
            continue
        line[column] = "┴"
        text = tick_label(tick)
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


def _drawn(picture: Picture, frame: Frame) -> Raster:
    """Levels lie beneath, then all bands, then all lines."""
    raster = Raster(frame.width, frame.height)
    scales = frame.scales
    x = scales.x.low + raster.columns * (scales.x.high - scales.x.low)
    for layer, level in enumerate(picture.levels):
        raster.line(np.full(len(x), scales.y.place(level.y)), layer, (4, 4))
    first = len(picture.levels)
    for layer, curve in enumerate(picture.curves, first):
        if curve.low is not None and curve.high is not None:
            low, high = (_heights(curve, side, x, scales) for side in (curve.low, curve.high))
            raster.band(low, high, layer)
    for layer, curve in enumerate(picture.curves, first):
        raster.line(_heights(curve, curve.y, x, scales), layer, curve.dashes)
    return raster


def _heights(curve: Curve, y: Floats, x: Floats, scales: Axes) -> Floats:
    """The curve at each column of dots, straight between its points; NaN beyond its ends."""
    if not len(curve.x):
        return np.full(len(x), np.nan)
    places = np.clip(scales.y.place(y), -1, 2)  # far outside is outside: a dot column is not a mile high
    return np.interp(x, curve.x, places, left=np.nan, right=np.nan)


def _ended(cell: Cell, covered: int) -> Cell:
    """A cell in a band that covers some of its quarters: where no line runs, to a quarter of a cell.

    Of `covered` the lowest bit is the quarter at the top.
    """
    quarters = covered.bit_count()
    top, bottom = bool(covered & 1), bool(covered & 1 << (DOWN - 1))
    if quarters == DOWN:
        return cell
    if cell.text not in _EMPTY or top == bottom:
        return cell if quarters * 2 >= DOWN else _looking(cell, wash=cell.look.beneath)
    if bottom:
        return _looking(cell, _QUARTERS[quarters], edge=1)
    return _looking(cell, _QUARTERS[DOWN - quarters], edge=-1)


def _looking(cell: Cell, text: str | None = None, **look: Any) -> Cell:
    """Another text, and a look that is other in some ways."""
    return Cell(cell.text if text is None else text, cell.look._replace(**look))


def _shaded(picture: Picture, frame: Frame) -> list[bool]:
    if picture.shaded is None:
        return [False] * frame.width
    low, high = frame.scales.x.place(picture.shaded)
    return [bool(low <= (x + 0.5) / frame.width <= high) for x in range(frame.width)]


def _mark_cursor(rows: list[list[Cell]], column: int | None) -> None:
    if column is None:
        return
    for row in rows:
        if row[column].text in _EMPTY:
            row[column] = _looking(row[column], "┊", tone="muted", edge=0)


def _mark_points(rows: list[list[Cell]], picture: Picture, frame: Frame) -> None:
    for point in picture.points:
        x, y = frame.column(point.x), frame.row(point.y)
        if x is not None and y is not None:
            rows[y][x] = _looking(rows[y][x], point.glyph, tone=point.tone, edge=0)


def _tags(picture: Picture, frame: Frame) -> list[list[Cell]]:
    """Each curve's letter beside its end, or in the nearest row that is free."""
    rows: dict[int, Cell] = {}
    for curve in picture.curves:
        inside = np.isfinite(curve.y) & (curve.x <= frame.scales.x.high)
        free = [row for row in range(frame.height) if row not in rows]
        if not curve.tag or not inside.any() or not free:
            continue
        wanted = frame.row(float(curve.y[inside][-1]), clip=True) or 0
        nearest = free[int(np.abs(np.array(free) - wanted).argmin())]
        rows[nearest] = Cell(curve.tag, Look(curve.tone))
    blank = Cell(" ")
    return [[blank, rows.get(row, blank)] for row in range(frame.height)]

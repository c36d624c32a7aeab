"""A chart of curves with their bands, drawn in braille; it reads without colour as well."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from ltsm.dashboard.widgets.picture import Axes, Picture, View, axes
from ltsm.dashboard.widgets.raster import DOWN, Raster
from ltsm.dashboard.widgets.scale import tick_label
from ltsm.dashboard.widgets.tones import COMPONENT_CLASSES, tone_style

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from textual import events

    from ltsm.dashboard.bands import Floats
    from ltsm.dashboard.widgets.picture import Curve

_TITLE, _AXIS, _TAGS = 1, 2, 2
"""Lines above the plot, lines below it, columns to its right."""
_QUARTERS = " ▂▄▆█"
_EMPTY = f"\u2800{_QUARTERS}"
"""An empty braille character, and the ends of bands: where a line may be drawn instead."""
_WASH = 0.28
"""How much of its colour a band gives to the background."""


class _Cell(NamedTuple):
    """One character of the plot: its tone, the tone that washes its background, and whether it is shaded.

    An `edge` is the end of a band within the cell: the character is then drawn in the washed colour on the
    ground, or for -1 the other way round.
    """

    text: str
    tone: str = ""
    wash: str = ""
    shaded: bool = False
    edge: int = 0


class Chart(Widget):
    """A picture as it is looked at. Clicking moves the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--title",
        "chart--axis",
        "chart--shaded",
        "chart--cursor",
        *COMPONENT_CLASSES,
    }

    picture: reactive[Picture] = reactive(Picture())
    view: reactive[View] = reactive(View())

    class Picked(Message):
        """A place was clicked."""

        def __init__(self, chart: Chart, x: float) -> None:
            super().__init__()
            self.chart = chart
            self.x = x

    def on_click(self, event: events.Click) -> None:
        """Say which x was clicked."""
        at = event.get_content_offset(self)
        if at is None:
            return
        scales = axes(self.picture, self.view)
        left, width = self._left(scales), self._plot_width(scales)
        share = (at.x - left + 0.5) / max(1, width)
        if 0 <= share <= 1:
            self.post_message(self.Picked(self, scales.x.low + share * (scales.x.high - scales.x.low)))

    def watch_picture(self) -> None:
        """Draw anew."""
        self._lines = None

    def watch_view(self) -> None:
        """Draw anew."""
        self._lines = None

    def notify_style_update(self) -> None:
        """Draw anew in the colours of another theme."""
        self._lines = None
        super().notify_style_update()

    _lines: tuple[tuple[int, int], list[Strip]] | None = None

    def render_line(self, y: int) -> Strip:
        """One line of the drawing, which is made once for each size, picture and view."""
        size = (self.size.width, self.size.height)
        if self._lines is None or self._lines[0] != size:
            self._lines = (size, self._drawn())
        lines = self._lines[1]
        return lines[y] if y < len(lines) else Strip.blank(size[0], self.rich_style)

    def _drawn(self) -> list[Strip]:
        scales = axes(self.picture, self.view)
        width, height = self._plot_width(scales), self.size.height - _TITLE - _AXIS
        title = [Strip([Segment(self.picture.title, self.get_component_rich_style("chart--title"))])]
        if width < 8 or height < 2:  # noqa: PLR2004 - nothing could be read
            return title
        cells = self._cells(scales, width, height)
        body = [
            Strip([self._label(scales, row, height), *self._segments(cells[row])]) for row in range(height)
        ]
        base = self.rich_style
        return [
            s.adjust_cell_length(self.size.width, base) for s in title + body + self._below(scales, width)
        ]

    def _left(self, scales: Axes) -> int:
        """Columns to the left of the plot: the widest label and the axis."""
        return max(len(tick_label(tick)) for tick in [*scales.y.ticks(_y_ticks(self._rows())), 0]) + 2

    def _rows(self) -> int:
        return max(2, self.size.height - _TITLE - _AXIS)

    def _plot_width(self, scales: Axes) -> int:
        return self.size.width - self._left(scales) - _TAGS

    def _cells(self, scales: Axes, width: int, height: int) -> list[list[_Cell]]:
        raster = _drawn_curves(self.picture, scales, width, height)
        dotted = bool(self.app.no_color)
        text, ink, (wash, covered) = (
            raster.characters(dotted=dotted),
            raster.ink_of_cells(),
            raster.wash_of_cells(),
        )
        tones = [*(level.tone for level in self.picture.levels), *(c.tone for c in self.picture.curves), ""]
        shaded = self._shaded(scales, width)

        def cell(y: int, x: int) -> _Cell:
            line, band = tones[ink[y, x]], tones[wash[y, x]]
            if dotted or not band:
                return _Cell(text[y, x], line or band, "", shaded[x])
            return _washed(_Cell(text[y, x], line, band, shaded[x]), covered[y, x])

        cells = [[cell(y, x) for x in range(width)] for y in range(height)]
        self._mark_cursor(cells, scales)
        self._mark_points(cells, scales)
        return [row + tags for row, tags in zip(cells, _tags(self.picture, scales, height), strict=True)]

    def _shaded(self, scales: Axes, width: int) -> list[bool]:
        if self.picture.shaded is None:
            return [False] * width
        low, high = scales.x.place(self.picture.shaded)
        return [bool(low <= (x + 0.5) / width <= high) for x in range(width)]

    def _mark_cursor(self, cells: list[list[_Cell]], scales: Axes) -> None:
        column = _column(self.view.cursor, scales, len(cells[0]))
        if column is not None:
            for row in cells:
                if row[column].text in _EMPTY:
                    row[column] = row[column]._replace(text="┊", tone="muted", edge=0)

    def _mark_points(self, cells: list[list[_Cell]], scales: Axes) -> None:
        height = len(cells)
        for point in self.picture.points:
            column = _column(point.x, scales, len(cells[0]))
            row = _row(point.y, scales, height)
            if column is not None and row is not None:
                cells[row][column] = cells[row][column]._replace(text=point.glyph, tone=point.tone, edge=0)

    def _segments(self, cells: list[_Cell]) -> list[Segment]:
        return [
            Segment("".join(cell.text for cell in run), self._style(*look))
            for look, run in groupby(cells, key=lambda cell: cell[1:])
        ]

    def _style(self, tone: str, wash: str, shaded: bool, edge: int) -> Style:
        base = self.get_component_rich_style("chart--shaded") if shaded else self.rich_style
        if wash:
            ground = (
                self.get_component_styles("chart--shaded").background if shaded else self.background_colors[1]
            )
            band = ground.blend(self.get_component_styles(f"tone--{wash}").color, _WASH)
            colours = {1: (band, ground), -1: (ground, band)}.get(edge, (None, band))
            base += Style.from_color(*(colour and colour.rich_color for colour in colours))
        return tone_style(self, tone, base)

    def _label(self, scales: Axes, row: int, height: int) -> Segment:
        """The number at the axis, in the row in which it lies."""
        ticks = scales.y.ticks(_y_ticks(height))
        here = [tick for tick in ticks if _row(tick, scales, height) == row]
        text = tick_label(here[0]) if here else ""
        axis = self.get_component_rich_style("chart--axis")
        return Segment(f"{text:>{self._left(scales) - 2}} {'┤' if here else '│'}", axis)

    def _below(self, scales: Axes, width: int) -> list[Strip]:
        """The axis with its ticks, and their numbers, as far apart as they need to be."""
        left = self._left(scales)
        shaded = self._shaded(scales, width)
        line = ["━" if dark else "─" for dark in shaded]
        numbers = [" "] * (self.size.width - left)
        free = 0
        for tick in scales.x.ticks(width // 10):
            column = _column(tick, scales, width)
            if column is None:
                continue
            line[column] = "┴"
            text = tick_label(tick)
            start = max(0, min(column - len(text) // 2, len(numbers) - len(text)))
            if start >= free:
                numbers[start : start + len(text)] = text
                free = start + len(text) + 1
        if (column := _column(self.view.cursor, scales, width)) is not None:
            line[column] = "▲"
        axis = self.get_component_rich_style("chart--axis")
        return [
            Strip([Segment(" " * (left - 1) + "└" + "".join(line), axis)]),
            Strip([Segment(" " * left + "".join(numbers), axis)]),
        ]


def _washed(cell: _Cell, covered: NDArray[np.bool_]) -> _Cell:
    """A cell in a band that covers some of its quarters: where no line runs, to a quarter of a cell."""
    quarters = int(covered.sum())
    if quarters == DOWN:
        return cell
    if cell.text not in _EMPTY or covered[0] == covered[-1]:
        return cell if quarters * 2 >= DOWN else cell._replace(wash="")
    if covered[-1]:
        return cell._replace(text=_QUARTERS[quarters], edge=1)
    return cell._replace(text=_QUARTERS[DOWN - quarters], edge=-1)


def _drawn_curves(picture: Picture, scales: Axes, width: int, height: int) -> Raster:
    """Levels lie beneath, then all bands, then all lines."""
    raster = Raster(width, height)
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


def _tags(picture: Picture, scales: Axes, height: int) -> list[list[_Cell]]:
    """Each curve's letter beside its end, or in the nearest row that is free."""
    rows: dict[int, _Cell] = {}
    for curve in picture.curves:
        inside = np.isfinite(curve.y) & (curve.x <= scales.x.high)
        if not curve.tag or not inside.any():
            continue
        wanted = _row(float(curve.y[inside][-1]), scales, height, clip=True)
        free = [row for row in range(height) if row not in rows]
        if wanted is not None and free:
            rows[min(free, key=lambda row: abs(row - wanted))] = _Cell(curve.tag, curve.tone)
    blank = _Cell(" ")
    return [[blank, rows.get(row, blank)] for row in range(height)]


def _y_ticks(rows: int) -> int:
    return max(2, rows // 3 if rows > 12 else rows // 2)  # noqa: PLR2004 - a low plot needs its few rows


def _column(x: float | None, scales: Axes, width: int) -> int | None:
    if x is None:
        return None
    place = float(scales.x.place(x))
    return min(width - 1, int(place * width)) if 0 <= place <= 1 else None


def _row(y: float, scales: Axes, height: int, *, clip: bool = False) -> int | None:
    place = float(scales.y.place(y))
    if clip:
        place = min(1.0, max(0.0, place))
    return round((1 - place) * (height - 1)) if 0 <= place <= 1 else None


def moved(view: View, picture: Picture, stops: Floats, by: int) -> View:
    """The cursor some stops further, and the window after it where it would leave it.

    A first step to the right comes in at the left, one to the left at the right.
    """
    if not len(stops):
        return view
    low, high = view.window or picture.span
    if view.cursor is None:
        cursor = low if by > 0 else high
        return replace(view, cursor=float(stops[np.abs(stops - cursor).argmin()]))
    index = int(np.abs(stops - view.cursor).argmin()) + by
    cursor = float(stops[max(0, min(index, len(stops) - 1))])
    window = view.window
    if window is not None:
        shift = min(0.0, cursor - low) + max(0.0, cursor - high)
        window = (low + shift, high + shift)
    return replace(view, cursor=cursor, window=window)

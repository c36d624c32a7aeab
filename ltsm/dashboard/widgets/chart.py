"""A chart of curves with their bands; it reads without colour as well."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from ltsm.dashboard.widgets.plot import below, cells, frame, labels
from ltsm.dashboard.widgets.tones import COMPONENT_CLASSES, tone_style
from ltsm.dashboard.widgets.view import View
from ltsm.report.figures.values import Axis, Panel

if TYPE_CHECKING:
    from textual import events

    from ltsm.dashboard.widgets.plot import Cell, Look

EMPTY = Panel(Axis("", 0.0, 1.0), Axis("", 0.0, 1.0), ())
_WASH = 0.28
"""How much of its colour a band gives to the background."""


class Chart(Widget):
    """A panel as it is looked at. Clicking says which x was meant."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--title",
        "chart--axis",
        "chart--shaded",
        *COMPONENT_CLASSES,
    }

    panel: reactive[Panel] = reactive(EMPTY)
    view: reactive[View] = reactive(View())

    class Picked(Message):
        """A place was clicked."""

        def __init__(self, x: float) -> None:
            super().__init__()
            self.x = x

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._lines: tuple[object, list[Strip]] | None = None
        self._looks: dict[Look, Style] = {}

    def on_click(self, event: events.Click) -> None:
        """Say which x was clicked."""
        at = event.get_content_offset(self)
        framed = frame(self.panel, self.view, *self.size)
        if at is not None and framed is not None and (x := framed.pointed(at.x)) is not None:
            self.post_message(self.Picked(x))

    def notify_style_update(self) -> None:
        """Draw anew in the colours of another theme."""
        self._lines = None
        self._looks.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """One line of the drawing, which is made once for each size, panel and view."""
        of = (self.size, self.panel, self.view)
        if self._lines is None or self._lines[0] != of:
            self._lines = (of, self._drawn(*self.size))
        lines = self._lines[1]
        return lines[y] if y < len(lines) else Strip.blank(self.size.width, self.rich_style)

    def _drawn(self, width: int, height: int) -> list[Strip]:
        title, axis = (self.get_component_rich_style(f"chart--{part}") for part in ("title", "axis"))
        lines = [[Segment(self.panel.title, title)]]
        framed = frame(self.panel, self.view, width, height)
        if framed is not None:
            rows = cells(self.panel, self.view, framed, dotted=bool(self.app.no_color))
            for label, row in zip(labels(framed), rows, strict=True):
                lines.append([Segment(label, axis), *self._segments(row)])
            lines += [[Segment(text, axis)] for text in below(self.panel, self.view, framed)]
        return [Strip(line).adjust_cell_length(width, self.rich_style) for line in lines]

    def _segments(self, row: list[Cell]) -> list[Segment]:
        segments = []
        for look, run in groupby(row, key=attrgetter("look")):
            if look not in self._looks:
                self._looks[look] = self._style(*look)
            segments.append(Segment("".join([cell.text for cell in run]), self._looks[look]))
        return segments

    def _style(self, tone: str, wash: str, shaded: bool) -> Style:
        base = self.get_component_rich_style("chart--shaded") if shaded else self.rich_style
        if wash:
            inside = self.get_component_styles("chart--shaded").background
            ground = inside if shaded else self.background_colors[1]
            washed = ground.blend(self.get_component_styles(f"tone--{wash}").color, _WASH)
            base += Style(bgcolor=washed.rich_color)
        return tone_style(self, tone, base)

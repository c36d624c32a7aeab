"""What the screens with charts share: a cursor that reads values off, and a window that zooms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.reactive import var

from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.view import View

if TYPE_CHECKING:
    from textual.binding import BindingType

    from ltsm.report.bands import Floats
    from ltsm.report.figures.values import Panel


class Charted(Page):
    """A screen of charts over one axis."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "cursor(-1)", "Cursor", key_display="←→"),
        Binding("right", "cursor(1)", "Cursor to the right", show=False),
        Binding("shift+left", "cursor(-10)", "Ten values to the left", show=False),
        Binding("shift+right", "cursor(10)", "Ten values to the right", show=False),
        Binding("plus,equals_sign", "zoom(2)", "Zoom", key_display="+-"),
        Binding("minus", "zoom(0.5)", "Zoom out", show=False),
        Binding("0", "whole", "All of it, no cursor", show=False),
    ]

    view: var[View] = var(View(), init=False)

    @property
    def stops(self) -> Floats:
        """Every x at which there is something to read."""
        raise NotImplementedError

    @property
    def first_stop(self) -> float | None:
        """Where a first step leads; None: to the end of the chart from which it comes."""
        return None

    def draw(self) -> None:
        """Draw and list what is known."""
        raise NotImplementedError

    @property
    def _panel(self) -> Panel:
        return self.query(Chart).first().panel

    def watch_view(self) -> None:
        """Look at it so."""
        self.draw()

    def on_chart_picked(self, picked: Chart.Picked) -> None:
        """The cursor goes to what is next to the click."""
        self._move(picked.x, 0)

    def action_cursor(self, by: int) -> None:
        """Read off the values some stops further."""
        if self.view.cursor is None and self.first_stop is not None:
            self._move(self.first_stop, 0)
        else:
            self._move(self.view.cursor, by)

    def _move(self, cursor: float | None, by: int) -> None:
        self.view = replace(self.view, cursor=cursor).moved(self._panel, self.stops, by)

    def action_zoom(self, factor: float) -> None:
        """Look closer around the cursor."""
        self.view = self.view.zoomed(self._panel, factor)

    def action_whole(self) -> None:
        """Look at all of it."""
        self.view = View(log=self.view.log)

"""Screen 3: size and untrained accuracy of masks against how much they keep, and what each seed chose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import var

from ltsm.dashboard import words
from ltsm.dashboard.files import Table
from ltsm.dashboard.mask_lines import (
    ALL,
    ALL_STYLE,
    PAPER,
    Line,
    Masked,
    considered,
    lines,
    makers,
    masked,
    panel,
)
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.widgets.chart import EMPTY, Chart
from ltsm.dashboard.widgets.columns import Column
from ltsm.dashboard.widgets.plot import tone
from ltsm.dashboard.widgets.sheet import Sheet
from ltsm.dashboard.widgets.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.report.figures.values import Panel
    from ltsm.report.statistics import Summary

_EXPORTED = ("seed", "amount", "relative_size", "val_accuracy", "val_loss", "selected")


class Masks(Page):
    """Two charts over one axis of amounts, and a list of seeds: the one under the cursor is drawn too."""

    NAME = "masks"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "maker", "Other masks"),
        Binding("left", "cursor(-1)", "Amount", key_display="←→"),
        Binding("right", "cursor(1)", "Next amount", show=False),
        Binding("shift+left", "cursor(-5)", "Five amounts to the left", show=False),
        Binding("shift+right", "cursor(5)", "Five amounts to the right", show=False),
        Binding("plus,equals_sign", "zoom(2)", "Zoom", key_display="+-"),
        Binding("minus", "zoom(0.5)", "Zoom out", show=False),
        Binding("0", "whole", "Chosen masks"),
    ]

    view: var[View] = var(View(), init=False)
    recipe: var[str] = var("", init=False)

    def __init__(self) -> None:
        super().__init__()
        self._masks: Masked | None = None

    def body(self) -> ComposeResult:
        """Charts above or beside each other, and the seeds."""
        with Container(id="charts"):
            yield Chart(id="size")
            yield Chart(id="accuracy")
        yield Sheet[Line](key=lambda line: line.seed, id="choices")

    @property
    def choices(self) -> Sheet[Line]:
        """The list of seeds."""
        return self.query_one("#choices", Sheet)

    def show(self, moment: Moment) -> None:
        """Ask for the masks of the recipe chosen, or else of the first that has some."""
        found = makers(moment)
        if not found:
            self.answered(None)
            return
        recipe = self.recipe if self.recipe in found else found[0]
        self.ask(lambda source: masked(source, moment, recipe))

    def answered(self, answer: Masked | None) -> None:
        """Show them."""
        self._masks = answer
        self._list()
        self._draw()

    def _list(self) -> None:
        found, at = self._masks, self.view.cursor
        self.choices.show(*((lines(found, at), _columns(found, at)) if found else ([], [])))

    def _draw(self) -> None:
        line = self.choices.current
        for chart in self.query(Chart):
            chart.panel = self._panel(chart.id or "", line.seed if line else ALL)
            chart.view = self.view

    def _panel(self, what: str, seed: int) -> Panel:
        if self._masks is None:
            return replace(EMPTY, title="This study makes no masks.")
        cursor, over_seeds = self.view.cursor, self._masks.bands[what]
        found = None if cursor is None else over_seeds.at(cursor)
        reading = f"  ▲ {cursor:g}: {words.spread(found[0], found[1], 1)}" if found else ""
        return panel(self._masks, what, seed, reading)

    def on_sheet_moved(self) -> None:
        """Draw the seed under the cursor."""
        self._draw()

    def watch_view(self) -> None:
        """Look at it so, and list what is at the cursor."""
        self._list()
        self._draw()

    def watch_recipe(self) -> None:
        """Other masks, and all of them."""
        self.view = View()
        self._changed()

    def on_chart_picked(self, picked: Chart.Picked) -> None:
        """The cursor goes to the amount next to the click."""
        self._move(picked.x, 0)

    def action_maker(self) -> None:
        """The masks of the next recipe that makes some."""
        if self.dashboard.moment is not None and self._masks is not None:
            found = makers(self.dashboard.moment)
            self.recipe = found[(found.index(self._masks.recipe) + 1) % len(found)]

    def action_cursor(self, by: int) -> None:
        """To another amount, at first to the first that may be chosen."""
        if self.view.cursor is not None or self._masks is None:
            self._move(self.view.cursor, by)
            return
        shaded = considered(self._masks)
        self._move(shaded[0].low if shaded else None, 0 if shaded else by)

    def _move(self, cursor: float | None, by: int) -> None:
        stops = self._masks.bands["size"].x if self._masks else np.empty(0)
        self.view = replace(self.view, cursor=cursor).moved(self.query_one("#size", Chart).panel, stops, by)

    def action_zoom(self, factor: float) -> None:
        """Look closer around the cursor."""
        self.view = self.view.zoomed(self.query_one("#size", Chart).panel, factor)

    def action_whole(self) -> None:
        """All amounts, and each seed's own choice in the list."""
        self.view = View()

    def table(self) -> Table:
        """Every mask of every seed."""
        rows: list[list[Any]] = [
            [*(getattr(mask, name) for name in _EXPORTED), " ".join(map(str, mask.layer_sizes))]
            for seed in (self._masks.seeds.values() if self._masks else ())
            for mask in seed
        ]
        line = self.choices.current
        here = [line.name, line.amount.mean, line.size.mean, line.accuracy.mean] if line else None
        return Table([*_EXPORTED, "parameters kept per layer"], rows, here)


def _columns(found: Masked, at: float | None) -> list[Column[Line]]:
    layers = max((len(mask.layer_sizes) for seed in found.seeds.values() for mask in seed[:1]), default=0)
    return [
        Column(
            title="",
            width=9,
            left=True,
            value=lambda line: line.seed,
            text=lambda line: line.name,
            tone=lambda line: {ALL: tone(ALL_STYLE), PAPER: "muted"}.get(line.seed, ""),
        ),
        _number(found.by if at is None else f"at {found.by}", 13, lambda line: line.amount, 3),
        _number("size, %", 13, lambda line: line.size, 1),
        _number("accuracy, %", 13, lambda line: line.accuracy, 1),
        *(_layer(index) for index in range(layers)),
    ]


def _number(title: str, width: int, of: Callable[[Line], Summary], digits: int) -> Column[Line]:
    return Column(
        title=title,
        width=width,
        value=lambda line: of(line).mean,
        text=lambda line: words.spread(of(line).mean, of(line).sd, digits),
        tone=lambda line: "muted" if line.seed == PAPER else "",
    )


def _layer(index: int) -> Column[Line]:
    def kept(line: Line) -> float | None:
        return line.layers[index].mean if index < len(line.layers) else None

    return Column(
        title=f"layer {index + 1}", width=8, value=kept, text=lambda line: words.number(kept(line), 0)
    )

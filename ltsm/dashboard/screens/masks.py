"""Screen 3: size and untrained accuracy of masks against how much they keep, and what each seed chose."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
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
from ltsm.dashboard.screens.charted import Charted
from ltsm.dashboard.widgets.chart import EMPTY, Chart
from ltsm.dashboard.widgets.columns import Column, averaged, numbered, worded
from ltsm.dashboard.widgets.plot import tone
from ltsm.dashboard.widgets.sheet import Sheet
from ltsm.dashboard.widgets.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.report.bands import Floats
    from ltsm.report.figures.values import Panel
    from ltsm.report.statistics import Summary

_EXPORTED = ("seed", "amount", "relative_size", "val_accuracy", "val_loss", "selected")


class Masks(Charted):
    """Two charts over one axis of amounts, and a list of seeds: the one under the cursor is drawn too."""

    NAME = "masks"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "maker", "Other masks"),
    ]

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
        self.draw()

    def draw(self) -> None:
        """The charts, and the list of what is at the cursor."""
        found, at = self._masks, self.view.cursor
        self.choices.show(*((lines(found, at), _columns(found, at)) if found else ([], [])))
        self._charts()

    def _charts(self) -> None:
        line = self.choices.current
        for chart in self.query(Chart):
            chart.panel = self._shown(chart.id or "", line.seed if line else ALL)
            chart.view = self.view

    def _shown(self, what: str, seed: int) -> Panel:
        if self._masks is None:
            return replace(EMPTY, title="This study makes no masks.")
        cursor, over_seeds = self.view.cursor, self._masks.bands[what]
        found = None if cursor is None else over_seeds.at(cursor)
        reading = f"  ▲ {cursor:g}: {words.spread(found.mean, found.sd, 1)}" if found else ""
        return panel(self._masks, what, seed, reading)

    def on_sheet_moved(self) -> None:
        """Draw the seed under the cursor."""
        self._charts()

    def watch_recipe(self) -> None:
        """Other masks, and all of them."""
        self.view = View()
        self._changed()

    @property
    def stops(self) -> Floats:
        """Every amount."""
        return self._masks.bands["size"].x if self._masks else np.empty(0)

    @property
    def first_stop(self) -> float | None:
        """The first that may be chosen."""
        shaded = considered(self._masks) if self._masks else []
        return shaded[0].low if shaded else None

    def action_maker(self) -> None:
        """The masks of the next recipe that makes some."""
        if self.dashboard.moment is not None and self._masks is not None:
            found = makers(self.dashboard.moment)
            self.recipe = found[(found.index(self._masks.recipe) + 1) % len(found)]

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
    tones = {ALL: tone(ALL_STYLE), PAPER: "muted"}
    layers = max((len(mask.layer_sizes) for seed in found.seeds.values() for mask in seed[:1]), default=0)
    return [
        worded("", 9, lambda line: line.name, lambda line: tones.get(line.seed, "")),
        _number(found.by if at is None else f"at {found.by}", 13, lambda line: line.amount, 3),
        _number("size, %", 13, lambda line: line.size, 1),
        _number("accuracy, %", 13, lambda line: line.accuracy, 1),
        *(numbered(f"layer {i + 1}", 8, partial(_kept, i)) for i in range(layers)),
    ]


def _number(title: str, width: int, of: Callable[[Line], Summary], digits: int) -> Column[Line]:
    return averaged(
        title,
        width,
        of,
        digits,
        lambda line: "muted" if line.seed == PAPER else "",
    )


def _kept(layer: int, line: Line) -> float | None:
    return line.layers[layer].mean if layer < len(line.layers) else None

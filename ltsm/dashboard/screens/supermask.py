"""Screen 3: size and untrained accuracy against threshold, and what each seed chose (Figures 3 and 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import var

from ltsm.dashboard import words
from ltsm.report.bands import band
from ltsm.dashboard.files import Table
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.thresholds import ALL, PAPER, Line, Masks, Spread, lines, masks
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.columns import Column
from ltsm.dashboard.widgets.picture import Curve, Picture, Point, View, band_curve
from ltsm.dashboard.widgets.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.report.bands import Band
    from ltsm.dashboard.moment import Moment
    from ltsm.protocol import Protocol
    from ltsm.store.values import MaskRow

ALL_TONE, SEED_TONE = "series-2", "series-1"


class Supermask(Page):
    """Two charts over one axis of thresholds, and a list of seeds: the one under the cursor is drawn too."""

    NAME = "supermask"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "cursor(-1)", "Threshold", key_display="←→"),
        Binding("right", "cursor(1)", "Next threshold", show=False),
        Binding("shift+left", "cursor(-5)", "Five thresholds to the left", show=False),
        Binding("shift+right", "cursor(5)", "Five thresholds to the right", show=False),
        Binding("plus,equals_sign", "zoom(2)", "Zoom", key_display="+-"),
        Binding("minus", "zoom(0.5)", "Zoom out", show=False),
        Binding("0", "whole", "Chosen thresholds"),
    ]

    view: var[View] = var(View(), init=False)

    def __init__(self) -> None:
        super().__init__()
        self._masks: Masks | None = None

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
        """Ask for the masks."""
        self.ask(lambda source: masks(source, moment))

    def answered(self, answer: Masks) -> None:
        """Show them."""
        self._masks = answer
        self._list()
        self._draw()

    def _list(self) -> None:
        if self._masks is not None:
            self.choices.show(lines(self._masks, self.view.cursor), _columns(self._masks, self.view.cursor))

    def _draw(self) -> None:
        found, moment = self._masks, self.dashboard.moment
        if found is None or moment is None:
            return
        line = self.choices.current
        seed = line.seed if line else ALL
        self._picture("size", "relative size, %", found.size, _size, seed)
        self._picture("accuracy", "untrained accuracy, %", found.accuracy, _accuracy, seed)

    def _picture(
        self, chart_id: str, title: str, over_seeds: Band, value: Callable[[MaskRow], float], seed: int
    ) -> None:
        found, moment = self._masks, self.dashboard.moment
        assert found is not None  # noqa: S101 - the caller looked
        assert moment is not None  # noqa: S101
        chart = self.query_one(f"#{chart_id}", Chart)
        own = band([[(mask.threshold, value(mask)) for mask in found.seeds.get(seed, ())]])
        curves = [band_curve(over_seeds, tone=ALL_TONE), Curve(x=own.x, y=own.mean, tone=SEED_TONE)]
        chart.picture = Picture(
            title=f"{title}{self._reading(over_seeds)}",
            curves=tuple(curve for curve in curves if len(curve.x)),
            points=tuple(_points(found, value, seed)),
            shaded=_considered(moment.protocol),
        )
        chart.view = self.view

    def _reading(self, over_seeds: Band) -> str:
        cursor = self.view.cursor
        found = None if cursor is None else over_seeds.at(cursor)
        return f"  ▲ t = {cursor:g}: {words.spread(found[0], found[1], 1)}" if found else ""

    def on_sheet_moved(self) -> None:
        """Draw the seed under the cursor."""
        self._draw()

    def watch_view(self) -> None:
        """Look at it so, and list what is at the cursor."""
        self._list()
        self._draw()

    def on_chart_picked(self, picked: Chart.Picked) -> None:
        """The cursor goes to the threshold next to the click."""
        self._move(picked.x, 0)

    def action_cursor(self, by: int) -> None:
        """To another threshold, at first to the first that may be chosen."""
        moment = self.dashboard.moment
        if self.view.cursor is not None:
            self._move(self.view.cursor, by)
        elif moment is not None:
            self._move(moment.protocol.select_min, 0)

    def _move(self, cursor: float | None, by: int) -> None:
        stops = self._masks.size.x if self._masks else np.empty(0)
        self.view = replace(self.view, cursor=cursor).moved(self.query_one("#size", Chart).picture, stops, by)

    def action_zoom(self, factor: float) -> None:
        """Look closer around the cursor."""
        self.view = self.view.zoomed(self.query_one("#size", Chart).picture, factor)

    def action_whole(self) -> None:
        """All thresholds, and each seed's own choice in the list."""
        self.view = View()

    def table(self) -> Table:
        """Every mask of every seed."""
        found = self._masks.seeds if self._masks else {}
        rows = [_plain(mask) for seed in found.values() for mask in seed]
        titles = [
            "seed",
            "threshold",
            "relative size",
            "accuracy",
            "loss",
            "selected",
            "parameters kept per layer",
        ]
        line = self.choices.current
        here = [line.name, line.threshold.mean, line.size.mean, line.accuracy.mean] if line else None
        return Table(titles, rows, here)


def _plain(mask: MaskRow) -> list[Any]:
    layers = " ".join(map(str, mask.layer_sizes))
    return [
        mask.seed,
        mask.threshold,
        mask.relative_size,
        mask.val_accuracy,
        mask.val_loss,
        mask.selected,
        layers,
    ]


def _size(mask: MaskRow) -> float:
    return 100 * mask.relative_size


def _accuracy(mask: MaskRow) -> float:
    return 100 * mask.val_accuracy


def _points(found: Masks, value: Callable[[MaskRow], float], seed: int) -> list[Point]:
    """Each seed's choice; the one of the seed under the cursor on top, and filled."""
    chosen = sorted(found.selected, key=lambda mask: mask.seed == seed)
    return [
        Point(mask.threshold, value(mask), *((SEED_TONE, "◆") if mask.seed == seed else ("strong", "◇")))
        for mask in chosen
    ]


def _considered(protocol: Protocol) -> tuple[float, float]:
    """The range among which supermasks are chosen, half a step further on either side."""
    half = protocol.threshold_step / 2
    return protocol.select_min - half, protocol.select_max + half


def _columns(found: Masks, at: float | None) -> list[Column[Line]]:
    layers = max((len(mask.layer_sizes) for seed in found.seeds.values() for mask in seed[:1]), default=0)
    threshold = "threshold" if at is None else "at threshold"
    return [
        Column(
            title="",
            width=9,
            left=True,
            value=lambda line: line.seed,
            text=lambda line: line.name,
            tone=lambda line: {ALL: ALL_TONE, PAPER: "muted"}.get(line.seed, ""),
        ),
        _number(threshold, 13, lambda line: line.threshold, 3),
        _number("size, %", 13, lambda line: line.size, 1),
        _number("accuracy, %", 13, lambda line: line.accuracy, 1),
        *(_layer(index) for index in range(layers)),
    ]


def _number(title: str, width: int, of: Callable[[Line], Spread], digits: int) -> Column[Line]:
    return Column(
        title=title,
        width=width,
        value=lambda line: of(line).mean,
        text=lambda line: words.spread(*of(line), digits),
        tone=lambda line: "muted" if line.seed == PAPER else "",
    )


def _layer(index: int) -> Column[Line]:
    def kept(line: Line) -> float | None:
        return line.layers[index].mean if index < len(line.layers) else None

    return Column(
        title=f"layer {index + 1}", width=8, value=kept, text=lambda line: words.number(kept(line), 0)
    )

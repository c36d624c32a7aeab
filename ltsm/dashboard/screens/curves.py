"""Screen 2: any selection of runs against iteration, as mean and deviation over seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import var

from ltsm.dashboard import words
from ltsm.dashboard.curve_groups import MEASURES, Drawing, Group, drawing
from ltsm.dashboard.curve_picture import picture
from ltsm.dashboard.files import Table
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.selection import Selection, first_selection
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.columns import Column
from ltsm.dashboard.widgets.picture import View
from ltsm.dashboard.widgets.scale import tick_label
from ltsm.dashboard.widgets.sheet import Sheet

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.report.bands import Floats
    from ltsm.dashboard.moment import Moment

_DIGITS = {"val_loss": 4, "train_loss": 4, "val_accuracy": 4}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend: a group, its letter and tone, its values at the cursor."""

    group: Group
    tag: str
    tone: str
    mean: float | None = None
    deviation: float | None = None
    n: int | None = None


class Curves(Page):
    """Curves of groups of runs, and their values at the cursor."""

    NAME = "curves"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "show_or_hide", "Show/hide"),
        Binding("a", "alone", "Show this one alone", show=False),
        Binding("v", "measure", "Measure"),
        Binding("s", "seeds", "Seeds"),
        Binding("l", "log", "Log"),
        Binding("left", "cursor(-1)", "Cursor", key_display="←→"),
        Binding("right", "cursor(1)", "Cursor to the right", show=False),
        Binding("shift+left", "cursor(-10)", "Ten records to the left", show=False),
        Binding("shift+right", "cursor(10)", "Ten records to the right", show=False),
        Binding("plus,equals_sign", "zoom(2)", "Zoom", key_display="+-"),
        Binding("minus", "zoom(0.5)", "Zoom out", show=False),
        Binding("0", "whole", "All of it, no cursor", show=False),
    ]

    view: var[View] = var(View(), init=False)
    measure: var[str] = var("val_loss", init=False)
    single: var[bool] = var(default=False, init=False)

    def __init__(self) -> None:
        super().__init__()
        self._chosen: Selection | None = None
        self._drawing = Drawing((), {}, {})

    def body(self) -> ComposeResult:
        """The chart, and the legend with the values at the cursor."""
        with Container(id="split"):
            yield Chart()
            yield Sheet[Entry](key=lambda entry: entry.group.key, id="legend")

    @property
    def legend(self) -> Sheet[Entry]:
        """The groups."""
        return self.query_one("#legend", Sheet)

    @property
    def selection(self) -> Selection:
        """What is drawn: what the user chose, or else what is most worth seeing by now."""
        moment = self.dashboard.moment
        return self._chosen or (first_selection(moment) if moment else Selection())

    def show(self, moment: Moment) -> None:
        """Ask for the curves."""
        keys, measure = self.selection.keys, self.measure
        self.ask(lambda source: drawing(source, moment, keys, measure))

    def answered(self, answer: Drawing) -> None:
        """Draw them, if they are others; the legend counts on."""
        before, self._drawing = self._drawing, answer
        if answer.shows_the_same(before):
            self._list()
        else:
            self._draw()

    def _draw(self) -> None:
        chart = self.query_one(Chart)
        chart.picture = picture(self._drawing, self.selection, self.measure, single=self.single)
        chart.view = self.view
        self._list()

    def _list(self) -> None:
        entries = [self._entry(group) for group in self._drawing.groups]
        self.legend.show(entries, _columns(self.view.cursor, self.measure))

    def _entry(self, group: Group) -> Entry:
        selection = self.selection
        entry = Entry(group, selection.tag(group.key), selection.tone(group.key))
        band = self._drawing.bands.get(group.key)
        if band is None or not len(band.x):
            return entry
        cursor = self.view.cursor
        found = band.at(float(band.x[-1]) if cursor is None else cursor)
        return replace(entry, mean=found[0], deviation=found[1], n=found[2]) if found else entry

    def _changed_selection(self, selection: Selection) -> None:
        self._chosen = selection
        self._draw()
        self._changed()

    def watch_view(self) -> None:
        """Look at it so."""
        self._draw()

    def watch_single(self) -> None:
        """With or without single seeds."""
        self._draw()

    def watch_measure(self) -> None:
        """Other numbers are needed."""
        self._changed()

    def on_chart_picked(self, picked: Chart.Picked) -> None:
        """The cursor goes to the record next to the click."""
        self.view = replace(self.view, cursor=picked.x).moved(self.query_one(Chart).picture, self._stops, 0)

    def on_sheet_opened(self) -> None:
        """A double click does what space does."""
        self.action_show_or_hide()

    @property
    def _stops(self) -> Floats:
        """Every x at which something was recorded."""
        bands = self._drawing.bands.values()
        return np.unique(np.concatenate([band.x for band in bands])) if bands else np.empty(0)

    def action_show_or_hide(self) -> None:
        """Draw the group under the cursor, or stop drawing it."""
        if (entry := self.legend.current) is not None:
            self._changed_selection(self.selection.toggled(entry.group.key))

    def action_alone(self) -> None:
        """Draw the group under the cursor and no other."""
        if (entry := self.legend.current) is not None:
            self._changed_selection(Selection((entry.group.key,)))

    def action_measure(self) -> None:
        """The next of loss, accuracy and training loss."""
        names = list(MEASURES)
        self.measure = names[(names.index(self.measure) + 1) % len(names)]

    def action_seeds(self) -> None:
        """Single seeds in place of the band, or the band again."""
        self.single = not self.single

    def action_log(self) -> None:
        """A logarithmic axis, or a linear one again."""
        self.view = replace(self.view, log=not self.view.log)

    def action_cursor(self, by: int) -> None:
        """Read off the values some records further."""
        self.view = self.view.moved(self.query_one(Chart).picture, self._stops, by)

    def action_zoom(self, factor: float) -> None:
        """Look closer around the cursor."""
        self.view = self.view.zoomed(self.query_one(Chart).picture, factor)

    def action_whole(self) -> None:
        """Look at all of it."""
        self.view = View(log=self.view.log)

    def table(self) -> Table:
        """The bands as they are drawn, point by point."""
        rows: list[list[Any]] = [
            [group.name, int(x), mean, deviation, int(n)]
            for group in self._drawing.groups
            if (band := self._drawing.bands.get(group.key)) is not None
            for x, mean, deviation, n in zip(band.x, band.mean, band.deviation, band.n, strict=True)
        ]
        entry = self.legend.current
        here = [entry.group.name, self.view.cursor, entry.mean, entry.deviation, entry.n] if entry else None
        return Table(["network", "iteration", f"{self.measure} mean", "standard deviation", "n"], rows, here)


def _columns(cursor: float | None, measure: str) -> list[Column[Entry]]:
    at = "last record" if cursor is None else f"at {tick_label(cursor)}"
    digits = _DIGITS[measure]
    columns: list[Column[Entry]] = [
        Column(
            title="",
            width=3,
            value=lambda entry: entry.tag,
            text=lambda entry: f"[{entry.tag or ' '}]",
            tone=lambda entry: entry.tone,
        ),
        Column(
            title="network",
            width=18,
            left=True,
            value=lambda entry: entry.group.name,
            text=lambda entry: entry.group.name,
            tone=lambda entry: entry.tone,
        ),
        Column(
            title="runs",
            width=4,
            value=lambda entry: entry.group.started,
            text=lambda entry: str(entry.group.started),
        ),
        Column(
            title=at,
            width=18,
            value=lambda entry: entry.mean,
            text=lambda entry: words.spread(entry.mean, entry.deviation, digits),
        ),
        Column(title="n", width=3, value=lambda entry: entry.n, text=lambda entry: str(entry.n or "")),
    ]
    return [*columns, _PUBLISHED] if measure == "val_loss" else columns


_PUBLISHED: Column[Entry] = Column(
    title="paper min",
    width=9,
    value=lambda entry: entry.group.published,
    text=lambda entry: words.number(entry.group.published),
    tone=lambda _: "muted",
)

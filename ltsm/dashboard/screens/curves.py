"""Screen 2: any selection of runs against iteration, as mean and deviation over seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import var

from ltsm.dashboard import pins
from ltsm.dashboard.curve_groups import (
    SMOOTHED,
    Asked,
    Drawing,
    Line,
    difference,
    drawing,
    measures,
    of_others,
    panel,
)
from ltsm.dashboard.files import Table
from ltsm.dashboard.legend import PUBLISHED, Entry, Selection, first_selection, versus
from ltsm.dashboard.legend import columns as columns_of
from ltsm.dashboard.screens.charted import Charted
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.sheet import Sheet

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.pins import Pin
    from ltsm.report.bands import Floats

_BAND = ("x", "mean", "deviation", "n")


class Curves(Charted):
    """Curves of groups of runs, and their values at the cursor."""

    NAME = "curves"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "show_or_hide", "Show/hide"),
        Binding("a", "alone", "Show this one alone", show=False),
        Binding("v", "measure", "Measure"),
        Binding("s", "seeds", "Seeds"),
        Binding("l", "log", "Log"),
        Binding("m", "smooth", "Smooth over more records", show=False),
        Binding("d", "difference", "Difference to this one", show=False),
        Binding("i", "pin", "Pin: stays while another protocol is shown", show=False),
    ]

    records: var[int] = var(1, init=False)
    base: var[str] = var("", init=False)
    measure: var[str] = var("val_loss", init=False)
    single: var[bool] = var(default=False, init=False)

    def __init__(self) -> None:
        super().__init__()
        self._chosen: dict[str, Selection] = {}
        self._hidden: set[str] = set()
        self._drawing = Drawing()

    def body(self) -> ComposeResult:
        """The chart, and the legend with the values at the cursor."""
        with Container(id="split"):
            yield Chart()
            yield Sheet[Entry](key=lambda entry: entry.line.key, id="legend")

    @property
    def legend(self) -> Sheet[Entry]:
        """The groups."""
        return self.query_one("#legend", Sheet)

    @property
    def selection(self) -> Selection:
        """What is drawn: what the user chose for this study, or else what is most worth seeing by now; and what is pinned."""
        moment = self.dashboard.moment
        if moment is None:
            return Selection()
        found = self._chosen.get(moment.asked) or first_selection(moment)
        for pin in of_others(moment, self.dashboard.pins):
            found = found if pin.key in {*found.places, *self._hidden} else found.toggled(pin.key)
        return found

    @property
    def asked(self) -> Asked:
        """What is to be drawn."""
        return Asked(self.selection.keys, self.measure, self.dashboard.pins, self.records)

    def on_mount(self) -> None:
        """Be told of pins, too: other screens set them."""
        super().on_mount()
        self.watch(self.app, "pins", self._changed, init=False)

    def show(self, moment: Moment) -> None:
        """Ask for the curves."""
        if self.measure not in (known := measures(moment.study.recipes.values())):
            self.set_reactive(Curves.measure, known[0])  # another study is shown, which has no such numbers
        asked = self.asked
        self.ask(lambda source: drawing(source, moment, asked))

    def answered(self, answer: Drawing) -> None:
        """Draw them, if they are others; the legend counts on."""
        before, self._drawing = self._drawing, answer
        if answer.shows_the_same(before):
            self._list()
        else:
            self.draw()

    def draw(self) -> None:
        """The chart, and the legend with what is at the cursor."""
        chart = self.query_one(Chart)
        chart.panel = panel(self._drawing, self.selection, self.asked, single=self.single)
        chart.view = self.view
        self._list()

    def _list(self) -> None:
        selection, moment = self.selection, self.dashboard.moment
        entries = [self._entry(line, selection) for line in self._drawing.lines if moment]
        width = max((len(entry.line.name) for entry in entries), default=0)
        columns = columns_of(self.view.cursor, width, pinned=any(entry.pinned for entry in entries))
        self.set_class(self.base in self._drawing.curves, "-versus")
        if self.base in self._drawing.curves:
            columns.append(versus(selection.tag(self.base)))
        elif self.measure == "val_loss" and any(entry.line.published for entry in entries):
            columns.append(PUBLISHED)
        self.legend.show(entries, columns)

    def _entry(self, line: Line, selection: Selection) -> Entry:
        entry = Entry(line, selection.tag(line.key), selection.tone(line.key), pinned=self._is_pinned(line))
        curves = self._drawing.curves.get(line.key)
        if curves is None or not len(curves.band.x):
            return entry
        band, cursor, base = curves.band, self.view.cursor, self._drawing.curves.get(self.base)
        found = band.at(float(band.x[-1]) if cursor is None else cursor)
        if found is None:
            return entry
        versus = difference(curves, base, cursor) if base is not None and line.key != self.base else None
        return replace(entry, at=found, versus=versus)

    def _is_pinned(self, line: Line) -> bool:
        moment = self.dashboard.moment
        return moment is not None and _pin(line, moment) in self.dashboard.pins

    def _changed_selection(self, selection: Selection) -> None:
        if self.dashboard.moment is not None:
            self._chosen[self.dashboard.moment.asked] = selection
        self.draw()
        self._changed()

    def watch_single(self) -> None:
        """With or without single seeds."""
        self.draw()

    def watch_measure(self) -> None:
        """Other curves are needed."""
        self._changed()

    watch_records = watch_measure

    def watch_base(self) -> None:
        """Another difference, or none."""
        self._list()

    @property
    def stops(self) -> Floats:
        """Every x at which something was recorded."""
        return np.unique(np.concatenate([np.empty(0), *(c.band.x for c in self._drawing.curves.values())]))

    def action_show_or_hide(self) -> None:
        """Draw the group under the cursor, or stop drawing it."""
        if (entry := self.legend.current) is not None:
            found = self.selection.toggled(entry.line.key)
            self._hidden ^= {entry.line.key} if entry.line.pin else set()
            self._changed_selection(found)

    on_sheet_opened = action_show_or_hide  # a double click does what space does

    def action_alone(self) -> None:
        """Draw the group under the cursor and no other."""
        if (entry := self.legend.current) is not None:
            self._hidden = {pin.key for pin in self.dashboard.pins} - {entry.line.key}
            self._changed_selection(Selection((entry.line.key,)))

    def action_pin(self) -> None:
        """Keep the group under the cursor while another protocol or study is shown, or keep it no more."""
        entry, moment = self.legend.current, self.dashboard.moment
        if entry is None or moment is None:
            return
        pin = _pin(entry.line, moment)
        if entry.line.pin and pin.key in self.selection.places:  # it goes, and its colour is free
            self._chosen[moment.asked] = self.selection.toggled(pin.key)
        self._hidden.discard(pin.key)
        self.notify(pins.toggle(self.dashboard, pin), markup=False)

    def action_smooth(self) -> None:
        """Over more records; after the most over none."""
        self.records = SMOOTHED[(SMOOTHED.index(self.records) + 1) % len(SMOOTHED)]

    def action_difference(self) -> None:
        """Each group minus the one under the cursor, paired by seed; of the same one again no difference."""
        entry = self.legend.current
        if entry is not None:
            self.base = "" if self.base == entry.line.key else entry.line.key

    def action_measure(self) -> None:
        """The next of loss, accuracy, training loss, and what masks have that are trained."""
        moment = self.dashboard.moment
        names = measures(moment.study.recipes.values() if moment else ())
        self.measure = names[(names.index(self.measure) + 1) % len(names)]

    def action_seeds(self) -> None:
        """Single seeds in place of the band, or the band again."""
        self.single = not self.single

    def action_log(self) -> None:
        """A logarithmic axis, or a linear one again."""
        self.view = replace(self.view, log=not self.view.log)

    def table(self) -> Table:
        """The bands as they are drawn, point by point."""
        rows: list[list[Any]] = [
            [line.name, int(x), mean, deviation, int(n)]
            for line in self._drawing.lines
            if (curves := self._drawing.curves.get(line.key)) is not None
            for x, mean, deviation, n in zip(*(getattr(curves.band, of) for of in _BAND), strict=True)
        ]
        entry = self.legend.current
        at = (entry.at.mean, entry.at.sd, entry.at.n) if entry and entry.at else (None, None, None)
        here = [entry.line.name, self.view.cursor, *at] if entry else None
        return Table(["network", "iteration", f"{self.measure} mean", "standard deviation", "n"], rows, here)


def _pin(line: Line, moment: Moment) -> Pin:
    """The line's own pin, or the one that it would have."""
    return line.pin or pins.of_group(moment, line.group)

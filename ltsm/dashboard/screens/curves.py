"""Screen 2: any selection of runs against iteration, as mean and deviation over seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import var

from ltsm.dashboard.curve_groups import Drawing, Line, drawing, measures, panel
from ltsm.dashboard.files import Table
from ltsm.dashboard.screens.charted import Charted
from ltsm.dashboard.selection import Selection, first_selection
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.columns import Column, averaged, numbered, worded
from ltsm.dashboard.widgets.sheet import Sheet

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.report.bands import Floats

_BAND = ("x", "mean", "deviation", "n")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend: a group, its letter and tone, its values at the cursor."""

    line: Line
    tag: str
    tone: str
    mean: float | None = None
    deviation: float | None = None
    n: int | None = None


class Curves(Charted):
    """Curves of groups of runs, and their values at the cursor."""

    NAME = "curves"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "show_or_hide", "Show/hide"),
        Binding("a", "alone", "Show this one alone", show=False),
        Binding("v", "measure", "Measure"),
        Binding("s", "seeds", "Seeds"),
        Binding("l", "log", "Log"),
    ]

    measure: var[str] = var("val_loss", init=False)
    single: var[bool] = var(default=False, init=False)

    def __init__(self) -> None:
        super().__init__()
        self._chosen: dict[str, Selection] = {}
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
        """What is drawn: what the user chose for this study, or else what is most worth seeing by now."""
        moment = self.dashboard.moment
        return (self._chosen.get(moment.asked) or first_selection(moment)) if moment else Selection()

    def show(self, moment: Moment) -> None:
        """Ask for the curves."""
        if self.measure not in (known := measures(moment.study.recipes.values())):
            self.set_reactive(Curves.measure, known[0])  # another study is shown, which has no such numbers
        keys, measure = self.selection.keys, self.measure
        self.ask(lambda source: drawing(source, moment, keys, measure))

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
        chart.panel = panel(self._drawing, self.selection, self.measure, single=self.single)
        chart.view = self.view
        self._list()

    def _list(self) -> None:
        entries = [self._entry(line) for line in self._drawing.lines]
        published = self.measure == "val_loss" and any(entry.line.published for entry in entries)
        width = max((len(entry.line.name) for entry in entries), default=0)
        columns = _columns(self.view.cursor, width)
        self.legend.show(entries, [*columns, _PUBLISHED] if published else columns)

    def _entry(self, line: Line) -> Entry:
        selection = self.selection
        entry = Entry(line, selection.tag(line.key), selection.tone(line.key))
        curves = self._drawing.curves.get(line.key)
        if curves is None or not len(curves.band.x):
            return entry
        band, cursor = curves.band, self.view.cursor
        found = band.at(float(band.x[-1]) if cursor is None else cursor)
        return replace(entry, mean=found[0], deviation=found[1], n=found[2]) if found else entry

    def _changed_selection(self, selection: Selection) -> None:
        if self.dashboard.moment is not None:
            self._chosen[self.dashboard.moment.asked] = selection
        self.draw()
        self._changed()

    def watch_single(self) -> None:
        """With or without single seeds."""
        self.draw()

    def watch_measure(self) -> None:
        """Other numbers are needed."""
        self._changed()

    def on_sheet_opened(self) -> None:
        """A double click does what space does."""
        self.action_show_or_hide()

    @property
    def stops(self) -> Floats:
        """Every x at which something was recorded."""
        return np.unique(np.concatenate([np.empty(0), *(c.band.x for c in self._drawing.curves.values())]))

    def action_show_or_hide(self) -> None:
        """Draw the group under the cursor, or stop drawing it."""
        if (entry := self.legend.current) is not None:
            self._changed_selection(self.selection.toggled(entry.line.key))

    def action_alone(self) -> None:
        """Draw the group under the cursor and no other."""
        if (entry := self.legend.current) is not None:
            self._changed_selection(Selection((entry.line.key,)))

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
        here = [entry.line.name, self.view.cursor, entry.mean, entry.deviation, entry.n] if entry else None
        return Table(["network", "iteration", f"{self.measure} mean", "standard deviation", "n"], rows, here)


def _columns(cursor: float | None, width: int) -> list[Column[Entry]]:
    at = "last record" if cursor is None else f"at {cursor:,.0f}"
    return [
        Column(
            title="",
            width=3,
            value=lambda entry: entry.tag,
            text=lambda entry: f"[{entry.tag or ' '}]",
            tone=lambda entry: entry.tone,
        ),
        worded("network", min(24, max(16, width)), lambda entry: entry.line.name, lambda entry: entry.tone),
        numbered("runs", 4, lambda entry: entry.line.started),
        averaged(at, 18, lambda entry: (entry.mean, entry.deviation), 4),
        numbered("n", 3, lambda entry: entry.n),
    ]


_PUBLISHED: Column[Entry] = numbered("paper min", 9, lambda entry: entry.line.published, 3, lambda _: "muted")

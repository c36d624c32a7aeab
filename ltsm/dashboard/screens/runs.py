"""Screen 5: every run, filtered and sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.widgets import Input, Static

from ltsm.dashboard import pins
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.screens.run import OneRun
from ltsm.dashboard.widgets.columns import Column, numbered, worded
from ltsm.dashboard.widgets.sorting import SortedGrid
from ltsm.dashboard.words import GLYPHS, TONES
from ltsm.errors import LtsmError
from ltsm.report import filters
from ltsm.report.listing import Listed
from ltsm.report.progress import percent, speed
from ltsm.studies.names import sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment

EXAMPLE = f"filter, e.g.  {filters.EXAMPLE}"


class Runs(Page):
    """The list, and the line that filters it."""

    NAME = "runs"
    AUTO_FOCUS = "#runs"
    """The list has the keys first, not the filter."""
    _listed: Sequence[Listed] = ()
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open run"),
        Binding("slash", "filter", "Filter"),
        Binding("i", "pin", "Pin its curve"),
        Binding("escape", "list", "Back to the list", show=False),
    ]

    def body(self) -> ComposeResult:
        """The filter, what is wrong with it, and the runs."""
        yield Input(placeholder=EXAMPLE, id="filter", compact=True)
        yield Static(id="found", markup=False)
        yield SortedGrid[Listed](COLUMNS, key=lambda one: one.run.id, id="runs", fixed=2)

    @property
    def grid(self) -> SortedGrid[Listed]:
        """The list."""
        return self.query_one("#runs", SortedGrid)

    def show(self, moment: Moment) -> None:
        """Ask what was measured of the runs last."""
        self.ask(lambda source: source.listed(moment))

    def answered(self, answer: list[Listed]) -> None:
        """Show those that pass."""
        self._listed = answer
        self._filter()

    def _filter(self) -> None:
        """The runs that pass, in order; a filter half typed leaves the list as it is."""
        found, moment = self.query_one("#found", Static), self.dashboard.moment
        if moment is None:
            return
        try:
            passes = filters.parse(self.query_one("#filter", Input).value, moment.study.recipes)
        except LtsmError as error:
            found.update(f"{error.message} ({error.hint})" if error.hint else error.message)
            found.add_class("-wrong")
            return
        runs = [one for one in self._listed if passes(one)]
        found.update(f"{len(runs):,} of {len(self._listed):,} runs")
        found.remove_class("-wrong")
        self.grid.show(runs)

    def on_input_changed(self) -> None:
        """Filter while it is typed."""
        self._filter()

    def action_open(self) -> None:
        """The run under the cursor."""
        if (one := self.grid.current) is not None:
            self.app.push_screen(OneRun(one.run.id))

    on_sheet_opened = action_open

    def action_pin(self) -> None:
        """Draw the run under the cursor on the curves screen, whatever else is shown there; or no longer."""
        moment = self.dashboard.moment
        if moment is not None and (one := self.grid.current) is not None:
            self.notify(pins.toggle(self.dashboard, pins.of_run(moment, one.run)), markup=False)

    def action_filter(self) -> None:
        """Type one."""
        self.query_one("#filter", Input).focus()

    def action_list(self) -> None:
        """The keys move in the list again."""
        self.grid.focus()

    on_input_submitted = action_list


def _age(one: Listed) -> str:
    return f"{one.run.updated_at.astimezone():%m-%d %H:%M:%S}" if one.run.started_at else ""


def _reached(one: Listed) -> str:
    return f"{one.run.iteration:,}" + (f"/{one.run.iterations:,}" if one.run.iterations else "")


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


COLUMNS: tuple[Column[Listed], ...] = (
    Column(title="seed", width=6, value=lambda one: one.run.seed, text=lambda one: str(one.run.seed)),
    worded("recipe", 20, lambda one: one.run.recipe),
    Column(
        title="state",
        width=13,
        left=True,
        value=lambda one: one.run.state,
        text=lambda one: f"{GLYPHS[one.run.state]} {one.run.state}",
        tone=lambda one: TONES[one.run.state],
    ),
    numbered("loss", 7, lambda one: one.loss, 4),
    numbered("accuracy, %", 11, lambda one: _percent(one.accuracy), 2),
    numbered("size, %", 8, lambda one: _percent(one.run.relative_size), 1),
    numbered("%", 4, lambda one: percent(one.run)),
    Column(title="iteration", width=13, value=lambda one: one.run.iteration, text=_reached),
    numbered("best", 7, lambda one: one.run.best_iteration),
    worded("hidden", 10, lambda one: sizes(one.run.hidden)),
    numbered("it/s", 7, lambda one: speed(one.run)),
    numbered("seconds", 9, lambda one: one.run.seconds, 1),
    Column(title="last record", width=15, value=lambda one: one.run.updated_at, text=_age),
    worded("device", 14, lambda one: one.run.device),
    worded("worker", 24, lambda one: one.run.worker),
    worded("error", 60, lambda one: one.run.error),
)

"""Screen 5: every run, filtered and sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.widgets import Input, Static

from ltsm.dashboard import filters
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.screens.run import OneRun
from ltsm.dashboard.widgets.columns import Column, numbered, worded
from ltsm.dashboard.widgets.sorting import SortedGrid
from ltsm.dashboard.words import GLYPHS, TONES
from ltsm.errors import LtsmError
from ltsm.report.progress import percent, speed
from ltsm.store.values import RunRow
from ltsm.studies.names import sizes

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment

EXAMPLE = "filter, e.g.  kind:ticket recipe:random-mask seed:0-3 state:failed hidden:100,15"


class Runs(Page):
    """The list, and the line that filters it."""

    NAME = "runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open run"),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "list", "Back to the list", show=False),
    ]

    def body(self) -> ComposeResult:
        """The filter, what is wrong with it, and the runs."""
        yield Input(placeholder=EXAMPLE, id="filter", compact=True)
        yield Static(id="found", markup=False)
        yield SortedGrid[RunRow](COLUMNS, key=lambda run: run.id, id="runs", fixed=2)

    @property
    def grid(self) -> SortedGrid[RunRow]:
        """The list."""
        return self.query_one("#runs", SortedGrid)

    def on_mount(self) -> None:
        """The list has the keys first, not the filter."""
        super().on_mount()
        self.grid.focus()

    def show(self, moment: Moment) -> None:
        """The runs that pass, in order; a filter half typed leaves the list as it is."""
        found = self.query_one("#found", Static)
        try:
            passes = filters.parse(self.query_one("#filter", Input).value, moment.study.recipes)
        except LtsmError as error:
            found.update(f"{error.message} {error.hint}")
            found.add_class("-wrong")
            return
        runs = [run for run in moment.runs if passes(run)]
        found.update(f"{len(runs):,} of {len(moment.runs):,} runs")
        found.remove_class("-wrong")
        self.grid.show(runs)

    def on_input_changed(self) -> None:
        """Filter while it is typed."""
        self._changed()

    def on_input_submitted(self) -> None:
        """The filter is done with."""
        self.action_list()

    def on_sheet_opened(self) -> None:
        """The run under the cursor."""
        self.action_open()

    def action_open(self) -> None:
        """The run under the cursor."""
        if (run := self.grid.current) is not None:
            self.app.push_screen(OneRun(run.id))

    def action_filter(self) -> None:
        """Type one."""
        self.query_one("#filter", Input).focus()

    def action_list(self) -> None:
        """The keys move in the list again."""
        self.grid.focus()


def _age(run: RunRow) -> str:
    return f"{run.updated_at.astimezone():%m-%d %H:%M:%S}" if run.started_at else ""


COLUMNS: tuple[Column[RunRow], ...] = (
    Column(title="seed", width=6, value=lambda run: run.seed, text=lambda run: str(run.seed)),
    worded("recipe", 20, lambda run: run.recipe),
    worded("hidden", 10, lambda run: sizes(run.hidden)),
    Column(
        title="state",
        width=13,
        left=True,
        value=lambda run: run.state,
        text=lambda run: f"{GLYPHS[run.state]} {run.state}",
        tone=lambda run: TONES[run.state],
    ),
    numbered("%", 4, percent),
    Column(
        title="iteration",
        width=13,
        value=lambda run: run.iteration,
        text=lambda run: f"{run.iteration:,}" + (f"/{run.iterations:,}" if run.iterations else ""),
    ),
    numbered("best", 7, lambda run: run.best_iteration),
    numbered("it/s", 7, speed),
    numbered("seconds", 9, lambda run: run.seconds, 1),
    numbered("size, %", 8, lambda run: run.relative_size and 100 * run.relative_size, 1),
    Column(title="last record", width=15, value=lambda run: run.updated_at, text=_age),
    worded("device", 14, lambda run: run.device),
    worded("error", 60, lambda run: run.error),
)

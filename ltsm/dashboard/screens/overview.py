"""Screen 1: seeds × runs, what runs now, what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding

from ltsm.dashboard import seeds
from ltsm.dashboard.files import Table
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.screens.run import OneRun
from ltsm.dashboard.seeds import SeedRow
from ltsm.dashboard.widgets.progress import Counts, Failures, Now
from ltsm.dashboard.widgets.sheet import Grid

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import RunRow


class Overview(Page):
    """The whole sweep at a glance."""

    NAME = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open run"),
        Binding("f", "failure", "Next failure", show=False),
    ]

    def body(self) -> ComposeResult:
        """Failures, grid, counts, and what runs now."""
        yield Failures()
        yield Grid[SeedRow](key=lambda row: row.seed, id="seeds")
        yield Counts()
        yield Now()

    @property
    def grid(self) -> Grid[SeedRow]:
        """Seeds × runs."""
        return self.query_one("#seeds", Grid)

    def show(self, moment: Moment) -> None:
        """Every cell anew: only those in sight are drawn."""
        grid = self.grid
        columns = seeds.columns(moment, wide=self.size.width >= seeds.WIDE)
        grid.show(seeds.rows(moment), columns)
        if grid.column == 0:
            grid.column = 1
        self.query_one(Failures).show(moment)
        self.query_one(Counts).show(moment)
        self.query_one(Now).show(moment)

    def on_resize(self, event: events.Resize) -> None:
        """Cells as wide as there is room for."""
        if self.dashboard.moment is not None and event.size:
            self.show(self.dashboard.moment)

    def on_sheet_opened(self) -> None:
        """The run under the cursor."""
        self.action_open()

    def action_open(self) -> None:
        """The run under the cursor; the supermask has a screen of its own."""
        grid = self.grid
        if grid.current is None:
            return
        network = seeds.network(grid.columns[grid.column])
        if network == seeds.SUPERMASK:
            self.app.switch_mode("supermask")
        elif run := grid.current.runs.get(network):
            self.open_run(run)

    def action_failure(self) -> None:
        """To the next cell with a failed run."""
        grid = self.grid
        cells = seeds.failures(grid.rows, grid.columns)
        if cells:
            here = (grid.row, grid.column)
            grid.row, grid.column = min(cells, key=lambda cell: (cell <= here, cell))

    def open_run(self, run: RunRow) -> None:
        """A window with all of it."""
        self.app.push_screen(OneRun(run.id))

    def table(self) -> Table:
        """The states, as they are called in the store."""
        grid = self.grid

        def plain(row: SeedRow) -> list[Any]:
            return [column.value(row) for column in grid.columns]

        titles = [column.title.replace("\n", " ") for column in grid.columns]
        return Table(titles, [plain(row) for row in grid.rows], plain(grid.current) if grid.current else None)

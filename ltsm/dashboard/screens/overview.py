"""Screen 1: seeds × runs, what runs now, what failed."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding

from ltsm.dashboard import seeds
from ltsm.dashboard.curve_groups import drawing, followed
from ltsm.dashboard.curve_picture import picture
from ltsm.dashboard.files import Table
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.screens.run import OneRun
from ltsm.dashboard.seeds import SeedRow
from ltsm.dashboard.selection import first_selection
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.progress import Counts, Failures, Now
from ltsm.dashboard.widgets.sheet import Grid

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.curve_groups import Drawing
    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import RunRow


GLANCE_SECONDS = 8.0
"""The curves at the bottom cost more to draw than all the rest, and have a screen of their own."""


class Overview(Page):
    """The whole sweep at a glance."""

    NAME = "overview"
    _followed: object = None
    _glanced_at = 0.0
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open run"),
        Binding("f", "failure", "Next failure", show=False),
    ]

    def body(self) -> ComposeResult:
        """Failures, grid, counts, what runs now, and the curves most worth seeing, if there is room for them."""
        yield Failures()
        yield Grid[SeedRow](key=lambda row: row.seed, id="seeds")
        yield Counts()
        yield Now()
        yield Chart(id="glance")

    @property
    def grid(self) -> Grid[SeedRow]:
        """Seeds × runs."""
        return self.query_one("#seeds", Grid)

    def show(self, moment: Moment) -> None:
        """Every cell anew: only those in sight are drawn."""
        grid = self.grid
        columns = seeds.columns(seeds.networks(moment), wide=self.size.width >= seeds.WIDE)
        grid.show(seeds.rows(moment), columns)
        if grid.column == 0:
            grid.column = 1
        self.query_one(Failures).show(moment)
        self.query_one(Counts).show(moment)
        self.query_one(Now).show(moment)
        if self.has_class("-tall"):
            self._glance(moment)

    def _glance(self, moment: Moment) -> None:
        """Ask for the curves if they are others than before; now and then while a sweep goes on."""
        keys, nothing = first_selection(moment).keys, not self.query_one(Chart).picture.curves
        if moment.holder is not None and not nothing and monotonic() - self._glanced_at < GLANCE_SECONDS:
            return
        before, self._followed = self._followed, followed(moment, keys)
        if before != self._followed or nothing:
            self._glanced_at = monotonic()
            self.ask(lambda source: drawing(source, moment, keys, "val_loss"))

    def answered(self, answer: Drawing) -> None:
        """Draw the curves; their names stand in the title, for want of a legend."""
        moment = self.dashboard.moment
        if moment is None:
            return
        selection = first_selection(moment)
        names = [f"{selection.tag(g.key)} {g.name}" for g in answer.groups if selection.tag(g.key)]
        drawn = picture(answer, selection, "val_loss", single=False)
        self.query_one(Chart).picture = replace(drawn, title=f"{drawn.title}    {'   '.join(names)}")

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

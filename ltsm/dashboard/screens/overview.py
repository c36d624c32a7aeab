"""Screen 1: seeds × recipes, what runs now, what failed."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding

from ltsm.dashboard import seeds
from ltsm.dashboard.curve_groups import Asked, Drawing, drawing, panel
from ltsm.dashboard.legend import first_selection
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.screens.run import OneRun
from ltsm.dashboard.seeds import SeedRow
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.progress import Counts, Failures, Now
from ltsm.dashboard.widgets.sheet import Grid

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment

GLANCE_SECONDS = 8.0
"""The curves at the bottom cost more to draw than all the rest, and have a screen of their own."""


class Overview(Page):
    """The whole sweep at a glance."""

    NAME = "overview"
    _drawn = Drawing()
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
        """Seeds × recipes."""
        return self.query_one("#seeds", Grid)

    def show(self, moment: Moment) -> None:
        """Every cell anew: only those in sight are drawn."""
        grid = self.grid
        columns = seeds.columns(tuple(moment.study.recipes), self.size.width)
        grid.show(seeds.rows(moment), columns)
        if grid.column == 0:
            grid.column = 1
        self.query_one(Failures).show(moment)
        self.query_one(Counts).show(moment)
        self.query_one(Now).show(moment)
        if self.has_class("-tall"):
            self._glance(moment)

    def _glance(self, moment: Moment) -> None:
        """Ask for the curves; now and then while a sweep goes on."""
        nothing = not self._drawn.curves
        if moment.holder is None or nothing or monotonic() - self._glanced_at >= GLANCE_SECONDS:
            self._glanced_at = monotonic()
            asked = Asked(first_selection(moment).keys)
            self.ask(lambda source: drawing(source, moment, asked))

    def answered(self, answer: Drawing) -> None:
        """Draw the curves if they are others; their names stand in the title, for want of a legend."""
        moment, before, self._drawn = self.dashboard.moment, self._drawn, answer
        if moment is None or answer.shows_the_same(before):
            return
        selection = first_selection(moment)
        names = [f"{tag} {line.name}" for line in answer.lines if (tag := selection.tag(line.key))]
        drawn = panel(answer, selection, Asked(selection.keys), single=False)
        self.query_one(Chart).panel = replace(drawn, title=f"{drawn.title}    {'   '.join(names)}")

    def on_resize(self, event: events.Resize) -> None:
        """Cells as wide as there is room for."""
        if self.dashboard.moment is not None and event.size:
            self.show(self.dashboard.moment)

    def action_open(self) -> None:
        """The run under the cursor; one that only made masks has a screen of its own for them."""
        grid, moment = self.grid, self.dashboard.moment
        if grid.current is None or moment is None:
            return
        recipe = ("", *moment.study.recipes)[grid.column]  # the first column has the seeds
        run = grid.current.runs.get(recipe)
        if run is not None and run.id in moment.masks and moment.study.recipes[recipe].trains == "nothing":
            self.app.switch_mode("masks")
        elif run is not None:
            self.app.push_screen(OneRun(run.id))

    on_sheet_opened = action_open

    def action_failure(self) -> None:
        """To the next cell with a failed run."""
        grid = self.grid
        cells = seeds.failures(grid.rows, grid.columns)
        if cells:
            here = (grid.row, grid.column)
            grid.row, grid.column = min(cells, key=lambda cell: (cell <= here, cell))

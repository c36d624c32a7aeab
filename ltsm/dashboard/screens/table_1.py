"""Screen 4: Table 1, ours and the published one side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from ltsm.dashboard import files
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.sorting import By, in_order, next_order
from ltsm.dashboard.widgets.columns import Column
from ltsm.dashboard.widgets.sheet import Grid
from ltsm.dashboard.words import sizes

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.report.table1 import Cell, Row, Table

_ORDER = ("final_val_loss", "minimal_val_loss", "minimal_iteration", "relative_size")
"""The losses first: they are what 80 columns have room for."""
_TITLES = {
    "final_val_loss": "final loss",
    "minimal_val_loss": "minimal loss",
    "minimal_iteration": "its iteration",
    "relative_size": "relative size",
}
_UNLIKELY = 0.05


class Table1(Page):
    """The table as far as it is filled; sorted as in the paper, or by any column."""

    NAME = "table_1"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort by column"),
        Binding("o", "paper_order", "Paper's order"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._table: Table | None = None
        self._by: By = None

    def body(self) -> ComposeResult:
        """The table and what has to be said below it."""
        grid: Grid[Row] = Grid(key=lambda row: row.label, id="table")
        yield grid
        yield Static(id="caption")

    @property
    def grid(self) -> Grid[Row]:
        """The table."""
        return self.query_one("#table", Grid)

    def show(self, moment: Moment) -> None:
        """Ask for it."""
        self.ask(lambda source: source.table_1(moment))

    def answered(self, answer: Table) -> None:
        """Show it."""
        self._table = answer
        notes = [
            f"Mean ± sample standard deviation over n of {answer.seeds} seeds; p: Welch's t-test.",
            *answer.notes,
        ]
        self.query_one("#caption", Static).update(Content(" ").join(map(Content, notes)))
        self._list()

    def _list(self) -> None:
        if self._table is not None:
            columns = _columns(self._table)
            self.grid.show(in_order(self._table.rows, columns, self._by), columns, self._by)

    def on_sheet_titled(self) -> None:
        """A click on a title sorts by it."""
        self.action_sort()

    def action_sort(self) -> None:
        """By the column under the cursor: up, down, as in the paper."""
        self._by = next_order(self._by, self.grid.column)
        self._list()

    def action_paper_order(self) -> None:
        """As in the paper."""
        self._by = None
        self._list()

    def table(self) -> files.Table:
        """Numbers as exact as they are known."""
        grid = self.grid

        def plain(row: Row) -> list[Any]:
            return [column.value(row) for column in grid.columns]

        titles = [column.title.replace("\n", " ") for column in grid.columns]
        here = grid.current
        return files.Table(titles, [plain(row) for row in grid.rows], plain(here) if here else None)


def _columns(table: Table) -> list[Column[Row]]:
    """The network, n, then ours, the paper's and how well they agree, measure by measure."""
    names = [cell.column.result for cell in table.rows[0].cells] if table.rows else []
    places = [names.index(result) for result in _ORDER if result in names]
    pairs = [column for place in places for column in _pair(place, _TITLES[names[place]])]
    return [_NETWORK, _N, *pairs, *(_agreement(place, _TITLES[names[place]]) for place in places), _GROUP]


def _network(row: Row) -> str:
    """Short enough for 80 columns."""
    return (
        row.label
        if row.kind == "ticket"
        else sizes(row.hidden) + (" baseline" if "baseline" in row.label else "")
    )


_NETWORK: Column[Row] = Column(
    title="network", width=18, left=True, value=_network, text=_network, tone=lambda _: "strong"
)
_N: Column[Row] = Column(title="n", width=4, value=lambda row: row.n, text=lambda row: str(row.n))
_GROUP: Column[Row] = Column(
    title="group",
    width=16,
    left=True,
    value=lambda row: row.category,
    text=lambda row: row.category or "–",
)


def _pair(place: int, title: str) -> tuple[Column[Row], Column[Row]]:
    """Ours and the paper's."""
    width = len("4340.0 ± 222.1") if "iteration" in title else len("0.091 ± 0.007")

    def theirs(row: Row) -> float | None:
        cell = row.cells[place]
        return None if cell.theirs is None else cell.theirs.mean

    ours: Column[Row] = Column(
        title=f"{title}\nours",
        width=width,
        value=lambda row: row.cells[place].ours.mean,
        text=lambda row: row.cells[place].text,
    )
    paper: Column[Row] = Column(
        title=f"{title}\npaper",
        width=width,
        value=theirs,
        text=lambda row: row.cells[place].published,
        tone=lambda _: "muted",
    )
    return ours, paper


def _agreement(place: int, title: str) -> Column[Row]:
    def cell(row: Row) -> Cell:
        return row.cells[place]

    return Column(
        title=f"{title}\np",
        width=13,
        value=lambda row: cell(row).p,
        text=lambda row: cell(row).agreement.removeprefix("p = "),
        tone=lambda row: "warn" if cell(row).p < _UNLIKELY else "",
    )

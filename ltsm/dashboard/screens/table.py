"""Screen 4: the study's table, and the published one beside it where there is one."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from ltsm.dashboard import files
from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.sorting import By, in_order, next_order
from ltsm.dashboard.widgets.columns import Column
from ltsm.dashboard.widgets.sheet import Grid
from ltsm.studies.names import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.report.table import Cell, Row, Table

_FIRST = ("final_val_loss", "minimal_val_loss")
"""They are what 80 columns have room for."""
_UNLIKELY = 0.05


class StudyTable(Page):
    """The table as far as it is filled; sorted as the study is, or by any column."""

    NAME = "table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort by column"),
        Binding("o", "own_order", "The study's order"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._table: Table | None = None
        self._by: By = None

    def body(self) -> ComposeResult:
        """The table and what has to be said below it."""
        grid: Grid[Row] = Grid(key=lambda row: row.group.label, id="table")
        yield grid
        yield Static(id="caption")

    @property
    def grid(self) -> Grid[Row]:
        """The table."""
        return self.query_one("#table", Grid)

    def show(self, moment: Moment) -> None:
        """Ask for it."""
        self.ask(lambda source: source.table(moment))

    def answered(self, answer: Table) -> None:
        """Show it."""
        self._table = answer
        test = "; p: Welch's t-test" if answer.compared else ""
        notes = [f"Mean ± sample standard deviation over n of {answer.seeds} seeds{test}.", *answer.notes]
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
        """By the column under the cursor: up, down, as in the study."""
        self._by = next_order(self._by, self.grid.column)
        self._list()

    def action_own_order(self) -> None:
        """As in the study."""
        self._by = None
        self._list()

    def table(self) -> files.Table:
        """Numbers as exact as they are known."""
        return files.of_sheet(self.grid)


def _columns(table: Table) -> list[Column[Row]]:
    """The group, n, then our numbers, and where there are any the published ones and how well they agree."""
    places = sorted(range(len(table.columns)), key=lambda i: table.columns[i].result not in _FIRST)
    found = [_words(table, "network", _name), _N]
    for place in places:
        found.append(_numbers(table, place, "ours" * table.compared, _ours, lambda cell: cell.text))
        if table.compared:
            found.append(_numbers(table, place, "paper", _theirs, lambda cell: cell.published, "muted"))
    if table.compared:
        found += [_numbers(table, place, "p", lambda cell: cell.p, _agreement) for place in places]
    return [*found, *[_words(table, "group", lambda row: row.category or "–")] * table.categories]


def _name(row: Row) -> str:
    return title(row.group.label)


def _ours(cell: Cell) -> float:
    return cell.ours.mean


def _theirs(cell: Cell) -> float | None:
    return None if cell.theirs is None else cell.theirs.mean


def _agreement(cell: Cell) -> str:
    return cell.agreement.removeprefix("p = ")


_N: Column[Row] = Column(title="n", width=4, value=lambda row: row.n, text=lambda row: str(row.n))


def _words(table: Table, title: str, of: Callable[[Row], str]) -> Column[Row]:
    width = max((len(of(row)) for row in table.rows), default=8)
    return Column(title=title, width=min(width, 24), left=True, value=of, text=of, tone=lambda _: "strong")


def _numbers(
    table: Table,
    place: int,
    whose: str,
    value: Callable[[Cell], float | None],
    text: Callable[[Cell], str],
    tone: str = "",
) -> Column[Row]:
    heading = table.columns[place].heading.replace("validation ", "").lower()
    width = max(12, *map(len, heading.split()), *(len(text(row.cells[place])) for row in table.rows))

    def toned(row: Row) -> str:
        return tone or ("warn" if whose == "p" and row.cells[place].p < _UNLIKELY else "")

    return Column(
        title="\n".join([*wrap(heading, width), *[whose] * bool(whose)]),
        width=width,
        value=lambda row: value(row.cells[place]),
        text=lambda row: text(row.cells[place]),
        tone=toned,
    )

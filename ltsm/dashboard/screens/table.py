"""Screen 4: the study's table, and the published one beside it where there is one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from textwrap import wrap
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.widgets.columns import Column, worded
from ltsm.dashboard.widgets.sorting import SortedGrid
from ltsm.studies.names import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from ltsm.dashboard.moment import Moment
    from ltsm.report.table import Cell, Row, Table

_FIRST = ("final_val_loss", "minimal_val_loss")
"""They are what 80 columns have room for."""
_UNLIKELY = 0.05


class StudyTable(Page):
    """The table as far as it is filled; sorted as the study is, or by any column."""

    NAME = "table"

    def body(self) -> ComposeResult:
        """The table and what has to be said below it."""
        grid: SortedGrid[Row] = SortedGrid(key=lambda row: row.group.label, id="table")
        yield grid
        yield Static(id="caption")

    @property
    def grid(self) -> SortedGrid[Row]:
        """The table."""
        return self.query_one("#table", SortedGrid)

    def show(self, moment: Moment) -> None:
        """Ask for it."""
        self.ask(lambda source: source.table(moment))

    def answered(self, answer: Table) -> None:
        """Show it."""
        test = "; p: Welch's t-test" if answer.compared else ""
        notes = [f"Mean ± sample standard deviation over n of {answer.seeds} seeds{test}.", *answer.notes]
        self.query_one("#caption", Static).update(Content(" ").join(map(Content, notes)))
        self.grid.show(answer.rows, _columns(answer))


def _columns(table: Table) -> list[Column[Row]]:
    """The group, n, then our numbers, and where there are any the published ones and how well they agree."""
    places = sorted(range(len(table.columns)), key=lambda i: table.columns[i].result not in _FIRST)
    found = [_words(table, "network", _name), _N]
    for place in places:
        ours = _numbers(table, place, "ours" * table.compared, _ours, lambda cell: cell.text)
        found.append(replace(ours, deviation=partial(_deviation, place, "ours")))
        if table.compared:
            theirs = _numbers(table, place, "paper", _theirs, lambda cell: cell.published, "muted")
            found.append(replace(theirs, deviation=partial(_deviation, place, "theirs")))
    if table.compared:
        found += [_numbers(table, place, "p", lambda cell: cell.p, _agreement) for place in places]
    return [*found, *[_words(table, "group", lambda row: row.category or "–")] * table.categories]


def _name(row: Row) -> str:
    return title(row.group.label)


def _ours(cell: Cell) -> float:
    return cell.ours.mean


def _theirs(cell: Cell) -> float | None:
    return None if cell.theirs is None else cell.theirs.mean


def _deviation(place: int, whose: str, row: Row) -> float | None:
    """What stands after ±; None where nothing is published."""
    summary = getattr(row.cells[place], whose)
    return None if summary is None else summary.sd


def _agreement(cell: Cell) -> str:
    return cell.agreement.removeprefix("p = ")


_N: Column[Row] = Column(title="n", width=4, value=lambda row: row.n, text=lambda row: str(row.n))


def _words(table: Table, title: str, of: Callable[[Row], str]) -> Column[Row]:
    return worded(
        title, min(24, max((len(of(row)) for row in table.rows), default=8)), of, lambda _: "strong"
    )


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

"""Screen 4: the study's table, and the published one beside it where there is one."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding
from textual.content import Content
from textual.reactive import var
from textual.widgets import Static

from ltsm.dashboard.screens.page import Page
from ltsm.dashboard.widgets.columns import Column, averaged, parts, worded
from ltsm.dashboard.widgets.sorting import SortedGrid
from ltsm.report.measure import LOSS, MEASURES
from ltsm.studies.names import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.source import Source
    from ltsm.report.paired import Comparison
    from ltsm.report.statistics import Summary
    from ltsm.report.table import Cell, Row, Table

_FIRST = ("final_val_loss", "minimal_val_loss", "final_val_accuracy")
"""They are what 80 columns have room for."""
_UNLIKELY = 0.05


class _Shown(NamedTuple):
    """The table, and where they are asked for the differences from its reference, by group."""

    table: Table
    differences: Comparison | None


class StudyTable(Page):
    """The table as far as it is filled; sorted as the study is, or by any column."""

    NAME = "table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "measure", "Measure"),
        Binding("d", "differences", "Differences"),
        Binding("a", "published", "Against paper"),
    ]

    measure: var[str] = var("loss", init=False)
    compared: var[bool] = var(default=False, init=False)
    published: var[bool] = var(default=False, init=False)

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
        measure, compared = MEASURES[self.measure], self.compared

        def asked(source: Source) -> _Shown:
            found = source.differences(moment, measure) if compared else None
            return _Shown(source.table(moment, measure), found)

        self.ask(asked)

    def answered(self, answer: _Shown) -> None:
        """Show it."""
        table, published = answer.table, answer.table.compared and self.published
        notes = [f"Mean ± sample standard deviation over n of {table.seeds} seeds{_said(answer, published)}."]
        self.query_one("#caption", Static).update(Content(" ").join(map(Content, [*notes, *table.notes])))
        found = _columns(table, published=published)
        if answer.differences is not None:
            found.insert(2, _difference(answer.differences))
        self.grid.show(table.rows, found)

    def watch_measure(self) -> None:
        """Another table, or other columns."""
        self._changed()

    watch_compared = watch_published = watch_measure

    def action_measure(self) -> None:
        """Losses or accuracies."""
        names = list(MEASURES)
        self.measure = names[(names.index(self.measure) + 1) % len(names)]

    def action_differences(self) -> None:
        """The reference minus each other group, paired by seed; or no longer."""
        self.compared = not self.compared

    def action_published(self) -> None:
        """The published values beside ours; or no longer."""
        self.published = not self.published


def _said(shown: _Shown, published: bool) -> str:
    """What the columns on demand are."""
    pairs = "; differences are paired by seed" * (shown.differences is not None)
    there = shown.table.compared and not published
    return pairs + "; p: Welch's t-test" * published + "; a: published values" * there


def _columns(table: Table, *, published: bool) -> list[Column[Row]]:
    """The group, n, then our numbers, and if asked for the published ones and how well they agree."""
    # 100 columns have no room for losses and accuracies: those are a table of their own.
    losses = table.measure == LOSS and any("loss" in c.result for c in table.columns)
    shown = [i for i, c in enumerate(table.columns) if not losses or "accuracy" not in c.result]
    places = sorted(shown, key=lambda i: table.columns[i].result not in _FIRST)
    found = [_words(table, "network", lambda row: title(row.group.label)), _N]
    for place in places:
        found.append(_numbers(table, place, "ours" * published, attrgetter("ours"), attrgetter("text")))
        if published:
            of, text = attrgetter("theirs"), attrgetter("published")
            found.append(_numbers(table, place, "paper", of, text, "muted"))
    if published:
        found += [_p(table, place) for place in places]
    return [*found, *[_words(table, "group", lambda row: row.category or "–")] * table.categories]


def _difference(found: Comparison) -> Column[Row]:
    """The reference minus the row; nothing for the reference itself."""
    pairs = {pair.label: pair.difference for pair in found.pairs}
    heading = found.column.heading.replace("validation ", "").lower()
    reference = found.heading.removesuffix(" minus …")
    lines = [*wrap(heading, 16), *wrap(f"{reference} −", 16)[:2]]
    return averaged("\n".join(lines), 16, lambda row: pairs.get(title(row.group.label)), found.column.digits)


def _p(table: Table, place: int) -> Column[Row]:
    """How well ours and the published one agree; sorted by p."""
    found = _numbers(table, place, "p", lambda _: None, lambda cell: cell.agreement.removeprefix("p = "))
    return replace(found, value=lambda row: row.cells[place].p, deviation=None)


_N: Column[Row] = Column(title="n", width=4, value=lambda row: row.n, text=lambda row: str(row.n))


def _words(table: Table, title: str, of: Callable[[Row], str]) -> Column[Row]:
    return worded(
        title, min(24, max((len(of(row)) for row in table.rows), default=8)), of, lambda _: "strong"
    )


def _numbers(
    table: Table,
    place: int,
    whose: str,
    of: Callable[[Cell], Summary | None],
    text: Callable[[Cell], str],
    tone: str = "",
) -> Column[Row]:
    heading = table.columns[place].heading.replace("validation ", "").lower()
    width = max(12, *map(len, heading.split()), *(len(text(row.cells[place])) for row in table.rows))

    def toned(row: Row) -> str:
        return tone or ("warn" if whose == "p" and row.cells[place].p < _UNLIKELY else "")

    def summary(row: Row) -> Summary | None:
        return of(row.cells[place])

    mean, deviation = parts(summary)
    return Column(
        title="\n".join([*wrap(heading, width), *[whose] * bool(whose)]),
        width=width,
        value=mean,
        text=lambda row: text(row.cells[place]),
        tone=toned,
        deviation=deviation,
    )

"""A grid whose rows are sorted by any of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.binding import Binding

from ltsm.dashboard.widgets.columns import is_missing
from ltsm.dashboard.widgets.sheet import Grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from ltsm.dashboard.widgets.columns import Column

T = TypeVar("T")
By = tuple[int, bool] | None
"""A column's index, and True for downwards; None: as they come."""


class SortedGrid(Grid[T]):
    """Sorts by the column under the cursor: up, down, as they come. A click on a title does so too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort by column"),
        Binding("o", "unsort", "As they come", show=False),
    ]
    by: By = None
    _given: Sequence[T] = ()

    def show(self, rows: Sequence[T], columns: Sequence[Column[T]] | None = None, by: By = None) -> None:
        """Show these rows from now on, in the order chosen; `by` is not for others to say."""
        self._given, by = rows, self.by
        super().show(in_order(rows, self.columns if columns is None else columns, by), columns, by)

    def action_sort(self) -> None:
        """By the column under the cursor."""
        self.by = next_order(self.by, self.column)
        self.show(self._given)

    on_sheet_titled = action_sort  # a click on a title sorts by it

    def action_unsort(self) -> None:
        """As they come."""
        self.by = None
        self.show(self._given)


def next_order(by: By, column: int) -> By:
    """Sorting by a column once more turns it round, and then takes it back."""
    if by is None or by[0] != column:
        return (column, False)
    return None if by[1] else (column, True)


def in_order(rows: Sequence[T], columns: Sequence[Column[T]], by: By) -> Sequence[T]:
    """The rows sorted; what has no value comes last either way."""
    if by is None or by[0] >= len(columns):
        return rows
    value = columns[by[0]].value
    there = [row for row in rows if not is_missing(value(row))]
    missing = [row for row in rows if is_missing(value(row))]
    return [*sorted(there, key=value, reverse=by[1]), *missing]

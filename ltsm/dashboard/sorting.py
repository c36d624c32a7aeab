"""Sort the rows of a sheet by one of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ltsm.dashboard.widgets.columns import order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.dashboard.widgets.columns import Column

T = TypeVar("T")
By = tuple[int, bool] | None
"""A column's index, and True for downwards; None: as they come."""


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
    there = [row for row in rows if not order(value(row))[0]]
    missing = [row for row in rows if order(value(row))[0]]
    return [*sorted(there, key=value, reverse=by[1]), *missing]

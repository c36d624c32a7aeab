"""Rows as bytes that a seal is taken of, read through SQLite's own driver: SQLAlchemy takes several times as long."""

from __future__ import annotations

import sqlite3
from itertools import groupby
from typing import TYPE_CHECKING

from ltsm.store.engine import chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Table


def driver(connection: Connection) -> sqlite3.Connection:
    """The driver's connection, in the same transaction."""
    found = connection.connection.driver_connection
    assert isinstance(found, sqlite3.Connection)  # noqa: S101 - engine.connect makes no other
    return found


def packed_rows(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows of any values."""
    return repr(list(rows)).encode("utf-8", "backslashreplace")


def rows_of(table: Table, order: str, run: str = "run_id") -> str:
    """The query for all of a table's columns, of the runs between two, both included; their ids come first."""
    columns = ", ".join([run, *(c.name for c in table.columns if c.name != run)])
    return f"SELECT {columns} FROM {table.name} WHERE {run} BETWEEN ? AND ? ORDER BY {run}, {order}"  # noqa: S608 - the schema's own names


def stretches(run_ids: Iterable[int], size: int) -> Iterator[Sequence[int]]:
    """The ids as consecutive ones, at most so many at a time: what is read of some runs is read of all between the first and the last."""
    ids = enumerate(sorted(run_ids))
    for _, together in groupby(ids, key=lambda pair: pair[1] - pair[0]):
        yield from chunks([run_id for _, run_id in together], size)

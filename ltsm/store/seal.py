"""Digests over what the store holds, so that a flipped bit is found and not believed.

SQLite checks the structure of its file, not what stands in it: a loss with one bit flipped is another loss.
So every transaction that changes a run also writes a SHA-256 over its row, its records and its masks; another
covers the tables' definitions, the protocols and which runs there are.
"""

from __future__ import annotations

import hashlib
import sqlite3
from itertools import groupby, starmap
from operator import itemgetter
from struct import Struct, error
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError

from ltsm.store import models

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

PLAN = "plan"
"""The name of the seal over definitions, protocols and the list of runs; a run's is its id."""
OURS = ("alembic_version", "protocol", "run", "metric", "mask", "seal", "result", "table_1")
"""Tables and views under seal: a view or an index that somebody added changes no result."""
_RECORD = Struct("<2q3d")
# Only finite numbers are stored, so infinity can stand for NULL.
_RECORDS = """SELECT run_id, iteration, coalesce(train_loss, 9e999), coalesce(val_loss, 9e999),
              coalesce(val_accuracy, 9e999) FROM metric WHERE run_id BETWEEN ? AND ? ORDER BY run_id, iteration"""
_MASKS = """SELECT run_id, threshold, relative_size, layer_sizes, val_loss, val_accuracy, selected, bits
            FROM mask WHERE run_id BETWEEN ? AND ? ORDER BY run_id, threshold"""
_COLUMNS = ", ".join(column.name for column in models.run.columns)
_RUNS = f"SELECT {_COLUMNS} FROM run WHERE id BETWEEN ? AND ? ORDER BY id"  # noqa: S608 - the schema's own names
_AT_ONCE = 200


def seal_plan(connection: Connection) -> None:
    """Write the seal over definitions, protocols and the list of runs; for the transaction that changed them."""
    _write(connection, {PLAN: _plan_digest(connection)})


def seal_runs(connection: Connection, run_ids: Sequence[int]) -> None:
    """Write the seals of these runs; for the transaction that changed them."""
    for some in _chunks(run_ids):
        _write(connection, {str(run_id): digest for run_id, digest in _run_digests(connection, some)})


def seal_all(connection: Connection) -> None:
    """Write every seal anew: after a migration, which changes rows and definitions."""
    connection.execute(delete(models.seal))
    seal_plan(connection)
    seal_runs(connection, _run_ids(connection))


def broken(connection: Connection) -> Iterator[str]:
    """What is not as it was written, each named in a few words."""
    seals = {row.name: row.sha256 for row in connection.execute(select(models.seal))}
    if seals.get(PLAN) != _plan_digest(connection):
        yield "the tables, the protocols or the list of runs are not as they were written"
    for some in _chunks(_run_ids(connection)):
        for run_id, digest in _run_digests(connection, some):
            if seals.get(str(run_id)) != digest:
                yield f"the row, the records or the masks of run {run_id} are not as they were written"


def faults(connection: Connection, *, sealed: bool) -> list[str]:
    """Everything that is wrong with a store: SQLite's own check, dangling rows and, where there are seals, those.

    Never raises for damage: what cannot be read is a fault.
    """
    found: list[str] = []
    try:
        checks = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
        found += [str(check) for check in checks if check != "ok"]
        dangling = connection.exec_driver_sql("PRAGMA foreign_key_check")
        found += [f"{table} row {row} names no {other}" for table, row, other, _ in dangling]
        if sealed:
            found += broken(connection)
    # ValueError, TypeError, error: values of another type than their column's
    except (DatabaseError, sqlite3.Error, ValueError, TypeError, error) as fault:
        found.append(str(getattr(fault, "orig", fault)))
    return found


def _plan_digest(connection: Connection) -> str:
    names = ", ".join(f"'{name}'" for name in OURS)
    definitions = f"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name IN ({names}) ORDER BY name"  # noqa: S608 - our own words
    digest = hashlib.sha256()
    for query in (
        definitions,
        "SELECT version_num FROM alembic_version",
        "SELECT id, name, fingerprint, settings, created_at FROM protocol ORDER BY id",
        "SELECT id FROM run ORDER BY id",
    ):
        digest.update(_packed_rows(_driver(connection).execute(query)))
    return digest.hexdigest()


def _run_digests(connection: Connection, run_ids: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The digest of each run: its row as it is stored, its records in order, its masks with their bits."""
    parts = {run_id: hashlib.sha256() for run_id in run_ids}
    for query, packed in ((_RUNS, _packed_rows), (_RECORDS, _packed_records), (_MASKS, _packed_rows)):
        # The driver's own cursor: a thousand seeds have 700,000 records, which SQLAlchemy takes seconds to hand over.
        rows = _driver(connection).execute(query, (min(run_ids), max(run_ids)))
        for run_id, found in groupby(rows, key=itemgetter(0)):
            if run_id in parts:
                parts[run_id].update(packed(found))
    return ((run_id, digest.hexdigest()) for run_id, digest in parts.items())


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - engine.connect makes no other
    return driver


def _packed_rows(rows: Iterable[Sequence[object]]) -> bytes:
    return repr(list(rows)).encode("utf-8", "backslashreplace")


def _packed_records(rows: Iterable[tuple[int, int, float, float, float]]) -> bytes:
    return b"".join(starmap(_RECORD.pack, rows))


def _run_ids(connection: Connection) -> list[int]:
    return list(connection.exec_driver_sql("SELECT id FROM run ORDER BY id").scalars())


def _write(connection: Connection, digests: dict[str, str]) -> None:
    row = insert(models.seal)
    row = row.on_conflict_do_update(index_elements=["name"], set_={"sha256": row.excluded.sha256})
    if digests:
        connection.execute(row, [{"name": name, "sha256": digest} for name, digest in digests.items()])


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]

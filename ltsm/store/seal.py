"""Digests over what the store holds, so that a flipped bit is found and not believed.

SQLite checks the structure of its file, not what stands in it: a loss with one bit flipped is another loss.
So every transaction that changes a run also writes a SHA-256 over its row, its files, its needs, its masks and the
seals of its records, which are taken block by block: a run of a million records is not hashed anew at every segment.
Another covers the tables' definitions, the protocols, the recipes and which runs there are. What is shown of many runs
has seals of its own: see `seal_shown`.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from itertools import groupby, starmap
from operator import itemgetter
from struct import Struct, error
from typing import TYPE_CHECKING

from sqlalchemy import delete
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError

from ltsm.store import models, seal_0002, seal_shown
from ltsm.store.digests import driver, packed_rows, rows_of, stretches
from ltsm.store.engine import chunks
from ltsm.store.locked import cause

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection

    from ltsm.store.seal_shown import Shown

    Blocks = dict[int, dict[int, str]]

UNSEALED = ("0001",)
"""Versions of the store that had no seals."""
PLAN = "plan"
"""The name of the seal over definitions, protocols, recipes and the list of runs; a run's is its id, a block's `id:block`."""
OURS = (
    *("alembic_version", "protocol", "recipe", "run", "file", "need", "metric", "mask", "seal"),
    *("result", "table_1"),
)
"""Tables and views under seal: a view or an index that somebody added changes no result."""
BLOCK = 8_192
"""Iterations whose records are hashed together: what a segment adds costs at most the hash of one block."""
_RECORD = Struct("<2q9d")
# Only finite numbers are stored, so infinity can stand for NULL.
_VALUES = (
    *("train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy"),
    *("density", "sampled_loss", "sampled_accuracy", "sampled_test_accuracy"),
)
_RECORDS = f"""SELECT run_id, iteration, {", ".join(f"coalesce({name}, 9e999)" for name in _VALUES)}
               FROM metric WHERE run_id BETWEEN ? AND ? AND iteration >= ? ORDER BY run_id, iteration"""  # noqa: S608 - our own words
_PARTS = (
    rows_of(models.run, "id", "id"),
    rows_of(models.file, "role, iteration"),
    rows_of(models.need, "role"),
    rows_of(models.mask, "amount"),
)
_AT_ONCE = 200
_LOOKED_UP = ("protocol", "recipe", "run")
# ValueError, TypeError, error: values of another type than their column's
_DAMAGE = (DatabaseError, sqlite3.Error, ValueError, TypeError, error)


def seal_plan(connection: Connection) -> None:
    """Write the seal over definitions, protocols and the list of runs; for the transaction that changed them."""
    _write(connection, {PLAN: _plan_digest(connection)})


def seal_runs(connection: Connection, run_ids: Sequence[int], since: int = 0) -> None:
    """Write the seals of these runs; for the transaction that changed them.

    Args:
        connection: the transaction.
        run_ids: which runs.
        since: no record of an earlier iteration has been changed.
    """
    first = since // BLOCK
    for some in stretches(run_ids, _AT_ONCE):
        fresh, known = _block_digests(connection, some, first * BLOCK), _known_blocks(connection, some)
        blocks: Blocks = {}
        for run_id in some:
            before = {block: digest for block, digest in known[run_id].items() if block < first}
            blocks[run_id] = before | fresh[run_id]
            _forget(connection, [f"{run_id}:{b}" for b in known[run_id].keys() - blocks[run_id].keys()])
        seals = {f"{run_id}:{block}": d for run_id, found in fresh.items() for block, d in found.items()}
        _write(connection, seals | {str(i): d for i, d in _run_digests(connection, some, blocks).items()})
    seal_shown.renew(connection, run_ids)


def unseal_runs(connection: Connection, run_ids: Sequence[int]) -> None:
    """Forget the seals of runs that are deleted; for the transaction that deletes them."""
    for some in chunks(run_ids, _AT_ONCE):
        for run_id, blocks in _known_blocks(connection, some).items():
            _forget(connection, [f"{run_id}:{block}" for block in blocks])
        _forget(connection, [str(run_id) for run_id in some])
    seal_shown.renew(connection, run_ids)


def seal_all(connection: Connection) -> None:
    """Write every seal anew: after a migration, which changes rows and definitions."""
    connection.execute(delete(models.seal))
    seal_plan(connection)
    seal_runs(connection, _run_ids(connection))


def broken(connection: Connection) -> Iterator[str]:
    """What is not as it was written, each named in a few words."""
    seals = dict(driver(connection).execute("SELECT name, sha256 FROM seal"))
    if seals.get(PLAN) != _plan_digest(connection):
        yield "the tables, the protocols, the recipes or the list of runs are not as they were written"
    for some in chunks(_run_ids(connection), _AT_ONCE):
        blocks = _block_digests(connection, some)
        for run_id, digest in _run_digests(connection, some, blocks).items():
            same = all(seals.get(f"{run_id}:{block}") == d for block, d in blocks[run_id].items())
            if seals.get(str(run_id)) != digest or not same:
                yield f"the row, the records or the masks of run {run_id} are not as they were written"


def complete(connection: Connection) -> None:
    """Write what `unbroken` goes by, where an older ltsm left it out; for the transaction of a writer who has checked all."""
    if seal_shown.lacking(connection):
        seal_shown.renew(connection, _run_ids(connection))


def unbroken(connection: Connection, shown: Collection[Shown]) -> bool:
    """Whether what is shown of a store is sure to be as it was written: the plan, and these of its runs' numbers.

    Nothing else is looked at. Where it says no, `faults` tells what is wrong, or that nothing is.
    """
    try:
        known = driver(connection).execute("SELECT sha256 FROM seal WHERE name = ?", (PLAN,)).fetchone()
        if known != (_plan_digest(connection),):
            return False
        return all(_is_whole(connection, name) for name in _LOOKED_UP) and fit(connection, shown)
    except _DAMAGE:
        return False


def fit(connection: Connection, shown: Collection[Shown], take: seal_shown.Take = seal_shown.NOBODY) -> bool:
    """Whether these of the runs' numbers are as they were written; `take` as in `seal_shown.fit`."""
    try:
        return seal_shown.fit(connection, shown, take)
    except _DAMAGE:
        return False


def _is_whole(connection: Connection, table: str) -> bool:
    """Whether SQLite finds all rows of a table by its indexes."""
    return driver(connection).execute(f"PRAGMA integrity_check({table})").fetchall() == [("ok",)]


def faults(connection: Connection) -> list[str]:
    """Everything that is wrong with a store: SQLite's own check, dangling rows and, where there are seals, those.

    Never raises for damage: what cannot be read is a fault.
    """
    found: list[str] = []
    try:
        checks = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
        found += [str(check) for check in checks if check != "ok"]
        dangling = connection.exec_driver_sql("PRAGMA foreign_key_check")
        found += [f"{table} row {row} names no {other}" for table, row, other, _ in dangling]
        version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        if version in UNSEALED:
            return found
        found += seal_0002.broken(driver(connection)) if version == "0002" else broken(connection)
    except _DAMAGE as fault:
        found.append(cause(fault))
    return found


def _plan_digest(connection: Connection) -> str:
    names = ", ".join(f"'{name}'" for name in OURS)
    definitions = f"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name IN ({names}) ORDER BY name"  # noqa: S608 - our own words
    digest = hashlib.sha256()
    for query in (
        definitions,
        "SELECT version_num FROM alembic_version",
        "SELECT id, name, fingerprint, settings, created_at FROM protocol ORDER BY id",
        "SELECT id, fingerprint, name, settings FROM recipe ORDER BY id",
        "SELECT id FROM run ORDER BY id",
    ):
        digest.update(packed_rows(driver(connection).execute(query)))
    return digest.hexdigest()


def _run_digests(connection: Connection, run_ids: Sequence[int], blocks: Blocks) -> dict[int, str]:
    """The digest of each run: its row, files, needs and masks with their bits, and its records' blocks."""
    parts = {run_id: hashlib.sha256() for run_id in run_ids}
    for query in _PARTS:
        rows = driver(connection).execute(query, (min(run_ids), max(run_ids)))
        for run_id, found in groupby(rows, key=itemgetter(0)):
            if run_id in parts:
                parts[run_id].update(packed_rows(found))
    for run_id, part in parts.items():
        part.update(repr(sorted(blocks[run_id].items())).encode())
    return {run_id: part.hexdigest() for run_id, part in parts.items()}


def _block_digests(connection: Connection, run_ids: Sequence[int], since: int = 0) -> Blocks:
    """Each run's records from an iteration on, which begins a block: block by block."""
    found: Blocks = {run_id: {} for run_id in run_ids}
    # The driver's own cursor: a thousand seeds have 700,000 records, which SQLAlchemy takes seconds to hand over.
    rows = driver(connection).execute(_RECORDS, (min(run_ids), max(run_ids), since))
    for (run_id, block), records in groupby(rows, key=lambda row: (row[0], row[1] // BLOCK)):
        if run_id in found:
            found[run_id][block] = hashlib.sha256(b"".join(starmap(_RECORD.pack, records))).hexdigest()
    return found


def _known_blocks(connection: Connection, run_ids: Sequence[int]) -> Blocks:
    """The blocks that have seals."""
    found: Blocks = defaultdict(dict)
    for run_id in run_ids:
        query = "SELECT name, sha256 FROM seal WHERE name > ? AND name < ?"
        for name, digest in driver(connection).execute(query, (f"{run_id}:", f"{run_id};")):
            found[run_id][int(name.partition(":")[2])] = digest
    return found


def _forget(connection: Connection, names: Sequence[str]) -> None:
    if names:
        connection.execute(delete(models.seal).where(models.seal.c.name.in_(names)))


def _run_ids(connection: Connection) -> list[int]:
    return [run_id for (run_id,) in driver(connection).execute("SELECT id FROM run ORDER BY id")]


def _write(connection: Connection, digests: dict[str, str]) -> None:
    row = insert(models.seal)
    row = row.on_conflict_do_update(index_elements=["name"], set_={"sha256": row.excluded.sha256})
    if digests:
        connection.execute(row, [{"name": name, "sha256": digest} for name, digest in digests.items()])

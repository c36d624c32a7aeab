"""Connections: everything that is SQLite's own stands here."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from ltsm.errors import StoreError, UsageError
from ltsm.grammar import typed
from ltsm.paths import read_path
from ltsm.store import locked
from ltsm.store.filesystem import is_network

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

log = logging.getLogger(__name__)

T = TypeVar("T")

SQLITE_VERSION = sqlite3.sqlite_version
OLDEST_SQLITE = (3, 24, 0)
"""Before it there was no ON CONFLICT, and there were faults that damage files (sqlite.org/howtocorrupt.html, section 8)."""
WAL_RESET_FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""Until these, two connections that write or checkpoint at one moment may lose a commit (sqlite.org/wal.html#walresetbug)."""
SYNCHRONOUS = ("NORMAL", "FULL", "EXTRA")
VFS = ""
"""Added to every address; a test names another of SQLite's ways to files here."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open store: the SQLite file and its connections. Weights lie in the same folder."""

    path: Path
    engine: Engine

    @property
    def folder(self) -> Path:
        """Where the paths in the rows start."""
        return self.path.parent

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def chunks(ids: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """SQLite takes only so many values in one statement."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def store_path(url: str | Path) -> Path:
    """The SQLite file that `--store` names: a path, or `sqlite:///path`.

    Raises:
        StoreError: another kind of database.
    """
    text = str(url).removeprefix("sqlite:///")
    if not text or "\0" in text or text == ":memory:" or not Path(text).absolute().name:
        raise StoreError("--store names no file.", "--store results/ltsm.db")
    if "://" in text:
        raise StoreError(
            f"only SQLite stores are supported, not {text.split('://')[0]}.", "--store results/ltsm.db"
        )
    path = read_path(text, "--store")
    path = path if path.name else path.absolute()
    try:
        # Lock, log and weights lie beside the file itself, so that a link to it is no second store.
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError) as error:
        raise StoreError(
            f"cannot follow the link {path}: {error}.", "choose another with --store FILE"
        ) from error


def sqlite_fault(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """What is known to damage stores in this SQLite version, for a sentence; "" when nothing is.

    ltsm itself never gives the fault an occasion: one process writes, on one connection, and readers cannot checkpoint.
    """
    fixed = next((f for f in WAL_RESET_FIXED if f[:2] == version[:2]), max(WAL_RESET_FIXED))
    if version >= fixed:
        return ""
    return (
        f"versions before {'.'.join(map(str, fixed))} may lose a commit when two programs write at one moment"
    )


def synchronous(environ: Mapping[str, str]) -> str:
    """How hard each commit is pushed to the disk: LTSM_SYNCHRONOUS, else NORMAL.

    Raises:
        UsageError: it is something else.
    """
    named = environ.get("LTSM_SYNCHRONOUS", "").upper() or SYNCHRONOUS[0]
    if named not in SYNCHRONOUS:
        raise UsageError(f"LTSM_SYNCHRONOUS must be {' or '.join(SYNCHRONOUS)}, not {named!r}.")
    return named


def connect(path: Path, *, read_only: bool, wait: bool = False, still: bool = False) -> Store:
    """Connections to the SQLite file at `path`; opened when first used.

    A writer waits half a minute for another program that writes, or with `wait` as long as it takes.

    Readers cannot write, whatever they try. Where even SQLite's own shared memory cannot be made
    beside the file (a read-only folder) they read it as immutable; and where it is known to be `still`, so that
    nothing is made beside it.

    Raises:
        StoreError: this SQLite is too old, or the store so damaged that it cannot even be asked.
        UsageError: LTSM_SYNCHRONOUS is no level.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise StoreError(
            f"this Python has SQLite {SQLITE_VERSION}, which may damage stores.",
            f"use a Python with SQLite {oldest} or newer",
        )
    level = synchronous(os.environ)
    mode = "immutable=1" if still else _readable_mode(path) if read_only else "mode=rwc"
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{mode}{VFS}"

    def opened() -> sqlite3.Connection:
        return sqlite3.connect(
            uri, uri=True, timeout=locked.BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )

    # None of SQLAlchemy's own transaction control: `isolation_level=None` hands it all to _begin.
    engine = create_engine("sqlite://", creator=opened, poolclass=QueuePool, pool_size=2)
    event.listen(engine, "connect", _reading if read_only else partial(_writing, path=path, level=level))
    patience = math.inf if wait else locked.BUSY_SECONDS
    writing = partial(locked.begin, path=path, patience=patience)
    event.listen(engine, "begin", _begin_reading if read_only else writing)
    return Store(path, engine)


def _readable_mode(path: Path) -> str:
    """`mode=ro`, or `immutable=1` where a write-ahead log cannot be shared and none is there to be read."""
    try:
        probe = sqlite3.connect(
            f"file:{quote(os.fsencode(path.absolute()))}?mode=ro", uri=True, timeout=locked.BUSY_SECONDS
        )
    except sqlite3.OperationalError:
        return "mode=ro"  # the first query says what is wrong
    try:
        probe.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        return "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    except sqlite3.DatabaseError:
        return "mode=ro"
    except UnicodeDecodeError as error:
        # SQLite's complaint quotes what it found, and Python cannot read that.
        hint = "restore a backup, or choose another with --store FILE"
        raise StoreError(
            f"the store {path} is damaged: its tables' definitions are no text.", hint
        ) from error
    finally:
        probe.close()
    return "mode=ro"


_CAUTION = ("mmap_size=0", "trusted_schema=OFF", "cell_size_check=ON")
"""A store may come from anybody: views and triggers in it may call nothing, and damaged pages are met early."""


def _reading(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("query_only=ON", *_CAUTION):
        connection.execute(f"PRAGMA {pragma}")


def _writing(connection: sqlite3.Connection, _record: object, *, path: Path, level: str) -> None:
    for pragma in ("foreign_keys=ON", *_CAUTION):
        connection.execute(f"PRAGMA {pragma}")
    wanted = "delete" if is_network(path.absolute().parent) else "wal"
    found = _journal(connection, wanted)
    if found != "wal":
        log.warning(
            "%s lies on a file system without shared memory: SQLite keeps a rollback journal there, and who reads"
            " may have to wait for who writes.",
            path,
        )
    # NORMAL keeps a committed transaction through a killed process; only a power cut may take the last ones,
    # and a run then goes on from an older checkpoint to the same bits. A rollback journal needs more.
    connection.execute(f"PRAGMA synchronous={'FULL' if found != 'wal' and level == 'NORMAL' else level}")


def _journal(connection: sqlite3.Connection, wanted: str) -> str:
    """Set the journal's mode and return what SQLite made of it: where it cannot have a log it says so or fails."""
    try:
        found = str(connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "lock" not in str(error) or wanted == "delete":
            raise
        found = str(connection.execute("PRAGMA journal_mode=delete").fetchone()[0])
    if wanted == "delete" and found == "wal":
        raise sqlite3.OperationalError("its write-ahead log cannot be turned off on this network file system")
    return found


def compact(store: Store) -> None:
    """Give the file's free pages back to the disk; where that fails, nothing is lost but the space.

    The copy that SQLite makes meanwhile needs as much room as the store.
    """
    try:
        with store.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - `connect` makes no other
            driver.execute("VACUUM")
    except (DatabaseError, sqlite3.Error) as error:
        log.warning("the space that is free in %s stays in it: %s", store.path, locked.cause(error))


def journal_mode(path: Path) -> str:
    """How the store at `path` keeps its journal: wal, delete, …; changes nothing."""
    try:
        with closing(connect(path, read_only=True)) as store, store.engine.connect() as connection:
            return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
    except DatabaseError as error:
        raise StoreError(
            f"the store {path} cannot be read: {error.orig}.", typed(["db", "check"], path)
        ) from error


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")

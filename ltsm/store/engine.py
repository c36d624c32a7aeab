"""Connections: everything that is SQLite's own stands here."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from ltsm.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

BUSY_SECONDS = 30.0
SQLITE_VERSION = sqlite3.sqlite_version


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


def store_path(url: str | Path) -> Path:
    """The SQLite file that `--store` names: a path, or `sqlite:///path`.

    Raises:
        StoreError: another kind of database.
    """
    text = str(url).removeprefix("sqlite:///")
    if "://" in text:
        raise StoreError(
            f"only SQLite stores are supported, not {text.split('://')[0]}.", "--store results/ltsm.db"
        )
    return Path(text)


def connect(path: Path, *, read_only: bool) -> Store:
    """Connections to the SQLite file at `path`; opened when first used.

    Readers cannot write, whatever they try. Where even SQLite's own shared memory cannot be made
    beside the file (a read-only folder) they read it as immutable.
    """
    mode = _readable_mode(path) if read_only else "mode=rwc"
    uri = f"file:{quote(str(path.absolute()))}?{mode}"

    def opened() -> sqlite3.Connection:
        return sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )

    # None of SQLAlchemy's own transaction control: `isolation_level=None` hands it all to _begin.
    engine = create_engine("sqlite://", creator=opened, poolclass=QueuePool, pool_size=2)
    event.listen(engine, "connect", _reading if read_only else _writing)
    event.listen(engine, "begin", _begin_reading if read_only else _begin_writing)
    return Store(path, engine)


def _readable_mode(path: Path) -> str:
    """`mode=ro`, or `immutable=1` where a write-ahead log cannot be shared and none is there to be read."""
    try:
        probe = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    except sqlite3.OperationalError:
        return "mode=ro"  # the first query says what is wrong
    try:
        probe.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        return "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    except sqlite3.DatabaseError:
        return "mode=ro"
    finally:
        probe.close()
    return "mode=ro"


def _reading(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("query_only=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")


def _writing(connection: sqlite3.Connection, _record: object) -> None:
    # NORMAL keeps a committed transaction through a killed process; only a power cut may take the last ones,
    # and a run then goes on from an older checkpoint to the same bits.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Connection) -> None:
    # At once, or two writers that both began by reading would lock each other out.
    connection.exec_driver_sql("BEGIN IMMEDIATE")

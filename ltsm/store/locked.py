"""When another program holds SQLite's write lock: who it is, where that can be told, and how long to wait for it."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DatabaseError

from ltsm.errors import StoreError
from ltsm.notation import visible

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection

log = logging.getLogger(__name__)

LOCKS = Path("/proc/locks")
BUSY_SECONDS = 30.0
"""How long SQLite waits for a lock before it says so."""
_ROUND_S = 0.5
"""SQLite hears no signal while it waits: so the write lock is waited for in rounds as short as this."""


def begin(connection: Connection, path: Path, patience: float) -> None:
    """Begin to write at once, or two writers that both began by reading would lock each other out.

    Args:
        connection: of the store at `path`.
        path: of the store.
        patience: seconds to wait for another program; infinity is allowed.

    Raises:
        DatabaseError: another program holds the lock for longer.
    """
    end, told = time.monotonic() + patience, False
    connection.exec_driver_sql(f"PRAGMA busy_timeout={round(1000 * min(_ROUND_S, patience))}")
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            break
        except DatabaseError as error:
            if not is_locked(error) or time.monotonic() >= end:
                raise
            if not told:
                log.warning("%s is locked by %s: waiting for it", path, holder(path) or "another program")
            told = True
    connection.exec_driver_sql(f"PRAGMA busy_timeout={round(1000 * BUSY_SECONDS)}")


def cannot_write(path: Path, error: DatabaseError | sqlite3.Error) -> StoreError:
    """The sentence for a store that could not be written."""
    if is_locked(error):
        return StoreError(
            f"cannot write the store {path}: {holder(path) or 'another program'} keeps it locked.",
            "end that program; or --wait waits for it as long as it takes",
        )
    hint = "make space if the disk is full, then type the same command again: it goes on where it stopped"
    return StoreError(f"cannot write the store {path}: {cause(error)}.", hint)


def cause(error: Exception) -> str:
    """What went wrong, in the system's words or SQLite's own: SQLAlchemy's show the statement."""
    return str(getattr(error, "strerror", None) or getattr(error, "orig", error))


def is_locked(error: DatabaseError | sqlite3.Error) -> bool:
    """Whether it is another program's lock that hindered SQLite."""
    return "database is locked" in cause(error)


def holder(path: Path) -> str:
    """The other program that holds a write lock on the store, as "sqlite3 ltsm.db (process 71)"; "" where unknown."""
    names = (path, path.with_name(f"{path.name}-shm"))
    files = [name.stat().st_ino for name in names if name.exists()]
    with suppress(OSError, ValueError, IndexError):
        for line in LOCKS.read_text(encoding="ascii").splitlines():
            # number: kind, advisory or mandatory, READ or WRITE, process, device:inode, first and last byte
            words = line.split()
            process, inode = int(words[4]), int(words[5].rpartition(":")[2])
            if words[3] == "WRITE" and inode in files and process not in {os.getpid(), 0, -1}:
                return f"{_command(process)} (process {process})"
    return ""


def _command(process: int) -> str:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "another program"
    text = visible(b" ".join(words).decode(errors="replace").strip())
    return f"{text[:60]}…" if len(text) > 60 else text or "another program"  # noqa: PLR2004

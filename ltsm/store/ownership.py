"""Whether a writer's store is still the one that its path names, and still its own.

A lock and an open file outlive their names: delete the lock's name, and another command is let in; rename, replace or
delete the store, and SQLite writes on into a file that nobody will find. So both names are looked up again before
every commit, while SQLite's own write lock is held: whoever came in meanwhile finds all that was committed before.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import event
from sqlalchemy.exc import DatabaseError

from ltsm.errors import LtsmError, StoreError
from ltsm.grammar import typed
from ltsm.store.claim import held, lock_path, named
from ltsm.store.digests import driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ltsm.store.engine import Store

Trouble = Literal["", "store", "lock"]
_DESCRIPTORS = Path("/proc/self/fd" if sys.platform.startswith("linux") else "/dev/fd")


@dataclass(frozen=True, slots=True)
class Ownership:
    """What a writer opened: the store, and device and inode of its file and of the locked one."""

    store: Store
    database: tuple[int, int] | None
    lock: tuple[int, int]

    def trouble(self) -> Trouble:
        """Which of the names is another file's by now, if one is."""
        if named(self.store.path) != self.database:
            return "store"
        return "" if named(lock_path(self.store.path)) == self.lock else "lock"

    def check(self, _connection: object = None) -> None:
        """Refuse to commit.

        Raises:
            StoreError: a name is another file's by now, or nobody's.
        """
        if self.trouble():
            raise StoreError(
                f"{self.store.path} is no longer what this command writes to.",
                typed(["db", "check"], self.store.path),
            )


@contextmanager
def guarded(store: Store, locked: int, copying: Callable[[Store, Path], None]) -> Iterator[None]:
    """From here to the block's end every commit is this writer's own; then the one file is the whole store.

    Args:
        store: open for writing.
        locked: the descriptor of its locked file, from `claim`.
        copying: writes a consistent copy of a store to a new file.

    Raises:
        StoreError: the store was renamed, replaced or deleted, or its lock was; it says where the results are.
    """
    owned = Ownership(store, named(store.path), held(locked))
    event.listen(store.engine, "commit", owned.check)
    try:
        try:
            yield
        except LtsmError:
            _explain(owned, copying)
            raise
        _explain(owned, copying)
    finally:
        checkpoint(store)


def checkpoint(store: Store) -> None:
    """Bring the write-ahead log into the file, and empty it: who copies the file alone then has all of it.

    A reader in the middle of a long query keeps a part of the log; so does a full disk. Nothing is lost by that.
    """
    with suppress(DatabaseError, sqlite3.Error), store.engine.connect() as connection:
        for pragma in ("busy_timeout=1000", "wal_checkpoint(TRUNCATE)"):
            driver(connection).execute(f"PRAGMA {pragma}")


def _explain(owned: Ownership, copying: Callable[[Store, Path], None]) -> None:
    path, trouble = owned.store.path, owned.trouble()
    if trouble == "lock":
        raise StoreError(
            f"{lock_path(path)} was deleted or replaced while this command wrote to {path}:"
            " another one may be writing there now.",
            "ltsm status shows it; the same command again goes on from the last segment",
        )
    if trouble == "store":
        raise _where(owned, copying)


def _where(owned: Ownership, copying: Callable[[Store, Path], None]) -> StoreError:
    """The sentence for a store that was renamed, replaced or deleted; what nothing names any more is written out."""
    path, place = owned.store.path, _place(owned.database)
    if place is None:
        return _rescued(owned.store, copying)
    now = f"to {place} " if place else ""
    back = f"mv {place} {path}" if place else "give it its name back"
    return StoreError(
        f"the store {path} was renamed {now}while this command wrote to it: its results are there, up to the last segment.",
        f"{back}, then the same command again goes on",
    )


def _rescued(store: Store, copying: Callable[[Store, Path], None]) -> StoreError:
    path, target = store.path, _free(store.path)
    gone = f"the store {path} was deleted or replaced while this command wrote to it"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        copying(store, target)
    except (OSError, DatabaseError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        return StoreError(
            f"{gone}, and its results could not be written to {target}: {why}.", "restore a backup"
        )
    back = f"mv {target} {path}, then the same command again goes on"
    return StoreError(f"{gone}; its results are in {target}.", back)


def _free(path: Path) -> Path:
    """A name beside `path` that nothing has: ltsm.rescued.db, ltsm.rescued-2.db."""
    number = 1
    while True:
        again = f"-{number}" if number > 1 else ""
        target = path.with_name(f"{path.stem}.rescued{again}{path.suffix}")
        if not os.path.lexists(target):
            return target
        number += 1


def _place(database: tuple[int, int] | None) -> str | None:
    """Where the open file has its name now: "" where that cannot be told, None where it has none any more."""
    for entry in _DESCRIPTORS.iterdir():
        with suppress(OSError):
            number = int(entry.name)
            if held(number) == database:
                return _name_of(number) if os.fstat(number).st_nlink else None
    return ""


def _name_of(descriptor: int) -> str:
    try:
        return str((_DESCRIPTORS / str(descriptor)).readlink())
    except OSError:  # only Linux tells it
        return ""

"""Another store, whose runs are wanted here: looked at as a reader does, and copied as it is at one moment.

Nothing is written to it. What is read is the copy, brought up to date where the store has an older version.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DatabaseError

from ltsm.errors import StoreError
from ltsm.store import engine, schema
from ltsm.store.claim import holder
from ltsm.store.locked import cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ltsm.store.engine import Store


@dataclass(frozen=True, slots=True)
class Other:
    """A store at one moment.

    Attributes:
        path: of the store itself, which its files lie beside.
        store: the copy of its database, open for looking.
        alive: somebody writes to it: runs that have not ended may go on at any moment, and their files change.
    """

    path: Path
    store: Store
    alive: bool

    @property
    def folder(self) -> Path:
        """Where the paths in the rows start."""
        return self.path.parent


def refuse(path: Path, own: Path) -> None:
    """Refuse what is no other store, before anything is begun. All of its database is checked.

    Raises:
        StoreError: there is none, it is this one, damaged, foreign, newer, or cannot be read.
    """
    with suppress(OSError):
        if path.samefile(own):
            raise StoreError(f"{path} is this store itself.", "name another one; --store FILE names this one")
    if not path.exists():
        raise StoreError(f"there is no store at {path}.", "name the other store's file: …/results/ltsm.db")
    _look(path, lambda _: None)


@contextmanager
def at_this_moment(path: Path, copy: Path) -> Iterator[Other]:
    """The store at `path`, which `refuse` has checked, by way of a copy of its database that is gone afterwards.

    Raises:
        StoreError: it cannot be read, or the copy not be written.
    """
    alive = holder(path) is not None
    try:
        _look(path, lambda store: _copied(store, copy), unchecked=True)
        with closing(engine.connect(copy, read_only=True)) as store:
            yield Other(path, store, alive or holder(path) is not None)
    finally:
        forget(copy)


@contextmanager
def tried(path: Path) -> Iterator[Store]:
    """A copy of the store at `path`, open for writing and gone afterwards; without a store one that has nothing.

    Raises:
        StoreError: the store is damaged, foreign, newer, or the copy cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        if path.exists():
            with closing(schema.open_for_reading(path, older=True)) as source:
                _copied(source, copy)
        with closing(schema.open_for_writing(copy, unchecked=True)) as store:
            yield store


def forget(copy: Path) -> None:
    """Delete a copy of a database and what SQLite keeps beside it, also one that a killed command has left."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        copy.with_name(f"{copy.name}{suffix}").unlink(missing_ok=True)


def _look(path: Path, look: Callable[[Store], None], *, unchecked: bool = False) -> None:
    """Look at the store in a way that leaves nothing beside it; as a reader does, where somebody writes meanwhile."""

    def once(*, still: bool) -> None:
        with closing(schema.open_for_reading(path, unchecked=unchecked, older=True, still=still)) as store:
            look(store)

    before = _still(path)
    if before is not None:
        try:
            once(still=True)
        except StoreError:
            if _still(path) == before:
                raise
        else:
            if _still(path) == before:
                return
    once(still=False)


def _still(path: Path) -> tuple[int, ...] | None:
    """What changes when the store at `path` is written; None where somebody writes, or has left a log to be read."""
    logs = (path.with_name(path.name + suffix) for suffix in ("-wal", "-journal"))
    if holder(path) is not None or any(log.exists() and log.stat().st_size for log in logs):
        return None
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _copied(source: Store, copy: Path) -> None:
    """Copy a store's database, and bring the copy up to date."""
    try:
        forget(copy)
        schema.backup(source, copy)
        if schema.version(source) != schema.HEAD:
            schema.open_for_writing(copy, unchecked=True, keep=False).close()
    except (OSError, sqlite3.Error, DatabaseError) as error:
        hint = "make space if the disk is full, then type the same command again"
        raise StoreError(f"cannot copy {source.path} to {copy}: {cause(error)}.", hint) from error

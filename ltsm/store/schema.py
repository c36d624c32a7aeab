"""Versions of the store: what is at a path, bringing it up to date, and refusing what is not ours."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.exc import DatabaseError

from ltsm import regular
from ltsm.errors import StoreError, explained
from ltsm.grammar import typed
from ltsm.store import companions, mend, seal, write
from ltsm.store.artifacts import flush_folder
from ltsm.store.claim import claim
from ltsm.store.digests import driver
from ltsm.store.engine import Store, connect
from ltsm.store.locked import cannot_write, cause, is_locked
from ltsm.store.ownership import guarded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from ltsm.store.seal_shown import Shown

VERSIONS = ("0001", "0002", "0003")
"""Every revision in `migrations/`, oldest first."""
HEAD = VERSIONS[-1]
RUNS: tuple[Shown, ...] = ("runs",)
"""What is shown by who says how far runs are: their rows."""
PLAN: tuple[Shown, ...] = ()
"""And by who checks the rest as it is read; see `read.shown`."""
MAGIC = b"SQLite format 3\0"
"""What every SQLite file begins with."""


def open_for_reading(
    path: Path,
    *,
    unchecked: bool = False,
    older: bool = False,
    still: bool = False,
    shown: Collection[Shown] | None = None,
) -> Store:
    """The store at `path`, for looking only. All of it is checked first, unless the caller wants to see the damage.

    Who reads nothing but the plan and what is named as `shown`, if anything, has only that checked; all of it where
    that does not fit. With `older` it may have an older version, whose tables are others; `still` as in `connect`.

    Raises:
        StoreError: there is none, it is damaged or foreign, or made by another version of ltsm.
    """
    if not path.exists():
        raise StoreError(
            f"there is no store at {path}.",
            f"{typed(['sweep'], path)} makes and fills one; --store FILE names another",
        )
    _refuse_other_files(path)
    store = connect(path, read_only=True, still=still)
    found = version(store)
    if found is None:
        store.close()
        raise companions.empty(path)
    if found != HEAD and not older:
        store.close()
        raise StoreError(
            f"the store {path} has the older version {found}; this ltsm reads {HEAD}.",
            typed(["db", "upgrade"], path),
        )
    if not unchecked:
        refuse_damage(store, shown)
    return store


def open_for_writing(path: Path, *, unchecked: bool = False, wait: bool = False, keep: bool = True) -> Store:
    """The store at `path`, made if there is none, brought up to date if it is older. The caller holds its claim.

    An older store is copied to `<name>.before-<version>` first, unless the caller has it elsewhere and says not to
    `keep` it. All of it is checked, unless the caller says not to.
    With `wait` every transaction waits for another program that writes, as long as it takes.

    Raises:
        StoreError: it is damaged, foreign, newer, or cannot be written.
    """
    with explained(StoreError, f"cannot write to {path.parent}", "choose another with --store FILE"):
        path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_other_files(path)
    found = _version_at(path, unchecked=unchecked)
    store = connect(path, read_only=False, wait=wait)
    try:
        store.engine.connect().close()  # whatever hinders a connection is said here and now
        if found is not None and found != HEAD and keep:
            _keep(store, store.path.with_name(f"{store.path.name}.before-{HEAD}"))
        if found != HEAD:
            _upgrade(store)
        else:
            with store.engine.begin() as connection:
                seal.complete(connection)
    except (DatabaseError, sqlite3.Error, OSError) as error:
        store.close()
        if not isinstance(error, OSError) and is_locked(error):
            raise cannot_write(path, error) from error
        raise StoreError(
            f"cannot write the store {path}: {cause(error)}.", "choose another with --store FILE"
        ) from error
    return store


def version(store: Store) -> str | None:
    """The store's version, or None for a database without tables.

    Raises:
        StoreError: not a database of ours, damaged, or newer than this program.
    """
    try:
        with store.engine.connect() as connection:
            found = _stamped(connection)
    except DatabaseError as error:
        raise StoreError(
            f"the store {store.path} cannot be read: {error.orig}.",
            f"{typed(['db', 'check'], store.path)}, or another --store",
        ) from error
    if found == "":
        raise StoreError(
            f"{store.path} is a database, but not one of ltsm's.", "choose another with --store FILE"
        )
    if found is not None and found not in VERSIONS:
        hint = "pip install --upgrade ltsm, or choose another with --store FILE"
        raise StoreError(f"the store {store.path} has version {found}, newer than this ltsm ({HEAD}).", hint)
    return found


def _version_at(path: Path, *, unchecked: bool) -> str | None:
    """The version of the store at `path`, looked up without the smallest change: it may be somebody else's.

    Raises:
        StoreError: as `version`; or it is damaged.
    """
    if not path.exists():
        return None
    if path.stat().st_size == 0:
        companions.refuse_emptied(path)
        return None
    with closing(connect(path, read_only=True)) as store:
        found = version(store)
        if found is None:
            companions.refuse_emptied(path)
        if found is not None and not unchecked:
            refuse_damage(store)
        return found


def refuse_damage(store: Store, shown: Collection[Shown] | None = None) -> None:
    """Close a store that is not as it was written, and say so; `shown` as in `open_for_reading`.

    Raises:
        StoreError: it is not.
    """
    try:
        with store.engine.connect() as connection:
            fits = shown is not None and seal.unbroken(connection, shown)
            faults = [] if fits else seal.faults(connection)
    except DatabaseError as error:
        faults = [str(error.orig)]
    if faults:
        store.close()
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        hint = f"restore a backup; {typed(['db', 'check'], store.path)} lists all damage"
        raise StoreError(f"the store {store.path} is damaged: {faults[0]}{more}.", hint)


def migrations_folder() -> Path:
    """Where the migrations lie: in the wheel, or beside an editable install."""
    installed = Path(str(files("ltsm"))) / "_migrations"
    return installed if installed.is_dir() else installed.parent.parent / "migrations"


def _stamped(connection: Connection) -> str | None:
    """The version that a database names; "" for a foreign one, None for an empty one."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if not {"alembic_version", "protocol", "run", "metric", "mask"} <= set(tables):
        return ""
    stamps = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return str(stamps[0]) if len(stamps) == 1 else ""


def _refuse_other_files(path: Path) -> None:
    """Refuse what is no SQLite file, and companions that are not SQLite's."""
    companions.refuse_strange(path)
    start, hint = b"", "choose another with --store FILE"
    with (
        explained(StoreError, f"cannot read the store {path}", hint),
        suppress(FileNotFoundError),
        regular.opened(path) as file,
    ):
        start = file.read(len(MAGIC))
    if start and start != MAGIC:
        raise StoreError(f"{path} is no ltsm store.", hint)


def _upgrade(store: Store) -> None:
    # Alembic costs a quarter of a second to import, and only a writer on an old or new store needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        seal.seal_all(connection)


def _keep(store: Store, target: Path) -> None:
    """Copy the database to `target`, whole or not at all."""
    partial = target.with_name(f".{target.name}.partial")
    backup(store, partial)
    partial.replace(target)
    flush_folder(target.parent)


def backup(store: Store, target: Path) -> None:
    """A consistent copy of the database (not of the weights), also while a sweep writes.

    It takes the place of what is there: of a link, not of what that leads to.
    """
    target.unlink(missing_ok=True)
    target.open("xb").close()
    with closing(sqlite3.connect(target)) as copy:
        with store.engine.connect() as connection:
            driver(connection).backup(copy)
        # a single file, which can be read where nothing can be written
        copy.execute("PRAGMA journal_mode=DELETE")


@contextmanager
def writer(path: Path, command: str, now: datetime, *, wait: bool = False) -> Iterator[Store]:
    """The store at `path` for its only writer; runs that a dead writer left are marked interrupted.

    Raises:
        StoreError: as `open_for_writing` and `claim`.
    """
    with (
        claim(path, command, now, wait=wait) as locked,
        closing(open_for_writing(path, wait=wait)) as store,
        guarded(store, locked, backup),
    ):
        write.mark_interrupted(store, now)
        mend.mend(store, now)
        yield store

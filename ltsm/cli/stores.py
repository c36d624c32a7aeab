"""The store that a command names: opened to be looked at, or for its only writer."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ltsm.store.engine import Store
    from ltsm.store.seal_shown import Shown


def reading(
    store: str | Path, *, unchecked: bool = False, shown: Collection[Shown] | None = None
) -> AbstractContextManager[Store]:
    """To look at; all of it is checked first, unless the command wants to see the damage or shows little of it.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    from ltsm.store import schema
    from ltsm.store.engine import store_path

    return closing(schema.open_for_reading(store_path(store), unchecked=unchecked, shown=shown))


def writing(path: Path, *, wait: bool = False) -> AbstractContextManager[Store]:
    """For its only writer, which is this command; made if there is none, brought up to date if it is older.

    Raises:
        StoreError: another command writes to it, or it cannot be written.
    """
    from ltsm.store import schema

    return schema.writer(path, " ".join(["ltsm", *sys.argv[1:]]), now(), wait=wait)


def changing(store: str, *, dry_run: bool = False) -> AbstractContextManager[Store]:
    """For its only writer, if there is one; to look at alone where nothing will be changed.

    Raises:
        StoreError: there is none, another command writes to it, or it cannot be read.
    """
    from ltsm.store.engine import store_path

    path = store_path(store)
    # Where there is none, a reader says it.
    return reading(path) if dry_run or not path.exists() else writing(path)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)

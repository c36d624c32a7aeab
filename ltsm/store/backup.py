"""A copy of a store, weights and all, also while a sweep writes to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import DatabaseError

from ltsm.errors import StoreError
from ltsm.store import artifacts, engine, read, schema
from ltsm.store.locked import cause

if TYPE_CHECKING:
    from pathlib import Path

    from ltsm.store.engine import Store
    from ltsm.store.values import Artifact, RunRow

ATTEMPTS = 20
"""A sweep deletes a checkpoint once there are two newer ones: seconds, and copying what is left takes less."""


def copy(store: Store, target: Path, *, weights: bool = True) -> int:
    """Copy the store to the new file `target`, and the files its rows name below the same folder.

    The database is one moment of the store. Every file is checked, and there before `target` gets its name, so
    that an interrupted copy is no store.

    Returns:
        How many files were copied beside the database.

    Raises:
        StoreError: something is there already, cannot be written, or the store is damaged.
    """
    partial = target.with_name(f".{target.name}.partial")
    if os.path.lexists(target):
        raise StoreError(f"there is something at {target} already.", "choose another name for the copy")
    if weights and target.parent.resolve() == store.folder.resolve():
        # It would share its files with the store, which deletes those that it needs no more.
        raise StoreError(f"{target} lies in the store's own folder.", "choose another folder for the copy")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        count = _copied(store, partial, target.parent, weights=weights)
        partial.replace(target)
        artifacts.flush_folder(target.parent)
    except (OSError, sqlite3.Error, DatabaseError) as error:
        raise StoreError(
            f"cannot write the copy {target}: {cause(error)}.", "make space, or choose another place"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()
    return count


def _copied(store: Store, partial: Path, folder: Path, *, weights: bool) -> int:
    """The database at `partial` and its files; another moment is taken when a sweep has deleted one of them."""
    for attempt in range(ATTEMPTS):
        schema.backup(store, partial)
        try:
            with closing(engine.connect(partial, read_only=True)) as taken:
                named = _files(read.runs(taken)) if weights else []
            for artifact in named:
                _copy_file(store, artifact, folder)
        except StoreError:
            # The last moment's fault is not one of timing.
            if attempt == ATTEMPTS - 1:
                raise
            continue
        return len(named)
    raise AssertionError("unreachable")


def _files(runs: list[RunRow]) -> list[Artifact]:
    """What the rows name, each once, as runs may start from others' files. Checkpoints, which are fleeting, last."""
    files = [file for run in runs for file in run.files]
    return list(dict.fromkeys(f.artifact for f in sorted(files, key=lambda f: f.role == "checkpoint")))


def _copy_file(store: Store, artifact: Artifact, folder: Path) -> None:
    """Copy one file; one that is there already, from another copy or attempt, must be the same."""
    there = folder / artifact.path
    if there.exists():
        artifacts.read(folder, artifact)
    else:
        artifacts.write(folder, artifact.path, artifacts.read(store.folder, artifact))

"""What lies beside a store's file: SQLite's own files, which lead nowhere else, and the log that it may not be without."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ltsm import regular
from ltsm.errors import StoreError, explained
from ltsm.grammar import typed

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = ("-wal", "-shm", "-journal")
_FORMAT = 18
"""In a database's header: the file format needed to write it (sqlite.org/fileformat2.html, section 1.3)."""
_LOGGED = 2


def refuse_strange(path: Path) -> None:
    """Refuse companions that lead elsewhere or are no files: SQLite would write through the one and wait for the other.

    Raises:
        StoreError: there is one.
    """
    for suffix in SUFFIXES:
        companion = path.with_name(path.name + suffix)
        if companion.is_symlink():
            raise StoreError(f"{companion} is a link, which SQLite never makes.", "do not use this store")
        what = f"{companion} is in the store's way"
        with explained(StoreError, what, "do not use this store"), suppress(FileNotFoundError):
            regular.refuse_other_kinds(companion.stat())


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log of the database at `path`."""
    return path.with_name(f"{path.name}-wal")


def empty(path: Path) -> StoreError:
    """The sentence for a database without tables: it is new, or has lost the log that its tables were in."""
    if _lost_log(path):
        return _without_log(path)
    if _weights_beside(path):
        return _buried(path)
    return StoreError(f"the store {path} is empty.", f"{typed(['sweep'], path)} fills it")


def refuse_emptied(path: Path) -> None:
    """An empty database becomes a store; but not where results were, which it would bury.

    Raises:
        StoreError: it has lost its log, or weights lie beside it.
    """
    if not _weights_beside(path) and not (_content(path) == 0 and _content(log_of(path))):
        return
    raise _without_log(path) if _lost_log(path) else _buried(path)


def _without_log(path: Path) -> StoreError:
    return StoreError(
        f"the store {path} is empty: its last changes were in its log {log_of(path).name}, which is not here.",
        f"copy {log_of(path).name} too, or make copies with ltsm db backup; without it delete {path} to begin anew",
    )


def _buried(path: Path) -> StoreError:
    hint = f"restore a backup; or delete {path} to begin anew"
    return StoreError(f"the store {path} is damaged: it is empty, and weights lie beside it.", hint)


def _lost_log(path: Path) -> bool:
    """Whether the file says that it was written by way of a log, and there is none."""
    with suppress(OSError), regular.opened(path) as file:
        file.seek(_FORMAT)
        return file.read(1) == bytes((_LOGGED,)) and not _content(log_of(path))
    return False


def _weights_beside(path: Path) -> bool:
    weights = path.parent / "weights"
    return weights.is_dir() and any(weights.iterdir())


def _content(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

"""Files beside the store: written whole or not at all, hashed, and read back checked."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from ltsm import regular
from ltsm.errors import StoreError, explained
from ltsm.store.values import Artifact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

    from ltsm.store.values import RunRow


def write(folder: Path, path: str, content: bytes) -> Artifact:
    """Write `content` to `folder/path`: under a temporary name, flushed, renamed, the folder flushed.

    After it returns, the file survives a power cut; before, there is no file of that name or the old one.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    target = _inside(folder, path)
    hint = (
        "make space or choose another --store, then type the same command again: it goes on where it stopped"
    )
    with explained(StoreError, f"cannot write {target}", hint):
        # A store's folder that was renamed is not made anew: its files would be lost where nobody looks.
        os.stat(folder)  # noqa: PTH116 - for its error
        write_whole(target, content)
    return Artifact(path, hashlib.sha256(content).hexdigest())


def write_whole(target: Path, content: bytes) -> None:
    """Write any file as `write` does, links followed.

    Raises:
        OSError: it cannot be written, or something that is no file has the name; what was begun is gone.
    """
    with whole(target) as file:
        file.write(content)


def save(target: Path, content: bytes, hint: str = "choose another place") -> None:
    """The same of a file that a person named, which stays as it was where this fails.

    Raises:
        StoreError: it cannot be written.
    """
    with explained(StoreError, f"cannot write {target}", hint):
        write_whole(target, content)


@contextmanager
def whole(target: Path) -> Iterator[BinaryIO]:
    """A file to be written piece by piece, which has its name when all of it is there.

    Raises:
        OSError: as `write_whole`.
    """
    target = regular.replaceable(target)
    partial = target.with_name(f".{target.name}.partial")
    _make_folder(target.parent)
    partial.unlink(missing_ok=True)  # a killed command's, or a link that somebody put there
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush_folder(target.parent)


def read(folder: Path, artifact: Artifact) -> bytes:
    """The file's bytes, taken into memory once it is known to be the one that was written.

    Raises:
        StoreError: it is missing, unreadable, or not the one that was written.
    """
    with _checked(folder, artifact) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def gone(folder: Path, run: RunRow) -> bool:
    """Whether a file of this run is not there any more; a name that leads elsewhere is none of a file that was."""
    return any(_is_gone(folder, file.artifact.path) for file in run.files)


def _is_gone(folder: Path, path: str) -> bool:
    try:
        return not _inside(folder, path).exists()
    except (StoreError, OSError):
        return False


def check(folder: Path, artifact: Artifact) -> None:
    """Compare the file with what was written.

    Raises:
        StoreError: as `read`.
    """
    with _checked(folder, artifact):
        pass


@contextmanager
def _checked(folder: Path, artifact: Artifact) -> Iterator[BufferedReader]:
    """The file, open, and the one that was written: hashed piece by piece, however long it is."""
    target = _inside(folder, artifact.path)
    with explained(StoreError, f"cannot read {target}", _HINT), regular.opened(target) as file:
        regular.refuse_size(os.fstat(file.fileno()).st_size)
        if hashlib.file_digest(file, "sha256").hexdigest() != artifact.sha256:
            raise StoreError(f"{target} is not the file that was written: its SHA-256 differs.", _HINT)
        file.seek(0)
        yield file


_HINT = "ltsm db check names all such files; --force redoes the step that wrote it"


def remove(folder: Path, artifact: Artifact) -> None:
    """Delete a file that no row names any more; one that is gone already is fine.

    Raises:
        StoreError: it cannot be deleted, or lies where none of ours can.
    """
    target = _inside(folder, artifact.path)
    with explained(StoreError, f"cannot delete {target}", "ltsm db check"):
        target.unlink(missing_ok=True)


def remove_empty_folders(folder: Path, artifact: Artifact) -> None:
    """Delete the folder that a file was in, and those above it, as far as nothing is left in them."""
    root, empty = folder.resolve(), _inside(folder, artifact.path).parent
    with suppress(OSError):  # the first that is not empty
        while empty != root:
            empty.rmdir()
            empty = empty.parent


FOLDERS = ("weights", "logs")
"""All that a row may name lies below these: nothing else is read, replaced or deleted, the store itself least."""


def _inside(folder: Path, path: str) -> Path:
    """The path under the store's folder, links followed; a store from elsewhere must not name other files.

    Raises:
        StoreError: it leads out of the folders that are for files.
    """
    root = folder.resolve()
    try:
        target = (root / path).resolve()
        allowed = any(target.is_relative_to(root / name) and target != root / name for name in FOLDERS)
    except (OSError, RuntimeError, ValueError):  # a circle of links, a name with a NUL in it
        allowed = False
    if not allowed:
        raise StoreError(f"the store names a file outside its folder: {path!r}.", "do not use this store")
    return target


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each name flushed: a file in a folder that is lost is lost."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

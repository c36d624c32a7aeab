"""One writer at a time: an operating-system lock on a file beside the store.

The lock ends with the process that holds it, however it ends, so a dead writer's claim needs no
clock and no process id to be taken over.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import time
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import IO, TYPE_CHECKING

from ltsm import regular
from ltsm.errors import StoreError, explained
from ltsm.notation import visible
from ltsm.store.values import Holder

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_READER_GLANCE_S = 0.5
"""A reader that looks whether the lock is held holds it for microseconds; a writer tries for this long."""


def lock_path(store: Path) -> Path:
    """The lock's file: `ltsm.db.lock` beside `ltsm.db`."""
    return store.with_name(store.name + ".lock")


@contextmanager
def claim(store: Path, command: str, now: datetime, *, wait: bool = False) -> Iterator[int]:
    """Be the store's only writer while the block runs; the descriptor of the locked file comes back.

    The lock is the file's, not the name's: whoever deletes the name lets another command in. So `ownership` looks
    before every commit whether the name is still the locked file's.

    Args:
        store: the SQLite file; its folder is made if it is missing.
        command: what is running, for the message to others.
        now: since when.
        wait: wait for another writer to end instead of refusing.

    Raises:
        StoreError: another process writes to it, or the folder cannot be written.
    """
    with _acquired(store, wait=wait) as file:
        try:
            _sign(file, command, now)
            yield file.fileno()
        finally:
            with suppress(OSError):
                file.truncate(0)
            _unlock(file)


def named(path: Path) -> tuple[int, int] | None:
    """Device and inode of what is at `path`, which no other file has as long as this one is open; None for nothing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def held(descriptor: int) -> tuple[int, int]:
    """The same of an open file, whatever its name is by now."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def holder(store: Path) -> Holder | None:
    """The process that writes to this store now, or None. Changes nothing."""
    try:
        file = io.TextIOWrapper(regular.opened(lock_path(store)), encoding="utf-8")
    except OSError:
        return None
    with file:
        try:
            held = not _lock(file, shared=True)
        except OSError:  # a file system without locks: nobody can hold one
            return None
        if not held:
            _unlock(file)
            return None
        return _signature(file)


def _acquired(store: Path, *, wait: bool) -> IO[str]:
    """The locked file, open; once more where its name was deleted between opening and locking it."""
    path = lock_path(store)
    while True:
        file = _opened(path)
        try:
            _acquire(file, store, wait=wait)
        except BaseException:
            file.close()
            raise
        if held(file.fileno()) == named(path):
            return file
        file.close()


def _opened(path: Path) -> IO[str]:
    with explained(StoreError, f"cannot write to {path.parent}", "choose another with --store FILE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "a+", encoding="utf-8", opener=_not_through_links)


def _not_through_links(path: str, flags: int) -> int:
    """Open the lock's file itself: it is emptied and signed, so a link would have another file emptied."""
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    try:
        regular.refuse_other_kinds(os.fstat(handle))
    except OSError:
        os.close(handle)
        raise
    return handle


def _acquire(file: IO[str], store: Path, *, wait: bool) -> None:
    tries = 0
    while not _locked(file, store):
        if not wait and tries * 0.01 >= _READER_GLANCE_S:
            other = _signature(file)
            since = f" since {other.since:%Y-%m-%d %H:%M} UTC" if other.since else ""
            who = f"{other.command or 'another command'} (process {other.pid} on {other.host}{since})"
            raise StoreError(
                f"{store} is being written by {who}.", "wait for it with --wait, or use another --store"
            )
        tries += 1
        time.sleep(0.01)


def _locked(file: IO[str], store: Path) -> bool:
    """Whether the lock is ours now.

    Raises:
        StoreError: the file system has no locks, so that two writers could not be kept apart.
    """
    hint = "keep the store on a local disk: --store FILE"
    with explained(StoreError, f"the file system of {store} cannot lock files", hint):
        return _lock(file, shared=False)


def _sign(file: IO[str], command: str, now: datetime) -> None:
    text = {"pid": os.getpid(), "host": socket.gethostname(), "since": now.isoformat(), "command": command}
    # A full disk leaves the lock unsigned, and is told of by the first write to the store. Past Python's buffer,
    # which would try again what failed, when the file is closed.
    with suppress(OSError):
        file.truncate(0)
        os.write(file.fileno(), json.dumps(text).encode())


def _signature(file: IO[str]) -> Holder:
    """Who signed; the file may be read between the lock and the signature."""
    file.seek(0)
    try:
        text = json.load(file)
        since = datetime.fromisoformat(text["since"])
        return Holder(int(text["pid"]), visible(str(text["host"])), since, visible(str(text["command"])))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "this machine", None, "")


if sys.platform == "win32":

    def _lock(file: IO[str], *, shared: bool) -> bool:  # noqa: ARG001 - Windows has no shared lock here
        # Far behind the signature, which others must be able to read.
        file.seek(1 << 20)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[str]) -> None:
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def _lock(file: IO[str], *, shared: bool) -> bool:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)

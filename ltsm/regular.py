"""Opening what is read and replacing what is written: regular files alone, whatever lies in their place.

To open a named pipe waits for somebody at its other end, a device may be without an end, and to rename a file over a
device removes the device. So nothing is opened or replaced before it is known to be a file.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

LARGEST = 2**33
"""Bytes of the largest file that is read into memory as a whole: two billion weights."""
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def opened(path: Path) -> BufferedReader:
    """The regular file at `path`, links followed, for reading.

    Raises:
        OSError: there is none, it may not be read, or it is something else; `strerror` says what.
    """
    refuse_other_kinds(os.stat(path))  # noqa: PTH116 - Path.stat cannot take what is open
    # Something else may have come into its place just now: that must not hold us either.
    return open(path, "rb", opener=_at_once)


def read(path: Path, at_most: int = LARGEST) -> bytes:
    """The content of the regular file at `path`.

    Raises:
        OSError: as `opened`; or it is longer than `at_most` bytes or half of this machine's memory, and was not read.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        refuse_size(size, at_most)
        return file.read(size)


def refuse_size(size: int, at_most: int = LARGEST) -> None:
    """Refuse to take so many bytes into memory.

    Raises:
        OSError: they are more than `at_most`, or than half of this machine's memory.
    """
    limit = min(at_most, _memory() // 2)
    if size > limit:
        raise OSError(
            errno.EFBIG, f"its {size:,} bytes are more than the {limit:,} that are read at most here"
        )


def replaceable(path: Path) -> Path:
    """Where a new file for `path` has to be renamed to: links followed, and nothing there but perhaps a file.

    Raises:
        OSError: a device, a folder, a named pipe is there; or the links lead in a circle.
    """
    try:
        target = path.resolve()
    except RuntimeError as error:  # Python before 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
    if os.path.lexists(target):
        refuse_other_kinds(target.lstat())
    return target


def refuse_other_kinds(found: os.stat_result) -> None:
    """Refuse what is no regular file.

    Raises:
        OSError: `strerror` says what it is.
    """
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'something else')}, not a file")


def _at_once(path: Any, flags: int) -> int:
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        refuse_other_kinds(os.fstat(handle))
    except OSError:
        os.close(handle)
        raise
    return handle


def _memory() -> int:
    """This machine's memory in bytes; where it cannot be known, more than is ever read."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 * LARGEST

"""What surrounds the program: stdin, stdout and stderr, what libraries read of the environment, and the system's limits.

A limit on files, processes or memory that is met is a sentence that names it.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ltsm.errors import LtsmError

INSTEAD = "backslashreplace"
"""How a character is written that an encoding lacks: `±` as `\\xb1` in ASCII."""


def prepare() -> None:
    """Write any character to stdout and stderr in any encoding; lead a stream that is closed to nowhere.

    Figures are files, whatever a notebook that started the program has chosen for its own.
    """
    os.environ["MPLBACKEND"] = "agg"
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = sys.stdout or _nowhere("w")
    sys.stderr = sys.stderr or _nowhere("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):  # another file was put under it
                stream.reconfigure(errors=INSTEAD)


def write_utf8(stream: TextIO) -> None:
    """From now on write UTF-8 to a file or a pipe; a terminal keeps its own encoding."""
    if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
        stream.reconfigure(encoding="utf-8", errors=INSTEAD)


def _nowhere(mode: str) -> TextIO:
    return Path(os.devnull).open(mode, encoding="utf-8")  # type: ignore[return-value]  # a text mode


if sys.platform != "win32":
    import resource

FILES = 1_024
"""Open files that the largest machine's sweep has room in: two for each worker, a dozen for the store."""


def raise_files() -> None:
    """Let this process open `FILES` files, or as many as it is allowed to, where the shell says fewer."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    with suppress(ValueError, OSError):
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def met(error: BaseException) -> LtsmError | None:
    """The sentence for an error that says that a limit was met; None for any other error."""
    number = error.errno if isinstance(error, OSError) else None
    words = str(error)
    if number in {errno.EMFILE, errno.ENFILE} or "Too many open files" in words:
        return _limit("open more files", "ulimit -n 1024, then the same command again")
    if number == errno.EAGAIN or "can't start new thread" in words:
        return _limit("start more processes", "fewer --jobs, or a larger ulimit -u")
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return _limit("take more memory", "fewer --jobs, or a larger ulimit -v")
    return None


def _limit(what: str, remedy: str) -> LtsmError:
    return LtsmError(f"the system does not let this program {what}; all that was recorded is kept.", remedy)

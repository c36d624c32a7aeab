"""What the system allows a process: files, processes, memory. A limit that is met is a sentence that names it."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress

from ltsm.errors import LtsmError

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

"""Imported by the server before it forks: everything that a sweep needs, and a sweep, so that none waits for either."""

import errno
import os
import signal
import sys
import tempfile
from multiprocessing import reduction
from pathlib import Path

from small import Here
from torture.program import GROUP_SIGNALS, TOML


class Inside(Here):
    """A worker in this process: a server that forks must have no threads and no children of its own."""

    def shutdown(self, wait=True, *, cancel_futures=False):
        pass


def sweep():
    """The small sweep, all of it in this process."""
    import torch

    from ltsm.cli import commands, say
    from ltsm.steps import worker

    torch.set_num_threads(1)
    before, there, process = sys.argv, Path.cwd(), worker.WorkerProcess
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("small.toml").write_text(TOML)
        worker.WorkerProcess = Inside
        sys.argv = ["ltsm", "sweep", "--protocol", "small.toml", "--jobs", "1"]
        stderr, sys.stderr = sys.stderr, open(os.devnull, "w")  # noqa: PTH123
        try:
            say.words._file = sys.stderr
            commands.command_line()
        except SystemExit as end:
            if end.code:
                raise
        finally:
            sys.stderr, sys.argv, worker.WorkerProcess = stderr, before, process
            say.words._file = None
            os.chdir(there)


def received(socket, size):
    """File descriptors of who asks for a process; a driver that was killed while it asked must not end the server."""
    try:
        return recvfds(socket, size)
    except (EOFError, RuntimeError):
        raise ConnectionAbortedError(errno.ECONNABORTED, "killed while it asked") from None


recvfds, reduction.recvfds = reduction.recvfds, received
sweep()
# As a worker is born of a driver that has these blocked (`ltsm.steps.worker`); the driver's process unblocks them.
signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)

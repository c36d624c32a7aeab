"""What stands on a worker of a Dask cluster for a driving process elsewhere: the processes that compute for it."""

from __future__ import annotations

import multiprocessing
import os
import platform
import weakref
from typing import TYPE_CHECKING, Any

from ltsm.errors import DataError, LtsmError
from ltsm.steps.provenance import processor
from ltsm.steps.training import dataset, hand_over
from ltsm.steps.worker import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.core.images import RawData
    from ltsm.steps.training import Setup


class Host:
    """A process for each thread of the worker that is in use.

    Threads so share nothing: not torch's settings, not the kernel's batches, and not the interpreter, which answers the
    scheduler meanwhile. It is a value in the worker's memory that the driving process holds: when that one ends, or dies,
    Dask drops it, and its processes end.
    """

    def __init__(self, data: RawData | None = None) -> None:
        self._idle: list[WorkerProcess] = []
        self._data = data
        # Not `__del__`: in a cycle of garbage the processes' connections might be closed before it.
        weakref.finalize(self, _end, self._idle)

    def __reduce__(self) -> tuple[type[Host], tuple[RawData | None]]:
        """Begin anew where Dask moves it to, or brings it back from a disk: processes cannot be moved."""
        return Host, (self._data,)

    def has_data(self, setup: Setup) -> bool:
        """Whether the data lies where the setup says, and is what it says, or has been taken."""
        answer = self.call(_digest, setup)
        if isinstance(answer, LtsmError) and not isinstance(answer, DataError):
            raise answer
        return not isinstance(answer, DataError)

    def take(self, data: RawData) -> None:
        """Keep the data for those processes that do not find it."""
        self._data = data

    def call(self, function: Callable[..., Any], setup: Setup, *arguments: Any) -> Any:
        """What a function answers in one of the processes; an error is an answer, too, so that Dask logs none."""
        try:
            process = self._idle.pop()
        except IndexError:
            process = WorkerProcess()
        try:
            return self._called(process, function, setup, *arguments)
        except LtsmError as error:
            return error
        finally:
            self._idle.append(process)

    def _called(self, process: WorkerProcess, function: Callable[..., Any], setup: Setup, *more: Any) -> Any:
        # A Dask worker is a daemon of its nanny's, to which multiprocessing allows no children; these end with it.
        multiprocessing.current_process().daemon = False
        # The nanny's, for long lists of values: here it costs time.
        os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
        try:
            return process.submit(function, setup, *more).result()
        except DataError:
            if self._data is None:
                raise
        process.submit(hand_over, setup, self._data).result()
        return process.submit(function, setup, *more).result()


def _end(processes: list[WorkerProcess]) -> None:
    """None of them is in use: calls hold on to their host."""
    for process in processes:
        process.shutdown(wait=False)


def _digest(setup: Setup) -> str:
    return dataset(setup).digest


def facts() -> dict[str, Any]:
    """What provenance says of this machine, and which variants of the kernel it offers, the best one last."""
    from ltsm.core import sparse_library

    names = (sparse_library.NONE, *sparse_library.usable())
    best = names.index(sparse_library.variant() or sparse_library.NONE)
    where = {"processor": processor(), "platform": platform.platform(), "cores": os.cpu_count()}
    return {"where": {**where, "python": platform.python_version()}, "kernels": names[: best + 1]}

"""A process that computes for another: a `concurrent.futures.Executor` with one worker.

The library's own pool breaks as a whole when one of its processes dies, and does not say how it died.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ltsm.errors import LtsmError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")


class WorkerDiedError(RunError):
    """The worker's process ended while it was computing."""

    patience = 1
    """How many may die before it is laid on the run."""


class WorkerProcess(Executor):
    """One process with one thread, started when it is first needed and again after it died.

    Calls are made one after the other. A call's exception comes back as it was raised, with the worker's
    traceback as its note; the death of the process comes back as `WorkerDiedError` with the exit code.
    """

    def __init__(self) -> None:
        self._calls = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection[Any, Any] | None = None
        self._starting = Lock()
        self._over = False

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process else None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn`, which must be importable, in the worker; all values are pickled."""
        return self._calls.submit(self._call, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the process: after the call that it is in, or at once if `wait` is false."""
        with self._starting:  # its thread may be starting it now, or burying it
            self._over = not wait
            process = self._process
        if not wait and process is not None:
            process.kill()
        self._calls.shutdown(wait=wait, cancel_futures=cancel_futures)
        with self._starting:
            process, connection = self._process or process, self._connection
        if connection is not None:
            connection.close()
        if process is not None:
            process.join()

    def _call(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        connection = self._started()
        try:
            connection.send((fn, args, kwargs))
            answer, value = connection.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerDiedError(
                self._epitaph(), "type the same command again: it goes on where it stopped"
            ) from error
        if answer == "raised":
            raise value
        return value  # type: ignore[no-any-return]  # the worker calls what it is told to

    def _started(self) -> Connection[Any, Any]:
        with self._starting:
            if self._over:
                raise WorkerDiedError("the worker was ended before it began.")
            return self._connection or self._start()

    def _start(self) -> Connection[Any, Any]:
        # A fresh interpreter: a fork of a process with threads may stop dead in torch.
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        try:
            with _deaf():
                process.start()
        except ConnectionError as error:
            raise WorkerDiedError("the worker process died before it began.") from error
        theirs.close()
        self._process, self._connection = process, connection
        return connection

    def _epitaph(self) -> str:
        with self._starting:
            process, self._process, self._connection = self._process, None, None
        assert process is not None  # noqa: S101 - it answered nothing, so it was started
        process.join()
        code = process.exitcode or 0
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        hint = ", perhaps for want of memory" if code == -getattr(signal, "SIGKILL", 0) else ""
        return f"the worker process {process.pid} died of {cause}{hint}."


@contextmanager
def processes(count: int) -> Iterator[Callable[[], Sequence[Executor]]]:
    """So many processes of this machine, for `Execution`; they end with the block, at once if it is left by an error."""
    workers = [WorkerProcess() for _ in range(count)]
    finished = False
    try:
        yield lambda: workers
        finished = True
    finally:
        for worker in workers:
            worker.shutdown(wait=finished, cancel_futures=not finished)


_GROUP_SIGNALS = [name for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def _deaf() -> Iterator[None]:
    """Start a process that a Ctrl-C cannot end before it is ready to ignore it: it inherits what is blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, name) for name in _GROUP_SIGNALS])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection[Any, Any]) -> None:
    """The worker's life: it ends when the other end is closed, also when the other process was killed."""
    # A terminal's Ctrl-C and its closing reach all processes of the group; when to stop is the driving one's to say.
    for name in _GROUP_SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [getattr(signal, name) for name in _GROUP_SIGNALS])
    _one_thread()
    while True:
        try:
            fn, args, kwargs = connection.recv()
        except (EOFError, ConnectionError):  # reset: it was killed before it had read the last answer
            return
        try:
            answer = ("returned", fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other process decides
            answer = ("raised", _portable(error))
        try:
            connection.send(answer)
        except ConnectionError:
            return


def _one_thread() -> None:
    """One thread a process: two processes with two threads each are slower than with one, and differ in bits."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _portable(error: Exception) -> Exception:
    """The error with its traceback as a note; one that is not ours may not survive pickling."""
    trace = traceback.format_exc()
    if not isinstance(error, LtsmError):
        error = RunError(f"{type(error).__name__}: {error}")
    error.add_note(trace)
    return error

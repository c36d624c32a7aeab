"""Executors for the threads of a Dask cluster's workers."""

from __future__ import annotations

from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ltsm.errors import LtsmError, RunError
from ltsm.steps.host import Host
from ltsm.steps.worker import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distributed import Future as Remote

P = ParamSpec("P")
T = TypeVar("T")


class WorkerLostError(WorkerDiedError):
    """A worker left the cluster, or answers no more."""

    patience = 3


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker: which variants of the kernel it offers, where it is in provenance's words, and what stands on it.

    `has_data`: it found the data by itself.
    """

    address: str
    threads: int
    kernels: tuple[str, ...]
    where: Mapping[str, Any]
    host: Remote
    has_data: bool


class Slot(Executor):
    """A thread of a worker: it makes one call at a time."""

    def __init__(self, worker: Worker, thread: int, calls: Executor) -> None:
        self.worker, self.thread, self.where = worker, thread, worker.where
        self._calls = calls
        self._pending: tuple[Future[Any], Future[Any]] | None = None
        self._lost = ""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn`, which must be importable there; its first argument is the setup."""
        answer: Future[T] = Future()
        call = self._calls.submit(Host.call, self.worker.host, fn, *args, **kwargs)  # type: ignore[arg-type]  # Dask gives it the host
        self._pending = answer, call
        call.add_done_callback(partial(self._hand_on, answer))
        if self._lost:
            self.lose(self._lost)
        return answer

    def lose(self, why: str) -> None:
        """The worker is gone: what it was to do will not come."""
        self._lost = why
        if self._pending:
            answer, call = self._pending
            _settle(answer, WorkerLostError(f"the worker {self.worker.address} {why}."))
            call.cancel()

    def _hand_on(self, answer: Future[Any], call: Future[Any]) -> None:
        try:
            found = call.result()
            if isinstance(found, RunError):
                found.message = f"{found.message} (on {self.worker.address})"
        except (Exception, CancelledError) as error:  # noqa: BLE001 - Dask's own, or the network's: no run's
            found = WorkerLostError(f"the worker {self.worker.address} did not finish: {error!r}.")
        _settle(answer, found)


def _settle(answer: Future[Any], found: Any) -> None:
    """The first answer counts."""
    with suppress(Exception):  # InvalidStateError: there is one
        if isinstance(found, LtsmError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

"""Executors for the threads of a Dask cluster's workers, and what is asked of a worker before runs are computed there."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ltsm.errors import LtsmError, RunError
from ltsm.steps.host import Host, facts
from ltsm.steps.worker import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from distributed import Client
    from distributed import Future as Remote

    from ltsm.steps.training import Setup

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


ALIKE = ("ltsm", "torch", "numpy")
"""The programs whose versions decide bits."""


class ClusterError(LtsmError):
    """The cluster cannot be used, or no longer (exit code 1)."""


async def ask(
    client: Client, address: str, threads: int, setup: Setup, data: Callable[[], Awaitable[Remote]] | None
) -> Worker:
    """What a worker has, which is given the `data`, a value of the cluster's, if it does not find it.

    Raises:
        ClusterError: it has other programs, or cannot read the data.
    """
    from distributed.versions import get_versions

    calls = client.get_executor(workers=[address], pure=False)
    _check_versions(address, (await _answer(calls, get_versions, ALIKE))["packages"])
    found = await _answer(calls, facts)
    host = client.submit(Host, workers=[address], pure=False)
    has_data = await _answer(calls, Host.has_data, host, setup)
    if not has_data and data is not None:
        await _answer(calls, Host.take, host, await data())
        if not await _answer(calls, Host.has_data, host, setup):
            raise ClusterError(f"the worker {address} cannot read the data that it was sent.")
    where = {**found["where"], "worker": address}
    return Worker(address, threads, tuple(found["kernels"]), where, host, has_data)


def _check_versions(address: str, theirs: Mapping[str, str | None]) -> None:
    for name in ALIKE:
        if theirs[name] != version(name):
            has = f"{name} {theirs[name]}" if theirs[name] else f"no {name}"
            raise ClusterError(
                f"the worker {address} has {has}, and this machine {version(name)}: bits may differ.",
                "install the same versions there",
            )


async def _answer(calls: Executor, function: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.wrap_future(calls.submit(function, *arguments))

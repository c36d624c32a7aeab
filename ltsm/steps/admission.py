"""What is asked of a worker of a Dask cluster before runs are computed there."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from ltsm.errors import LtsmError
from ltsm.steps.host import Host, facts
from ltsm.steps.slots import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from concurrent.futures import Executor

    from distributed import Client
    from distributed import Future as Remote

    from ltsm.steps.training import Setup

T = TypeVar("T")

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

"""Runs on a Dask cluster: an executor for each of its workers' threads.

Every call is for one thread of one worker, and Dask tries none again: where a run is computed, and what becomes of it
when its worker is gone, is decided here and in `Execution`. On the workers stands `ltsm.steps.host`.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from concurrent.futures import CancelledError, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ltsm.core.sparse_library import NONE, VARIANTS
from ltsm.errors import LtsmError, UsageError
from ltsm.steps.slots import ClusterError, Slot, ask
from ltsm.steps.training import read_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from distributed import Client
    from distributed import Future as Remote

    from ltsm.core.images import RawData
    from ltsm.steps.slots import Worker
    from ltsm.steps.training import Setup

log = logging.getLogger(__name__)

SCHEME = "dask://"
SHORT_S = 5.0
"""Segments that took less are followed by longer ones: they come to last five to ten seconds, which is what is lost with
a worker."""
SHARE_S = 0.03
"""On large clusters they are longer: so many seconds a thread, since a segment of the paper's network takes the driving
process 17 ms (Xeon, AVX-512)."""
GLANCE_S = 1.0
"""How often is looked which workers there are."""
SILENT_S = 15.0
"""A worker that the scheduler has not heard of for so long is done without. They report every half second, of hundreds
every three, from a process that does not compute."""
CONNECT_S = 10.0


class Cluster:
    """The workers of one scheduler, for one sweep.

    Args:
        address: as it was typed.
        client: connected to it.
        setup: what every call needs; the data's digest and a variant of the kernel for runs that begin come with `open`.
    """

    def __init__(self, address: str, client: Client, setup: Setup) -> None:
        self.address, self.setup = address, setup
        self._client = client
        self._raw: RawData | None = None
        self._data: Remote | None = None
        self._scattering = asyncio.Lock()
        self._seen: dict[str, tuple[float, float]] = {}
        self._asked: dict[str, Future[Worker]] = {}
        self._slots: dict[str, list[Slot]] = {}
        self._looked = 0.0

    def open(self, stop: Callable[[], int]) -> None:
        """Ask all workers that there are what they have, and settle what runs are computed with.

        Raises:
            ClusterError: one has other programs or cannot read the data, or the scheduler is gone.
            UsageError: one lacks the variant that was asked for.
            DataError: the data is missing or has changed.
        """
        self._raw, digest = read_raw(self.setup)
        self.setup = replace(self.setup, digest=digest)
        if not self._present():
            log.warning("there are no workers at %s: it waits for some.", self.address)
        while not (answers := self.ask(stop)) and not stop():
            time.sleep(GLANCE_S)
        if not stop():
            workers = [answer.result() for answer in answers.values() if _came(answer)]
            short = max(SHORT_S, SHARE_S * sum(worker.threads for worker in workers))
            self.setup = replace(self.setup, short=short)
            self._settle_kernel(workers)

    def ask(self, stop: Callable[[], int] = lambda: 0) -> Mapping[str, Future[Worker]]:
        """What all workers that there are now have to say, or why they are no good; less of it once it shall stop.

        Raises:
            ClusterError: the scheduler is gone.
        """
        self._ask_new(self._present())
        while wait(self._asked.values(), timeout=GLANCE_S).not_done and not stop():
            self._drop_lost(self._present())
        return self._asked

    def workers(self) -> Sequence[Slot]:
        """A slot for each thread that there is now, one of each worker before the second of any.

        Raises:
            ClusterError: the scheduler is gone.
        """
        if time.monotonic() - self._looked > GLANCE_S:
            self._look()
            self._looked = time.monotonic()
        every = [slot for slots in self._slots.values() for slot in slots]
        return sorted(every, key=lambda slot: slot.thread)

    def describe(self) -> str:
        """How large it is."""
        fine = [asked.result() for asked in self._asked.values() if not asked.exception()]
        threads, workers = sum(worker.threads for worker in fine), len(fine)
        return f"{self.address}: {threads} threads on {workers} workers"

    def _settle_kernel(self, workers: Sequence[Worker]) -> None:
        offered = [name for name in (NONE, *VARIANTS) if all(name in w.kernels for w in workers)]
        best = {w.kernels[-1]: w for w in reversed(workers)}
        if self.setup.kernels:
            for worker in workers:
                if refusal := self._refusal(worker):
                    raise UsageError(refusal, f"--engine {offered[-1]}, which all of them have")
            return
        if len(best) > 1:
            others = ", ".join(f"{w.address} has {name}" for name, w in best.items() if name != offered[-1])
            log.warning(
                "runs that begin are computed with %s, which all workers have; %s.", offered[-1], others
            )
        self.setup = replace(self.setup, kernels=(offered[-1],))

    def _refusal(self, worker: Worker) -> str:
        """Why a worker is not to be used."""
        if set(self.setup.kernels) <= set(worker.kernels):
            return ""
        wanted = self.setup.kernels[0]
        return f"the worker {worker.address} has no kernel {wanted}, but {', '.join(worker.kernels)}."

    def _look(self) -> None:
        """Take in workers that have come, and give up those that have gone."""
        present = self._present()
        self._drop_lost(present)
        self._ask_new(present)
        for address, asked in self._asked.items():
            if address not in self._slots and asked.done():
                self._slots[address] = self._admitted(address, asked)

    def _admitted(self, address: str, asked: Future[Worker]) -> list[Slot]:
        try:
            worker = asked.result()
            refusal = self._refusal(worker)
        except (Exception, CancelledError) as error:  # noqa: BLE001 - it died, or is no good: others compute
            refusal = str(error)
        if refusal:
            log.warning("the worker %s is not used: %s", address, refusal)
            return []
        calls: Executor = self._client.get_executor(workers=[address], pure=False)
        return [Slot(worker, thread, calls) for thread in range(worker.threads)]

    def _drop_lost(self, present: Mapping[str, int]) -> None:
        for address in [a for a in self._asked if a not in present]:
            self._asked.pop(address).cancel()
            why = f"has been silent for {SILENT_S:.0f} s" if address in self._seen else "is gone"
            for slot in self._slots.pop(address, []):
                slot.lose(why)

    def _present(self) -> dict[str, int]:
        """The threads of each worker that was heard of lately."""
        if self._client.status != "running":
            raise self._gone()
        try:
            found = self._client.sync(
                self._client.scheduler.identity, n_workers=-1, callback_timeout=SILENT_S
            )["workers"]
        except Exception as error:
            raise self._gone() from error
        now = time.monotonic()
        # By this machine's clock: theirs may differ.
        seen = {a: (w["last_seen"], now) for a, w in found.items()}
        self._seen = {a: self._seen[a] if self._seen.get(a, (0,))[0] == seen[a][0] else seen[a] for a in seen}
        return {a: w["nthreads"] for a, w in found.items() if now - self._seen[a][1] < SILENT_S}

    def _gone(self) -> ClusterError:
        return ClusterError(
            f"the scheduler at {self.address} is gone or out of reach; every finished segment is kept.",
            "start it and its workers again, and type the same command",
        )

    def _ask_new(self, present: Mapping[str, int]) -> None:
        loop = self._client.loop.asyncio_loop
        for address, threads in present.items():
            if address not in self._asked:
                data = partial(self._scattered, address) if self._raw else None
                asked = ask(self._client, address, threads, self.setup, data)
                self._asked[address] = asyncio.run_coroutine_threadsafe(asked, loop)

    async def _scattered(self, address: str) -> Remote:
        """The data as a value of the cluster's: it is sent from here once, and from worker to worker."""
        async with self._scattering:
            if self._data is None or self._data.status != "finished":
                self._data = await self._client.scatter(self._raw, workers=[address], hash=False)
        return self._data


def _came(answer: Future[Worker]) -> bool:
    """Whether a worker answered before it died. Raises what is wrong with it."""
    if isinstance(error := answer.exception(), LtsmError):
        raise error
    return error is None


@contextmanager
def connected(address: str, setup: Setup) -> Iterator[Cluster]:
    """The cluster of the scheduler at `dask://HOST:PORT`; nothing is left on it when the block ends.

    Raises:
        UsageError: that is no such address, or the extra is not installed.
        ClusterError: no scheduler answers.
    """
    check_address(address)
    import dask.config

    # What Dask would say, in the terminal of a sweep, is said here in sentences, or is of no use to who typed it.
    dask.config.set(
        logging=dict.fromkeys(("distributed", "distributed.client", "tornado", "asyncio"), "critical")
    )
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    warnings.filterwarnings("ignore", category=VersionMismatchWarning)
    try:
        client = Client(address.replace(SCHEME, "tcp://"), timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(f"no scheduler answers at {address}.", "dask scheduler starts one") from error
    try:
        yield Cluster(address, client, setup)
    finally:
        client.close(timeout=GLANCE_S)


def check_address(address: str) -> None:
    """Nothing, where the address could be a scheduler's.

    Raises:
        UsageError: it could not, or the extra is not installed.
    """
    host, _, port = address.removeprefix(SCHEME).rpartition(":")
    if not (address.startswith(SCHEME) and host and port.isdecimal()):
        raise UsageError(f"{address!r} is no address of workers.", f"--workers {SCHEME}HOST:PORT")
    if not find_spec("distributed"):
        raise UsageError(
            f"workers at {SCHEME} need dask.distributed.",
            "pip install 'distributed>=2026.8'",
        )

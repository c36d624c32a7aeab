"""Runs a plan on workers; the only writer to the store."""

from __future__ import annotations

import logging
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import TYPE_CHECKING, Any, Protocol

from ltsm.errors import InterruptedRunError, LtsmError, RunError
from ltsm.steps.inputs import drop_spent
from ltsm.steps.jobs import Job
from ltsm.steps.lanes import lane_size, together
from ltsm.steps.plan import Plan
from ltsm.steps.worker import WorkerDiedError
from ltsm.store.values import FINISHED
from ltsm.studies.names import named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from ltsm.steps.experiment import Experiment
    from ltsm.store.values import Metric, State
    from ltsm.studies.study import RunKey

log = logging.getLogger(__name__)

_GLANCE_S = 0.1
"""How often the driving process looks whether it shall stop, while the workers compute."""


class Watcher(Protocol):
    """Who shows the progress."""

    def started(self, run: RunKey, iteration: int, iterations: int) -> None:
        """A run begins, or goes on from `iteration`; one that trains nothing has no iterations."""

    def advanced(self, run: RunKey, iteration: int, metrics: Sequence[Metric]) -> None:
        """A segment is in the store."""

    def ended(self, run: RunKey, state: State, message: str) -> None:
        """A run is done, diverged, failed or interrupted."""


@dataclass(slots=True)
class Outcome:
    """What came of a plan."""

    done: list[RunKey] = field(default_factory=list)
    failed: dict[RunKey, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Active:
    """The jobs that a worker has in hand: one, or a lane of them."""

    jobs: list[Job]
    worker: Executor
    deaths: int = 0
    """How many workers died of them, or beside them."""


class Execution:
    """One plan being run.

    Args:
        experiment: the study, the store and all that its runs share.
        runs: what is to be done, in the order of preference.
        done: what the store has already.
        workers: says often which there are; one run is made on each, or a lane of runs.
        watcher: is told of the progress.
        stop: asked often; the exit code to stop with, or 0 to go on.
        keep_going: a failed run keeps only those from running that need it.
        lane: how many runs of one recipe a worker advances side by side; None: as many as the device is good for.
    """

    def __init__(
        self,
        experiment: Experiment,
        runs: Sequence[RunKey],
        done: Iterable[RunKey],
        workers: Callable[[], Sequence[Executor]],
        watcher: Watcher,
        *,
        stop: Callable[[], int] = lambda: 0,
        keep_going: bool = False,
        lane: int | None = None,
    ) -> None:
        self._experiment = experiment
        self._plan = Plan(experiment.study, runs, set(done))
        self._workers = workers
        self._watcher = watcher
        self._stop = stop
        self._keep_going = keep_going
        self._lane = lane or lane_size(experiment.setup.device)
        self._active: dict[Future[Any], _Active] = {}
        self._again: list[_Active] = []
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Run the plan to its end.

        Raises:
            InterruptedRunError: `stop` said so; every run in progress is in the store up to its last segment.
            StoreError: the store cannot be written; it holds all that came before.
            DataError: the data is missing or has changed.
        """
        try:
            self._start_ready()
            while self._active or self._waits_for_workers():
                self._wait_and_take()
                self._start_ready()
            self._interrupt(self._again)
        except BaseException:
            self._abandon()
            raise
        if code := self._stop():
            raise _interrupted(code)
        return self.outcome

    def _start_ready(self) -> None:
        """Give every idle worker what another has lost, else the next run that can begin, with those beside it."""
        busy = {active.worker for active in self._active.values()}
        for worker in self._workers():
            if worker not in busy and not self._start_on(worker):
                return

    def _start_on(self, worker: Executor) -> bool:
        """Whether there was something to do."""
        while not self._stopping():
            if self._again:
                self._submit(replace(self._again.pop(0), worker=worker))
                return True
            if not (runs := self._plan.take(self._lane)):
                return False
            if jobs := [job for run in runs if (job := self._begun(run))]:
                self._submit(_Active(jobs, worker))
                return True
        return False

    def _waits_for_workers(self) -> bool:
        return bool(self._again or self._plan.has_ready) and not self._stopping()

    def _begun(self, run: RunKey) -> Job | None:
        """A run's job; None where what it is made from will never be there, so that it fails, and it alone."""
        begun = Job(run, self._experiment)
        self._watcher.started(run, begun.iteration, begun.iterations)
        try:
            begun.prepare()
        except RunError as error:
            self._end_failed(begun, error)
            return None
        return begun

    def _stopping(self) -> bool:
        return bool(self._stop()) or (bool(self.outcome.failed) and not self._keep_going)

    def _submit(self, active: _Active) -> None:
        """Send off what the jobs want done next; none of them has ended."""
        for one in active.jobs:
            one.placed(getattr(active.worker, "where", {}))
        calls = [call for one in active.jobs if (call := one.call())]
        if len(calls) == 1:
            future = active.worker.submit(calls[0].func, *calls[0].args)
        else:
            future = active.worker.submit(together, [(call.func, call.args) for call in calls])
        self._active[future] = active

    def _wait_and_take(self) -> None:
        if not self._active:
            time.sleep(_GLANCE_S)
        finished, _ = wait(self._active, timeout=_GLANCE_S, return_when=FIRST_COMPLETED)
        for future in finished:
            active = self._active.pop(future)
            if error := future.exception():
                self._fail(active, error)
            else:
                self._take(active, [future.result()] if len(active.jobs) == 1 else future.result())

    def _take(self, active: _Active, results: list[Any]) -> None:
        """Send the next segments off before these are written: the worker need not wait for the disk."""
        jobs = active.jobs
        for work, result in zip(jobs, results, strict=True):
            work.receive(result)
        stopping = self._stopping()
        going_on = [work.ended is None and not stopping for work in jobs]
        active.jobs = list(compress(jobs, going_on))
        if active.jobs:
            self._submit(active)
        for work, result, goes_on in zip(jobs, results, going_on, strict=True):
            metrics = work.commit(result)
            self._watcher.advanced(work.key, work.iteration, metrics)
            if not goes_on:
                self._end(work, work.ended or "interrupted")

    def _end(self, work: Job, state: State, message: str = "") -> None:
        if state in {"interrupted", "failed"}:
            work.stop(state, message or None)
        elif state in FINISHED:
            self._plan.finish(work.key)
            self.outcome.done.append(work.key)
            drop_spent(self._experiment, work.key)
        self._watcher.ended(work.key, state, message)

    def _fail(self, active: _Active, error: BaseException) -> None:
        if isinstance(error, WorkerDiedError) and active.deaths < error.patience and not self._stopping():
            active.deaths += 1
            log.warning("%s: %s It is tried again.", named(active.jobs[0].key), error.message)
            self._again.append(active)
            return
        # These are wrong for every run alike; a failure of this run alone goes into its row.
        if not isinstance(error, RunError):
            raise error
        # What told this process to stop, a closed terminal or a cluster's scheduler, may have ended the worker too.
        if isinstance(error, WorkerDiedError) and self._stop():
            self._interrupt([active])
            return
        for work in active.jobs:
            self._end_failed(work, error)

    def _interrupt(self, actives: Iterable[_Active]) -> None:
        for work in (work for active in actives for work in active.jobs):
            self._end(work, "interrupted")

    def _end_failed(self, work: Job, error: RunError) -> None:
        message = f"{error.message}{self._experiment.keep_traceback(work.key, error)}"
        self.outcome.failed[work.key] = message
        self._end(work, "failed", message)

    def _abandon(self) -> None:
        """Something is wrong with the store, the data or the program: leave at once, keeping what is written."""
        for work in (work for active in (*self._active.values(), *self._again) for work in active.jobs):
            with suppress(LtsmError):
                work.stop("interrupted")


def _interrupted(code: int) -> InterruptedRunError:
    error = InterruptedRunError(
        "stopped; every finished segment is kept.", "type the same command again to go on"
    )
    error.exit_code = code
    return error

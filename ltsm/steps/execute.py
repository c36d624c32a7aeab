"""Runs a plan on workers; the only writer to the store."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any, Protocol

from ltsm.errors import InterruptedRunError, LtsmError, RunError
from ltsm.steps.jobs import Job
from ltsm.steps.lanes import lane_size, together
from ltsm.steps.plan import Plan
from ltsm.steps.spent import drop_spent
from ltsm.steps.worker import WorkerDiedError, WorkerProcess
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
    retried: bool = False


class Execution:
    """One plan being run.

    Args:
        experiment: the study, the store and all that its runs share.
        runs: what is to be done, in the order of preference.
        done: what the store has already.
        workers: one run is made on each, or a lane of runs.
        watcher: is told of the progress.
        stop: asked often; the exit code to stop with, or 0 to go on.
        keep_going: a failed run keeps only those from running that need it.
        lane: how many runs of one recipe a worker advances side by side.
    """

    def __init__(
        self,
        experiment: Experiment,
        runs: Sequence[RunKey],
        done: Iterable[RunKey],
        workers: Sequence[Executor],
        watcher: Watcher,
        *,
        stop: Callable[[], int] = lambda: 0,
        keep_going: bool = False,
        lane: int = 1,
    ) -> None:
        self._experiment = experiment
        self._plan = Plan(experiment.study, runs, set(done))
        self._idle = list(workers)
        self._watcher = watcher
        self._stop = stop
        self._keep_going = keep_going
        self._lane = lane
        self._active: dict[Future[Any], _Active] = {}
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Run the plan to its end.

        Raises:
            InterruptedRunError: `stop` said so; every run in progress is in the store up to its last segment.
            StoreError: the store cannot be written; it holds all that came before.
            DataError: the data is missing or has changed.
        """
        try:
            while self._active or self._start_ready():
                self._wait_and_take()
                self._start_ready()
        except BaseException:
            self._abandon()
            raise
        if code := self._stop():
            raise _interrupted(code)
        return self.outcome

    def _start_ready(self) -> bool:
        """Give every idle worker the next run that can begin, and those that can be advanced beside it."""
        while self._idle and not self._stopping() and (runs := self._plan.take(self._lane)):
            if jobs := [job for run in runs if (job := self._begun(run))]:
                self._submit(_Active(jobs, self._idle.pop(0)))
        return bool(self._active)

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
        calls = [call for one in active.jobs if (call := one.call())]
        if len(calls) == 1:
            future = active.worker.submit(calls[0].function, *calls[0].arguments)
        else:
            future = active.worker.submit(together, [(call.function, call.arguments) for call in calls])
        self._active[future] = active

    def _wait_and_take(self) -> None:
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
        else:
            self._idle.append(active.worker)
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
        if isinstance(error, WorkerDiedError) and not active.retried and not self._stopping():
            active.retried = True
            log.warning("%s: %s It is tried once more.", named(active.jobs[0].key), error.message)
            self._submit(active)
            return
        self._idle.append(active.worker)
        # These are wrong for every run alike; a failure of this run alone goes into its row.
        if not isinstance(error, RunError):
            raise error
        # What told this process to stop, a closed terminal or a cluster's scheduler, may have ended the worker too.
        told = isinstance(error, WorkerDiedError) and bool(self._stop())
        for work in active.jobs:
            if told:
                self._end(work, "interrupted")
            else:
                self._end_failed(work, error)

    def _end_failed(self, work: Job, error: RunError) -> None:
        message = f"{error.message}{self._experiment.keep_traceback(work.key, error)}"
        self.outcome.failed[work.key] = message
        self._end(work, "failed", message)

    def _abandon(self) -> None:
        """Something is wrong with the store, the data or the program: leave at once, keeping what is written."""
        for work in (work for active in self._active.values() for work in active.jobs):
            with contextlib.suppress(LtsmError):
                work.stop("interrupted")


def _interrupted(code: int) -> InterruptedRunError:
    error = InterruptedRunError(
        "stopped; every finished segment is kept.", "type the same command again to go on"
    )
    error.exit_code = code
    return error


def execute(
    experiment: Experiment,
    runs: Sequence[RunKey],
    done: Iterable[RunKey],
    watcher: Watcher,
    *,
    jobs: int,
    stop: Callable[[], int] = lambda: 0,
    keep_going: bool = False,
) -> Outcome:
    """Run a plan on `jobs` processes of its own. See `Execution`."""
    lane = lane_size(experiment.setup.device)
    waiting = set(runs) - set(done)
    workers = [WorkerProcess() for _ in range(max(1, min(jobs, len(waiting))))]
    finished = False
    try:
        execution = Execution(
            experiment, runs, done, workers, watcher, stop=stop, keep_going=keep_going, lane=lane
        )
        outcome = execution.run()
        finished = True
    finally:
        for worker in workers:
            worker.shutdown(wait=finished, cancel_futures=not finished)
    return outcome

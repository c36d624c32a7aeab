"""Where runs are computed: by processes of this machine, or on a cluster."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ltsm.cli import say
from ltsm.core import sparse_library
from ltsm.errors import UsageError
from ltsm.steps.machine import cores
from ltsm.steps.worker import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from ltsm.cli.choices import RunOptions
    from ltsm.steps.experiment import Experiment


@contextmanager
def placed(
    experiment: Experiment, most: int, how: RunOptions, stop: Callable[[], int]
) -> Iterator[tuple[Experiment, Callable[[], Sequence[Executor]]]]:
    """Where runs are computed: processes of this machine, or the threads of a cluster, for which the setup is another."""
    if how.workers is None:
        _check_engine(how.engine)
        jobs = how.jobs or default_jobs(experiment.setup.device)
        with processes(max(1, min(jobs, most))) as workers:
            yield experiment, workers
        return
    if experiment.setup.device != "cpu":
        raise UsageError("the workers of a cluster compute on their CPUs.", "leave out --device or --workers")
    from ltsm.steps import cluster

    with cluster.connected(how.workers, experiment.setup) as found:
        found.open(stop)
        if not stop():
            say.note(found.describe())
        yield replace(experiment, setup=found.setup), found.workers


def _check_engine(engine: str | None) -> None:
    """Nothing, where this machine has that variant of the kernel.

    Raises:
        UsageError: it does not.
    """
    names = (sparse_library.NONE, *sparse_library.usable())
    if engine and engine not in names:
        raise UsageError(
            f"there is no engine {engine!r} on this machine, but {', '.join(names)}.", f"--engine {names[-1]}"
        )


def default_jobs(device: str) -> int:
    """A worker for every core; one for a GPU, which advances all runs of one shape side by side."""
    return cores() if device == "cpu" else 1

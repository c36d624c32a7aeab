"""How far a sweep is, from the runs as they are stored."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ltsm.store.values import FINISHED
from ltsm.studies.recipe import effort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ltsm.store.values import RunRow
    from ltsm.studies.recipe import Learned

    Shape = tuple[tuple[int, ...], Learned | None]


def running(runs: Sequence[RunRow]) -> list[RunRow]:
    """The runs in progress, the one that began last first."""
    found = [run for run in runs if run.state == "running"]
    return sorted(found, key=lambda run: (run.started_at or run.updated_at, run.id), reverse=True)


def failed(runs: Sequence[RunRow]) -> list[RunRow]:
    """The runs that need a person, the newest failure first."""
    found = [run for run in runs if run.state == "failed"]
    return sorted(found, key=lambda run: run.updated_at, reverse=True)


def finished(runs: Sequence[RunRow]) -> int:
    """How many runs have nothing left to do."""
    return sum(run.state in FINISHED for run in runs)


def newest(runs: Sequence[RunRow]) -> datetime | None:
    """When something was recorded last."""
    return max((run.updated_at for run in runs if run.started_at is not None), default=None)


SILENT_S = 120.0
"""A sweep records something every few seconds, on slow machines and large networks within a minute or two."""


def silence(newest: datetime | None, since: datetime | None, now: datetime) -> float | None:
    """Seconds for which who writes has recorded nothing, from when it began; None where that is nothing unusual.

    It may be stopped by a signal, hang, or be very slow: which, only whoever started it can tell.
    """
    last = max((moment for moment in (newest, since) if moment is not None), default=now)
    silent = (now - last).total_seconds()
    return silent if silent > SILENT_S else None


def speed(run: RunRow) -> float | None:
    """Iterations per second over all of the run's training so far, None before its first segment."""
    return run.iteration / run.seconds if run.seconds > 0 and run.iteration else None


def percent(run: RunRow) -> int | None:
    """How much of a run is done, rounded down, so that 100 is the end; None where it has no length, or none yet."""
    return 100 * run.iteration // run.iterations if run.iterations else None


def seconds_left(runs: Sequence[RunRow], learned: Mapping[str, Learned]) -> float | None:
    """How long the runs that are left will take at the speed seen so far, None while none has been seen.

    Each architecture has its own speed, and each way of training a mask; those not seen yet are taken to be slower or
    faster than the others by the effort of an iteration. A run whose length is unknown is taken to be as long as the
    known ones of its recipe, or else of all.

    Args:
        runs: of one study.
        learned: the masks that are trained, by recipe.
    """
    pace = _seconds_per_iteration(runs, learned)
    if not pace:
        return None
    usual = sum(seconds / effort(*shape) for shape, seconds in pace.items()) / len(pace)
    length, left = _usual_lengths(runs), 0.0
    for run in runs:
        if run.state not in FINISHED:
            shape = run.hidden, learned.get(run.recipe)
            iterations = (length[run.recipe] if run.iterations is None else run.iterations) - run.iteration
            left += iterations * pace.get(shape, usual * effort(*shape))
    return left / max(1, len(running(runs)))


def _seconds_per_iteration(runs: Sequence[RunRow], learned: Mapping[str, Learned]) -> dict[Shape, float]:
    seconds: dict[Shape, float] = defaultdict(float)
    iterations: dict[Shape, int] = defaultdict(int)
    for run in runs:
        if speed(run) is not None:
            shape = run.hidden, learned.get(run.recipe)
            seconds[shape] += run.seconds
            iterations[shape] += run.iteration
    return {shape: seconds[shape] / iterations[shape] for shape in seconds}


def _usual_lengths(runs: Sequence[RunRow]) -> dict[str, float]:
    """The mean length of each recipe's runs, or of all runs for one that has none yet."""
    known: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        known[run.recipe] += [run.iterations] if run.iterations else []
    every = [length for lengths in known.values() for length in lengths] or [0]
    return {recipe: sum(lengths or every) / len(lengths or every) for recipe, lengths in known.items()}

"""What the store held at one look, and what follows from it: plain values, for every screen alike."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ltsm.protocol import Protocol
    from ltsm.store.values import Holder, MaskRow, Metric, ProtocolRow, RunRow

RUNNING_AT_ONCE = 1
"""Assumed for the estimate while a sweep is between two runs."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One look at the store.

    `runs` are those of `protocol`, by seed; `latest` holds the last record of the runs in progress;
    `supermasks` the selected mask of each seed that has one; `holder` who writes to the store now;
    `checked` whether the file has been compared with its seals from end to end.
    """

    path: Path
    protocols: tuple[ProtocolRow, ...]
    protocol_id: int
    protocol: Protocol
    runs: tuple[RunRow, ...]
    latest: Mapping[int, Metric]
    supermasks: Mapping[int, MaskRow]
    holder: Holder | None
    checked: bool = True

    # The clock asks for these once a second, of 13,000 runs in a store of a thousand seeds.
    @cached_property
    def finished(self) -> int:
        """How many runs have nothing left to do."""
        return finished(self.runs)

    @cached_property
    def newest(self) -> datetime | None:
        """When something was recorded last."""
        return newest(self.runs)

    @cached_property
    def seconds_left(self) -> float | None:
        """How long the rest of the sweep will take; None while nothing writes."""
        return seconds_left(self.runs, self.protocol) if self.holder else None

    @cached_property
    def stopped(self) -> bool:
        """Whether a run was left in the middle."""
        return any(run.state == "interrupted" for run in self.runs)


def running(runs: Sequence[RunRow]) -> list[RunRow]:
    """The runs in progress, the one that began last first."""
    found = [run for run in runs if run.state == "running"]
    return sorted(found, key=lambda run: (run.started_at or run.updated_at, run.id), reverse=True)


def failed(runs: Sequence[RunRow]) -> list[RunRow]:
    """The runs that need a person, the newest failure first."""
    return sorted(
        (run for run in runs if run.state == "failed"), key=lambda run: run.updated_at, reverse=True
    )


def finished(runs: Sequence[RunRow]) -> int:
    """How many runs have nothing left to do."""
    return sum(run.state in FINISHED for run in runs)


def newest(runs: Sequence[RunRow]) -> datetime | None:
    """When something was recorded last."""
    return max((run.updated_at for run in runs if run.started_at is not None), default=None)


def speed(run: RunRow) -> float | None:
    """Iterations per second over all of the run's training so far, None before its first segment."""
    return run.iteration / run.seconds if run.seconds > 0 and run.iteration else None


def seconds_left(runs: Sequence[RunRow], protocol: Protocol) -> float | None:
    """How long the rest of the sweep will take at the speed seen so far, None while none has been seen.

    Each architecture has its own speed; those not seen yet are taken to be as fast as the mean of the
    others. A baseline whose length is unknown is taken to be as long as the known ones.
    """
    pace = _seconds_per_iteration(runs)
    if not pace:
        return None
    usual = sum(pace.values()) / len(pace)
    length = _baseline_iterations(runs, protocol)
    left = sum(
        ((run.iterations or length) - run.iteration) * pace.get(run.hidden, usual)
        for run in runs
        if run.state not in FINISHED
    )
    return left / max(RUNNING_AT_ONCE, len(running(runs)))


def _seconds_per_iteration(runs: Sequence[RunRow]) -> dict[tuple[int, ...], float]:
    seconds: dict[tuple[int, ...], float] = defaultdict(float)
    iterations: dict[tuple[int, ...], int] = defaultdict(int)
    for run in runs:
        if speed(run) is not None:
            seconds[run.hidden] += run.seconds
            iterations[run.hidden] += run.iteration
    return {hidden: seconds[hidden] / iterations[hidden] for hidden in seconds}


def _baseline_iterations(runs: Sequence[RunRow], protocol: Protocol) -> int:
    known = [run.iterations for run in runs if run.kind == "baseline" and run.iterations]
    return sum(known) // len(known) if known else protocol.iterations

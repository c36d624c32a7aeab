"""The tasks a protocol needs, in the order of the method, minus those the store has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ltsm.store.values import FINISHED, RunSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ltsm.protocol import Kind, Protocol
    from ltsm.store.values import RunRow

Step = Literal["initial", "baseline", "supermask", "ticket", "hyperop"]
CHAIN: tuple[Step, ...] = ("initial", "baseline", "supermask", "ticket")
"""Steps 1 to 6 of section 2.3; each needs the one before it."""


@dataclass(frozen=True, slots=True)
class Task:
    """One step for one seed: a run, or the search for the supermask (which trains nothing)."""

    step: Step
    seed: int
    hidden: tuple[int, ...]

    @property
    def needs(self) -> Task | None:
        """The task that must be done before this one."""
        place = CHAIN.index(self.step) if self.step in CHAIN else 0
        return Task(CHAIN[place - 1], self.seed, self.hidden) if place else None

    @property
    def kind(self) -> Kind:
        """The kind of run whose row this task fills; a supermask's masks belong to the baseline run."""
        return "baseline" if self.step == "supermask" else self.step

    def spec(self, protocol: Protocol) -> RunSpec:
        """The run of this task; a baseline's iterations become known with the initial training's best one."""
        lengths = {"initial": protocol.initial_iterations, "baseline": 0}
        return RunSpec(self.seed, self.kind, self.hidden, lengths.get(self.kind, protocol.iterations))

    def __str__(self) -> str:
        """As the screen names it."""
        sizes = ", ".join(map(str, self.hidden))
        names = {"initial": "initial training", "hyperop": f"hyperop ({sizes})"}
        return f"seed {self.seed} {names.get(self.step, self.step)}"


def chain(protocol: Protocol, seed: int, last: Step = "ticket") -> list[Task]:
    """Steps 1 to 6 for one seed, up to and with `last`."""
    return [Task(step, seed, protocol.hidden) for step in CHAIN[: CHAIN.index(last) + 1]]


def hyperops(protocol: Protocol, seed: int) -> list[Task]:
    """The dense networks that the ticket is compared with (section 3.5)."""
    return [Task("hyperop", seed, hidden) for hidden in protocol.hyperops]


def everything(protocol: Protocol, seeds: Iterable[int]) -> list[Task]:
    """The whole evaluation, seed by seed, so that Table 1 fills evenly; the long chain of a seed comes first."""
    return [task for seed in seeds for task in (*chain(protocol, seed), *hyperops(protocol, seed))]


def finished(runs: Iterable[RunRow], masked: Collection[int]) -> set[Task]:
    """The tasks that the store has the results of; `masked` are the runs that have masks."""
    done: set[Task] = set()
    for run in runs:
        if run.state in FINISHED:
            done.add(Task(run.kind, run.seed, run.hidden))
            if run.id in masked:
                done.add(Task("supermask", run.seed, run.hidden))
    return done


def dependents(tasks: Iterable[Task]) -> set[Task]:
    """These tasks and all that are built on them: what has to be redone when they are."""
    found: set[Task] = set()
    for task in tasks:
        later = CHAIN[CHAIN.index(task.step) :] if task.step in CHAIN else (task.step,)
        found |= {Task(step, task.seed, task.hidden) for step in later}
    return found


def cost(task: Task, protocol: Protocol) -> float:
    """How long a task takes, in units of no meaning but their ratio, for the estimate of the time left.

    Every iteration touches each parameter; evaluation and the walk through the batch add a share of their own.
    """
    if task.step == "supermask":
        return float(len(protocol.thresholds))
    return expected_iterations(task, protocol) * (30 + sum(task.hidden)) / 1000


def expected_iterations(task: Task, protocol: Protocol) -> int:
    """How long a task trains; a baseline is taken for a quarter of the initial training, where the paper's stops."""
    return protocol.initial_iterations // 4 if task.step == "baseline" else task.spec(protocol).iterations


def next_lane(waiting: Sequence[Task], done: Collection[Task], size: int) -> list[Task]:
    """The first task that waits for nothing, and up to `size` in all that are the same step of the same shape."""
    first = next_ready(waiting, done)
    if first is None:
        return []
    alike = [task for task in waiting if (task.step, task.hidden) == (first.step, first.hidden)]
    return [task for task in alike if task.needs is None or task.needs in done][:size]


def next_ready(waiting: Sequence[Task], done: Collection[Task]) -> Task | None:
    """The first task that waits for nothing."""
    return next((task for task in waiting if task.needs is None or task.needs in done), None)

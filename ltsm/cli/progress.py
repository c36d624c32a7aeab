"""Progress on stderr: bars in a terminal, a line per finished run elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ltsm.cli import say
from ltsm.steps.plan import cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import TaskID

    from ltsm.protocol import Protocol
    from ltsm.steps.execute import Watcher
    from ltsm.steps.plan import Task
    from ltsm.store.values import Metric, State


SMOOTHING_S = 3600.0
"""The estimate of the time left looks back over this long: runs differ in cost, so a short view would jump."""


@contextmanager
def shown(tasks: Sequence[Task], protocol: Protocol, title: str) -> Iterator[Watcher]:
    """Show the progress of these tasks while the block runs."""
    if not say.words.is_terminal:
        yield Lines(tasks, protocol)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]left"),
        console=say.words,
        expand=True,
        speed_estimate_period=SMOOTHING_S,
    ) as progress:
        yield Bars(progress, tasks, protocol, title)


class Bars:
    """A bar for each network that trains, and one for the whole with the time left."""

    def __init__(self, progress: Progress, tasks: Sequence[Task], protocol: Protocol, title: str) -> None:
        self._progress = progress
        self._work = Work(tasks, protocol)
        self._whole = progress.add_task(f"[bold]{title}", total=self._work.total, amount=self._work.amount())
        self._bars: dict[Task, TaskID] = {}

    def started(self, task: Task, iteration: int, iterations: int) -> None:
        """A new bar."""
        self._work.resumed(task, iteration, iterations)
        description = Text(str(task)).markup
        self._bars[task] = self._progress.add_task(
            description, total=iterations or None, completed=iteration, amount=""
        )

    def advanced(self, task: Task, iteration: int, metrics: Sequence[Metric]) -> None:
        """Move both bars."""
        loss = f"loss {metrics[-1].val_loss:.3f}" if metrics else ""
        amount = f"{iteration:,} {loss}"
        self._progress.update(self._bars[task], completed=iteration, amount=amount)
        self._work.advanced(task, iteration)
        self._progress.update(self._whole, completed=self._work.spent, amount=self._work.amount())

    def ended(self, task: Task, state: State, message: str) -> None:
        """The bar goes; what went wrong stays on the screen."""
        self._progress.remove_task(self._bars.pop(task))
        self._work.ended(task, state)
        self._progress.update(self._whole, completed=self._work.spent, amount=self._work.amount())
        if state in {"failed", "diverged"}:
            say.warn(f"{task} {state} {message}".rstrip())


class Lines:
    """A line when a task ends: for logs."""

    def __init__(self, tasks: Sequence[Task], protocol: Protocol) -> None:
        self._work = Work(tasks, protocol)
        self._began = time.monotonic()
        self._last: dict[Task, str] = {}

    def started(self, task: Task, iteration: int, iterations: int) -> None:
        """Only a run that goes on from its middle is worth a line."""
        self._work.resumed(task, iteration, iterations)
        if iteration:
            say.note(f"{task}: goes on from iteration {iteration:,} of {iterations:,}")

    def advanced(self, task: Task, iteration: int, metrics: Sequence[Metric]) -> None:
        """Remember the last record for the line."""
        self._work.advanced(task, iteration)
        if metrics:
            last = metrics[-1]
            self._last[task] = (
                f"iteration {iteration:,}: validation loss {last.val_loss:.4f}, accuracy {last.val_accuracy:.4f}"
            )

    def ended(self, task: Task, state: State, message: str) -> None:
        """The line."""
        self._work.ended(task, state)
        left = self._work.seconds_left(time.monotonic() - self._began)
        text = ", ".join(filter(None, [f"{task} {state}", self._last.pop(task, ""), message]))
        say.note(f"[{self._work.amount()}{left}] {text}")


class Work:
    """How much of the plan is done, by cost rather than by number: a hyperop is short, a baseline long."""

    def __init__(self, tasks: Sequence[Task], protocol: Protocol) -> None:
        self._costs = {task: cost(task, protocol) for task in tasks}
        self._lengths: dict[Task, int] = {}
        self._spent: dict[Task, float] = {}
        self._count = 0
        self._free = 0.0
        self.total = sum(self._costs.values())

    @property
    def spent(self) -> float:
        """The cost of what is done."""
        return sum(self._spent.values())

    def amount(self) -> str:
        """Tasks done of all, e.g. 3/140."""
        return f"{self._count}/{len(self._costs)}"

    def resumed(self, task: Task, iteration: int, iterations: int) -> None:
        """A task starts, perhaps in its middle, which cost nothing now."""
        self._lengths[task] = iterations
        self.advanced(task, iteration)
        self._free += self._spent[task]

    def advanced(self, task: Task, iteration: int) -> None:
        """A task has come to this iteration."""
        self._spent[task] = self._costs[task] * min(1.0, iteration / (self._lengths[task] or 1))

    def ended(self, task: Task, state: State) -> None:
        """A task is over."""
        if state in {"done", "diverged"}:
            self._spent[task] = self._costs[task]
            self._count += 1

    def seconds_left(self, seconds: float) -> str:
        """What is left at the pace so far, as `, 12 min left`; nothing while there is no pace."""
        done = self.spent - self._free
        if done <= 0 or self.spent >= self.total:
            return ""
        left = seconds * (self.total - self.spent) / done
        return f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left"  # noqa: PLR2004 - a minute and a half

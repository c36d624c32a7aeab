"""Progress on stderr: bars in a terminal, a line per finished run elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ltsm.cli import say
from ltsm.store.values import FINISHED
from ltsm.studies.names import named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.progress import TaskID

    from ltsm.steps.execute import Watcher
    from ltsm.store.values import Metric, State
    from ltsm.studies.study import RunKey


SMOOTHING_S = 3600.0
"""The estimate of the time left looks back over this long: runs differ in cost, so a short view would jump."""

LINE_S = 5.0
"""In a log what is counted is told of so often."""


@contextmanager
def shown(runs: Sequence[RunKey], costs: Mapping[str, float], title: str) -> Iterator[Watcher]:
    """Show the progress of these runs while the block runs; `costs` is what a run of each recipe costs."""
    if not say.words.is_terminal:
        yield Lines(runs, costs)
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
        yield Bars(progress, runs, costs, title)


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Count up to `total`, with a call each: a bar in a terminal, elsewhere a line every few seconds."""
    if not say.words.is_terminal:
        yield _Counted(title, total).moved
        return
    parts = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    with Progress(*parts, TimeRemainingColumn(), console=say.words, expand=True, transient=True) as progress:
        bar = progress.add_task(Text(title).markup, total=total)
        yield lambda: progress.advance(bar)


class _Counted:
    """A line every few seconds: for logs."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._count = title, total, 0
        self._told = time.monotonic()

    def moved(self) -> None:
        """One more; a line, if the last one is old."""
        self._count += 1
        if (now := time.monotonic()) >= self._told + LINE_S:
            self._told = now
            say.note(f"{self._title}: {self._count:,} of {self._total:,}")


class Bars:
    """A bar for each network that trains, and one for the whole with the time left."""

    def __init__(
        self, progress: Progress, runs: Sequence[RunKey], costs: Mapping[str, float], title: str
    ) -> None:
        self._progress = progress
        self._work = Work(runs, costs)
        self._whole = progress.add_task(f"[bold]{title}", total=self._work.total, amount=self._work.amount())
        self._bars: dict[RunKey, TaskID] = {}

    def started(self, run: RunKey, iteration: int, iterations: int) -> None:
        """A new bar."""
        self._work.resumed(run, iteration, iterations)
        description = Text(named(run)).markup
        self._bars[run] = self._progress.add_task(
            description, total=iterations or None, completed=iteration, amount=""
        )

    def advanced(self, run: RunKey, iteration: int, metrics: Sequence[Metric]) -> None:
        """Move both bars."""
        loss = f"loss {metrics[-1].val_loss:.3f}" if metrics else ""
        amount = f"{iteration:,} {loss}"
        self._progress.update(self._bars[run], completed=iteration, amount=amount)
        self._work.advanced(run, iteration)
        self._progress.update(self._whole, completed=self._work.spent, amount=self._work.amount())

    def ended(self, run: RunKey, state: State, message: str) -> None:
        """The bar goes; what went wrong stays on the screen."""
        self._progress.remove_task(self._bars.pop(run))
        self._work.ended(run, state)
        self._progress.update(self._whole, completed=self._work.spent, amount=self._work.amount())
        if state in {"failed", "diverged"}:
            say.warn(f"{named(run)} {state} {message}".rstrip())


class Lines:
    """A line when a run ends: for logs."""

    def __init__(self, runs: Sequence[RunKey], costs: Mapping[str, float]) -> None:
        self._work = Work(runs, costs)
        self._began = time.monotonic()
        self._last: dict[RunKey, str] = {}

    def started(self, run: RunKey, iteration: int, iterations: int) -> None:
        """Only a run that goes on from its middle is worth a line."""
        self._work.resumed(run, iteration, iterations)
        if iteration:
            say.note(f"{named(run)}: goes on from iteration {iteration:,} of {iterations:,}")

    def advanced(self, run: RunKey, iteration: int, metrics: Sequence[Metric]) -> None:
        """Remember the last record for the line."""
        self._work.advanced(run, iteration)
        if metrics:
            last = metrics[-1]
            self._last[run] = (
                f"iteration {iteration:,}: validation loss {last.val_loss:.4f}, accuracy {last.val_accuracy:.4f}"
            )

    def ended(self, run: RunKey, state: State, message: str) -> None:
        """The line."""
        self._work.ended(run, state)
        left = self._work.seconds_left(time.monotonic() - self._began)
        text = ", ".join(filter(None, [f"{named(run)} {state}", self._last.pop(run, ""), message]))
        say.note(f"[{self._work.amount()}{left}] {text}")


class Work:
    """How much of the plan is done, by cost rather than by number: a hyperop is short, a baseline long."""

    def __init__(self, runs: Sequence[RunKey], costs: Mapping[str, float]) -> None:
        self._costs, self._number = costs, len(runs)
        self._lengths: dict[RunKey, int] = {}
        self._under_way: dict[RunKey, float] = {}
        self._count = 0
        self._ended = self._free = 0.0
        self.total = sum(costs[run.recipe] for run in runs)

    @property
    def spent(self) -> float:
        """The cost of what is done."""
        return self._ended + sum(self._under_way.values())

    def amount(self) -> str:
        """Runs done of all, e.g. 3/140."""
        return f"{self._count}/{self._number}"

    def resumed(self, run: RunKey, iteration: int, iterations: int) -> None:
        """A run starts, perhaps in its middle, which cost nothing now."""
        self._lengths[run] = iterations
        self.advanced(run, iteration)
        self._free += self._under_way[run]

    def advanced(self, run: RunKey, iteration: int) -> None:
        """A run has come to this iteration."""
        self._under_way[run] = self._costs[run.recipe] * min(1.0, iteration / (self._lengths[run] or 1))

    def ended(self, run: RunKey, state: State) -> None:
        """A run is over."""
        spent = self._under_way.pop(run, 0.0)
        if state in FINISHED:
            spent = self._costs[run.recipe]
            self._count += 1
        self._ended += spent

    def seconds_left(self, seconds: float) -> str:
        """What is left at the pace so far, as `, 12 min left`; nothing while there is no pace."""
        done = self.spent - self._free
        if done <= 0 or self.spent >= self.total:
            return ""
        left = seconds * (self.total - self.spent) / done
        return f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left"  # noqa: PLR2004 - a minute and a half

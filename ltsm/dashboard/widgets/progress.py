"""The overview's regions beside its grid: failures, counts, and what runs now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from ltsm.dashboard import words
from ltsm.grammar import protocol_words, stored_words, sweep_words, typed
from ltsm.notation import duration, format_seeds
from ltsm.report import progress
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import Metric, RunRow

_FAILURES_SHOWN, _RUNS_SHOWN = 3, 8
_BAR, _WIDE = 24, 110
_COLOURS = {
    "muted": "$text-muted",
    "live": "$text-accent",
    "warn": "$text-warning",
    "good": "$text-success",
    "bad": "$text-error",
}


class Telling(Static):
    """A text that is drawn only when it changed, and laid out only when its height may have."""

    wraps = False

    def __init__(self) -> None:
        super().__init__()
        self._told: Content | None = None

    def tell(self, lines: list[Content]) -> None:
        """Say these lines from now on."""
        text, told = Content("\n").join(lines), self._told
        if told is None or (told.plain, told.spans) != (text.plain, text.spans):
            self.update(text, layout=self.wraps or told is None or _height(told) != _height(text))
            self._told = text


def _height(text: Content) -> int:
    return text.plain.count("\n")


class Failures(Telling):
    """Failed runs with their message and the command that shows more; nothing where none failed."""

    wraps = True

    def show(self, moment: Moment) -> None:
        """The newest few."""
        failed = progress.failed(moment.runs)
        self.display = bool(failed)
        lines = [_failure(run, moment) for run in failed[:_FAILURES_SHOWN]]
        if len(failed) > _FAILURES_SHOWN:
            lines.append(
                Content.styled(f"… and {len(failed) - _FAILURES_SHOWN} more (f goes through them)", "dim")
            )
        self.tell(lines)


def _failure(run: RunRow, moment: Moment) -> Content:
    return Content.assemble(
        (f"{words.GLYPHS['failed']} {run_name(run.recipe, run.seed)} failed", "bold $text-error"),
        f" at iteration {run.iteration:,}: {run.error or 'no message'} ",
        ("again: ", "dim"),
        (words.command(run, moment), "$text-accent"),
    )


class Counts(Telling):
    """How many runs are in each state: the legend of the grid as well."""

    def show(self, moment: Moment) -> None:
        """Only the states that occur."""
        counts = Counter(run.state for run in moment.runs)
        parts = [
            Content.styled(f"{glyph} {counts[state]} {state}", _COLOURS[words.TONES[state]])
            for state, glyph in words.GLYPHS.items()
            if counts[state]
        ]
        self.tell([Content("   ").join(parts)])


class Now(Telling):
    """The runs in progress, or what to do next where there are none."""

    _most = 1

    def show(self, moment: Moment) -> None:
        """One line for each."""
        runs, wide = progress.running(moment.runs), self.app.size.width >= _WIDE
        lines = [_running(run, moment.latest.get(run.id), wide=wide) for run in runs[:_RUNS_SHOWN]]
        if len(runs) > _RUNS_SHOWN:
            lines.append(Content.styled(f"… and {len(runs) - _RUNS_SHOWN} more", "dim"))
        # What lies below must not jump whenever one run ends a moment before the next begins.
        self._most = max(self._most, len(lines)) if moment.holder else 1
        # A line a run, but a command to type stands there whole.
        self.wraps = not lines
        self.set_class(self.wraps, "-idle")
        lines = lines or [_idle(moment)]
        self.tell([*lines, *[Content()] * (self._most - len(lines))])


def _running(run: RunRow, last: Metric | None, *, wide: bool) -> Content:
    """Which run, how far, how well, how fast; a bar and the time left where there is room."""
    pace = progress.speed(run)
    length = run.iterations or 0
    left = duration((length - run.iteration) / pace) if pace else "–"
    loss = f"{words.number(last.val_loss) or '∞':>5}" if last else "    –"
    accuracy = f"{100 * last.val_accuracy:4.1f} %" if last else "   –  "
    full = _BAR * run.iteration // length if length else 0
    parts: list[tuple[str, str] | str] = [
        (f"{words.GLYPHS['running']} {run_name(run.recipe, run.seed):<26} ", "bold $text-accent"),
        ("━" * full if wide else "", "$text-accent"),
        ("─" * (_BAR - full) + " " if wide else "", "dim"),
        f"{run.iteration:>6,}/{length:<6,} loss {loss}  {accuracy}",
        f"  {pace:>6,.0f} it/s" if pace else "",
        (f"  {left} left" if wide else "", "dim"),
    ]
    return Content.assemble(*parts)


def _idle(moment: Moment) -> Content:
    sweep, runs = sweep_words(moment.asked), moment.runs
    if runs and moment.finished == len(runs):
        report = ["report", *sweep[1:], *stored_words(moment.protocols, moment.protocol_id)]
        command = typed(report, moment.path)
        return Content.assemble("Everything is done: ", (command, "bold $text-accent"))
    if moment.holder is not None:
        return Content.styled("A run is about to begin.", "dim")
    seeds = ["--seeds", format_seeds(moment.protocol.seeds)] if runs else []
    which = protocol_words(moment.protocol_id, moment.protocol.dataset, runs)
    waiting = len(runs) - moment.finished
    said = f"Nothing runs now; {waiting} wait: " if runs else "No run of this study yet: "
    return Content.assemble(said, (typed([*sweep, *seeds, *which], moment.path), "bold $text-accent"))

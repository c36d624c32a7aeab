"""How the dashboard writes: states as glyphs, moments, durations, numbers with their spread."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Final

from ltsm.report import commands
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import RunRow, State

GLYPHS: Final[dict[State, str]] = {
    "pending": "·",
    "running": "▶",
    "interrupted": "‖",
    "done": "✓",
    "diverged": "∞",
    "failed": "✗",
}
"""One for each state, so that nothing is said by colour alone."""
TONES: Final[dict[State, str]] = {
    "pending": "muted",
    "running": "live",
    "interrupted": "warn",
    "done": "good",
    "diverged": "warn",
    "failed": "bad",
}
NAMES: Final = {
    "initial": "initial training",
    "baseline": "baseline",
    "ticket": "ticket",
    "hyperop": "hyperop",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def sizes(hidden: tuple[int, ...]) -> str:
    """`(200, 30)` as the paper writes it."""
    return f"({', '.join(map(str, hidden))})"


def label(run: RunRow) -> str:
    """`ticket, seed 3`, or `hyperop (100, 15), seed 3`."""
    what = f"hyperop {sizes(run.hidden)}" if run.kind == "hyperop" else NAMES[run.kind]
    return f"{what}, seed {run.seed}"


def command(run: RunRow, moment: Moment) -> str:
    """The command that does this run again: a finished one only by force."""
    force = run.state in FINISHED
    return commands.again(run, moment.protocol.settings(), moment.path, moment.runs, force=force)


def percent(run: RunRow) -> int | None:
    """How much of a run is done, rounded down, so that 100 is the end; None while its length is unknown."""
    return 100 * run.iteration // run.iterations if run.iterations else None


def duration(seconds: float) -> str:
    """Two figures are enough: `8 s`, `3 min`, `2 h 05 min`, `4 d`."""
    if seconds < _MINUTE:
        return f"{max(0, seconds):.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < _DAY:
        hours, minutes = divmod(round(seconds / _MINUTE), 60)
        return f"{hours} h {minutes:02} min"
    return f"{seconds / _DAY:.1f} d"


def number(value: float | None, digits: int = 3) -> str:
    """A number of so many digits after the point; nothing where there is none."""
    return "" if value is None or isnan(value) else f"{value:,.{digits}f}"


def spread(mean: float | None, deviation: float | None, digits: int = 3) -> str:
    """`0.091 ± 0.007`, or the mean alone where one seed gives no deviation."""
    if deviation is None or isnan(deviation):
        return number(mean, digits)
    return f"{number(mean, digits)} ± {number(deviation, digits)}"

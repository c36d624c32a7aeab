"""How the dashboard writes: states as glyphs, runs, numbers with their spread."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Final

from ltsm.grammar import again
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import MaskRow, RunRow, State

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


def command(run: RunRow, moment: Moment) -> str:
    """The command that does this run again: a finished one only by force."""
    return again(run, moment.protocol.settings(), moment.path, force=run.state in FINISHED)


def amount(mask: MaskRow) -> str:
    """How much a mask keeps: a threshold `t=0.04`, or a fraction `12.5%`."""
    return f"t={mask.amount:g}" if mask.amount_by == "threshold" else f"{100 * mask.amount:.3g}%"


def number(value: float | None, digits: int = 3) -> str:
    """A number of so many digits after the point; nothing where there is none."""
    return "" if value is None or isnan(value) else f"{value:,.{digits}f}"


def spread(mean: float | None, deviation: float | None, digits: int = 3) -> str:
    """`0.091 ± 0.007`, or the mean alone where one seed gives no deviation."""
    if deviation is None or isnan(deviation):
        return number(mean, digits)
    return f"{number(mean, digits)} ± {number(deviation, digits)}"

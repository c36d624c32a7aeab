"""The legend of the curves: a line for each group, with its values at the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.dashboard.widgets.columns import Column, averaged, numbered, worded

if TYPE_CHECKING:
    from ltsm.dashboard.curve_groups import Line
    from ltsm.report.statistics import Summary


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend: a group, its letter and tone, its values at the cursor."""

    line: Line
    tag: str
    tone: str
    at: Summary | None = None
    versus: Summary | None = None
    pinned: bool = False


def columns(cursor: float | None, width: int, *, pinned: bool) -> list[Column[Entry]]:
    """The letter (and a star where it is pinned), the name so wide, and the value at the cursor or the last one."""
    at = "last record" if cursor is None else f"at {cursor:,.0f}"
    return [
        Column(
            title="",
            width=3 + pinned,
            left=True,
            value=lambda entry: entry.tag,
            text=lambda entry: f"[{entry.tag or ' '}]{'*' * entry.pinned}",
            tone=lambda entry: entry.tone,
        ),
        worded("network", min(24, max(16, width)), lambda entry: entry.line.name, lambda entry: entry.tone),
        numbered("runs", 4, lambda entry: entry.line.started),
        averaged(at, 18, lambda entry: entry.at, 4),
        numbered("n", 3, lambda entry: entry.at.n if entry.at else None),
    ]


def versus(tag: str) -> Column[Entry]:
    """Means of differences with their deviations; without one where no seed is shared."""
    return averaged(f"minus [{tag}]", 17, lambda entry: entry.versus, 4)


PUBLISHED: Column[Entry] = numbered("paper min", 9, lambda entry: entry.line.published, 3, lambda _: "muted")

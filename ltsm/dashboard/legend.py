"""Which groups are drawn, in which style, and the legend: a line for each, with its values at the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

from ltsm.dashboard.widgets.columns import Column, averaged, numbered, worded
from ltsm.dashboard.widgets.plot import STYLES, tone

if TYPE_CHECKING:
    from ltsm.dashboard.curve_groups import Line
    from ltsm.dashboard.moment import Moment
    from ltsm.report.figures.values import Style
    from ltsm.report.statistics import Summary


@dataclass(frozen=True, slots=True)
class Selection:
    """Groups by their place: a group keeps its style and letter while others come and go."""

    places: tuple[str | None, ...] = ()

    @property
    def keys(self) -> list[str]:
        """The groups drawn, in the order of their places."""
        return [key for key in self.places if key is not None]

    def toggled(self, key: str) -> Selection:
        """With that group or without it; a new one takes the first place that is free."""
        if key in self.places:
            return Selection(tuple(None if other == key else other for other in self.places))
        free = self.places.index(None) if None in self.places else len(self.places)
        return Selection((*self.places[:free], key, *self.places[free + 1 :]))

    def tag(self, key: str) -> str:
        """The group's letter; "" for one that is not drawn."""
        return ascii_lowercase[self.places.index(key) % len(ascii_lowercase)] if key in self.places else ""

    def style(self, key: str) -> Style:
        """The style of a group that is drawn."""
        return STYLES[self.places.index(key) % len(STYLES)]

    def tone(self, key: str) -> str:
        """The group's tone; muted for one that is not drawn."""
        return tone(self.style(key)) if key in self.places else "muted"


def first_selection(moment: Moment) -> Selection:
    """What the others are compared with and the first of them; before they have begun, the first recipe that has."""
    began, study = {run.recipe for run in moment.runs if run.iteration}, moment.study
    others = [group.label for group in study.groups if group.label != study.reference]
    if any(group.until is None and not began.isdisjoint(group.recipes) for group in study.groups):
        return Selection((study.reference, *others[:1]))
    return Selection(tuple(name for name in study.recipes if name in began)[:1])


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
        worded("", 3 + pinned, _letter, lambda entry: entry.tone),
        worded("network", min(24, max(16, width)), lambda entry: entry.line.name, lambda entry: entry.tone),
        numbered("runs", 4, lambda entry: entry.line.started),
        averaged(at, 18, lambda entry: entry.at, 4),
        numbered("n", 3, lambda entry: entry.at.n if entry.at else None),
    ]


def _letter(entry: Entry) -> str:
    return f"[{entry.tag or ' '}]{'*' * entry.pinned}"


def versus(tag: str) -> Column[Entry]:
    """Means of differences with their deviations; without one where no seed is shared."""
    return averaged(f"minus [{tag}]", 17, lambda entry: entry.versus, 4)


PUBLISHED: Column[Entry] = numbered("paper min", 9, lambda entry: entry.line.published, 3, lambda _: "muted")

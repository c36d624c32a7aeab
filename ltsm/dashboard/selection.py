"""Which groups are drawn, and in which style."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

from ltsm.dashboard.widgets.plot import STYLES, tone

if TYPE_CHECKING:
    from ltsm.dashboard.moment import Moment
    from ltsm.report.figures.values import Style


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
        if None in self.places:
            free = self.places.index(None)
            return Selection((*self.places[:free], key, *self.places[free + 1 :]))
        return Selection((*self.places, key))

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

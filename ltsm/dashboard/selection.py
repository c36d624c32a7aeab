"""Which groups are drawn, and in which colour."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

from ltsm.dashboard.widgets.raster import DASHES
from ltsm.dashboard.widgets.tones import series_tone
from ltsm.dashboard.words import sizes

if TYPE_CHECKING:
    from ltsm.dashboard.moment import Moment


@dataclass(frozen=True, slots=True)
class Selection:
    """Groups by their place: a group keeps its colour and letter while others come and go."""

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

    def tone(self, key: str) -> str:
        """The group's tone; muted for one that is not drawn."""
        return series_tone(self.places.index(key)) if key in self.places else "muted"

    def dashes(self, key: str) -> tuple[int, ...]:
        """How the group's line is dashed."""
        return DASHES[self.places.index(key) % len(DASHES)]


def first_selection(moment: Moment) -> Selection:
    """The ticket against the dense network of the same size; before there are any, the initial trainings."""
    started = {run.kind for run in moment.runs if run.iteration}
    if "ticket" in started or "hyperop" in started:
        return Selection(("ticket", f"hyperop {sizes(moment.protocol.hidden)}"))
    return Selection(("initial",))

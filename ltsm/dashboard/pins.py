"""What stays on the curves screen while other protocols, studies and stores are shown: a group, or one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.studies.names import title

if TYPE_CHECKING:
    from pathlib import Path

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.source import Looker
    from ltsm.store.values import RunRow
    from ltsm.studies.study import Group


@dataclass(frozen=True, slots=True)
class Pin:
    """A group of a store's protocol, by its recipes' fingerprints, or (`seed`) one run of it; `until` is the group's.

    `store` is what the store at `path` is called among several.
    """

    path: Path
    protocol_id: int
    label: str
    fingerprints: frozenset[str]
    until: int | None = None
    seed: int | None = None
    store: str = ""

    @property
    def key(self) -> str:
        """What tells it from every group and every other pin."""
        return f"{self.path} {self.protocol_id}: {self.label}, until {self.until}, seed {self.seed}"

    @property
    def name(self) -> str:
        """As a list calls it: `2: Ticket`, `old:2: Ticket, seed 3`; the protocol by its number."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        store = f"{self.store}:" if self.store else ""
        return f"{store}{self.protocol_id}: {title(self.label)}{seed}"

    def runs(self, moment: Moment) -> tuple[RunRow, ...]:
        """Its runs, those of a protocol or a store that is gone by now left out."""
        look = moment.of(self.path)
        return tuple(
            run
            for run in (look.everything.get(self.protocol_id, ()) if look else ())
            if run.fingerprint in self.fingerprints and self.seed in {None, run.seed}
        )


def of_group(moment: Moment, group: Group) -> Pin:
    """A group of the study and the protocol that are shown."""
    known = moment.study.fingerprints()
    fingerprints = frozenset(known[name] for name in group.recipes)
    return Pin(moment.path, moment.protocol_id, group.label, fingerprints, group.until, store=moment.store)


def of_run(moment: Moment, run: RunRow) -> Pin:
    """One run of the store that is shown."""
    fingerprints = frozenset({run.fingerprint})
    return Pin(moment.path, run.protocol_id, run.recipe, fingerprints, seed=run.seed, store=moment.store)


def toggle(dashboard: Looker, which: Pin) -> str:
    """Pin it, or take it off again where it is pinned; returns what to say."""
    if which in dashboard.pins:
        dashboard.pins = tuple(other for other in dashboard.pins if other != which)
        return f"{which.name} is no longer pinned."
    dashboard.pins = (*dashboard.pins, which)
    return f"Pinned {which.name}: it stays among the curves (2) while p shows another protocol."

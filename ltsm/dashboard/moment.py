"""What the store held at one look, and what follows from it: plain values, for every screen alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ltsm.report import progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ltsm.protocol import Protocol
    from ltsm.store.values import Holder, MaskRow, Metric, ProtocolRow, RunRow
    from ltsm.studies.study import Study


class Choice(NamedTuple):
    """Which protocol, by name or id, and which study, by name or module:function; None: the one that changed last.

    `store` is another one than the one that is shown.
    """

    protocol: str | None = None
    study: str | None = None
    store: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One look at the store, at one study under one protocol.

    `asked` is the name by which commands find the study, `stored` names those that the store has under each
    protocol's id, `everything` all runs, without their files. `runs` are the study's, by seed, called as it calls them;
    `latest` holds the last record of each that is under way and `masks` the mask of each that has one, by its id;
    `holder` writes to the store now. `beside` are looks
    at other stores, by path, and `store` is what this one is called among them; "" where there are none.
    """

    path: Path
    protocols: tuple[ProtocolRow, ...]
    protocol_id: int
    protocol: Protocol
    study: Study
    asked: str
    stored: Mapping[int, tuple[str, ...]]
    everything: Mapping[int, Sequence[RunRow]]
    runs: tuple[RunRow, ...]
    latest: Mapping[int, Metric]
    masks: Mapping[int, MaskRow]
    holder: Holder | None
    store: str = ""
    beside: Mapping[Path, Moment] = field(default_factory=dict)

    def of(self, path: Path) -> Moment | None:
        """This look, or the one at another store; None if that cannot be read now."""
        return self if path == self.path else self.beside.get(path)

    # The clock asks for these once a second, of 14,000 runs in a store of a thousand seeds.
    @cached_property
    def finished(self) -> int:
        """How many runs have nothing left to do."""
        return progress.finished(self.runs)

    @cached_property
    def newest(self) -> datetime | None:
        """When something was recorded last."""
        return progress.newest(self.runs)

    @cached_property
    def seconds_left(self) -> float | None:
        """How long the rest of the sweep will take; None while nothing writes."""
        learned = {name: r.learned for name, r in self.study.recipes.items() if r.learned}
        return progress.seconds_left(self.runs, learned) if self.holder else None

    @cached_property
    def stopped(self) -> bool:
        """Whether a run was left in the middle."""
        return any(run.state == "interrupted" for run in self.runs)

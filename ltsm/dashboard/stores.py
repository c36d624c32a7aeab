"""Several stores looked at together: one is shown, and what is pinned of the others stays beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ltsm.dashboard.moment import Choice
from ltsm.dashboard.source import Source
from ltsm.errors import LtsmError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ltsm.dashboard.moment import Moment


class Look(NamedTuple):
    """What a look gave: the store that is shown or None if nothing is new, what is wrong with it, and with the others by now."""

    moment: Moment | None = None
    problem: LtsmError | None = None
    beside: tuple[LtsmError, ...] = ()


class Stores:
    """A source for each store. Everything here reads; `look` belongs into a worker thread.

    Args:
        path: the store that is shown first; it may not exist yet.
        choice: which protocol and study of it.
        beside: the others.
    """

    def __init__(self, path: Path, choice: Choice = Choice(), beside: Sequence[Path] = ()) -> None:  # noqa: B008 - a value
        self._shown = path
        self._sources = {path: Source(path, choice), **{other: Source(other) for other in beside}}
        self._names = short_names([*self._sources])
        self._known: dict[Path, Moment] = {}
        self._problems: dict[Path, str] = {}
        self._last: Path | None = None
        for source in self._sources.values():
            source.beside = self._sources

    def of(self, moment: Moment | None) -> Source:
        """The store that this is a look at; before there is any, the one that is shown first."""
        return self._sources[self._shown if moment is None else moment.path]

    def choose(self, choice: Choice) -> None:
        """Show this protocol and study, maybe of another store, from the next look on."""
        self._shown = choice.store or self._shown
        self._sources[self._shown].choice = choice

    def look(self) -> Look:
        """What all stores hold now. One that cannot be read any more holds nothing."""
        shown, news = self._shown, False
        failed: dict[Path, LtsmError] = {}
        for path, source in self._sources.items():
            try:
                found = source.look()
            except LtsmError as error:
                failed[path] = error
                news |= self._known.pop(path, None) is not None
                continue
            if found is not None:
                self._known[path], news = replace(found, store=self._names[path]), True
        said = {path: str(error) for path, error in failed.items()}
        beside = tuple(e for p, e in failed.items() if p != shown and self._problems.get(p) != said[p])
        self._problems = said
        if shown in failed or not (news or shown != self._last):
            return Look(None, failed.get(shown), beside)
        self._last = shown
        others = {path: known for path, known in self._known.items() if path != shown}
        return Look(replace(self._known[shown], beside=others), None, beside)


def short_names(paths: Sequence[Path]) -> dict[Path, str]:
    """What tells stores from each other: the file's name, where that is the same its folder's; of one alone nothing."""
    whole = [path.expanduser().absolute() for path in paths]
    ways = ([p.stem for p in whole], [p.parent.name for p in whole], [str(p) for p in whole])
    found = next((names for names in ways if len({*names}) == len(names)), ways[-1])
    return dict(zip(paths, found if len(paths) > 1 else [""], strict=True))

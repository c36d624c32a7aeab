"""Which studies a store has, of those that are known here, and what was read of it, read again only where it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ltsm.report.evaluation import of_store

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from datetime import datetime

    from ltsm.protocol import Protocol
    from ltsm.store.values import RunRow
    from ltsm.studies.study import Study

K = TypeVar("K")
V = TypeVar("V")


def stored_studies(
    names: Iterable[str], asked: str | None, protocol: Protocol, runs: Sequence[RunRow]
) -> dict[str, Study]:
    """Those of these studies of which the runs have every recipe, or else the one of which they have most; and `asked`."""
    stored = {run.fingerprint for run in runs}
    studies = {
        name: of_store(name, protocol, runs) for name in dict.fromkeys([*names, *([asked] if asked else [])])
    }
    has = {
        name: len(stored.intersection(s.fingerprints().values())) / len(s.recipes)
        for name, s in studies.items()
    }
    shown = {max(has, key=lambda name: has[name]), asked}
    return {name: study for name, study in studies.items() if has[name] == 1 or name in shown}


def changed_last(studies: Mapping[str, Study], runs: Iterable[RunRow]) -> str:
    """The study of the run that changed last; of several that have it, the one of the next, and at last the first."""
    newest: dict[str, datetime] = {}
    for run in runs:
        newest[run.fingerprint] = max(run.updated_at, newest.get(run.fingerprint, run.updated_at))

    def changed(name: str) -> list[datetime]:
        return sorted((newest[f] for f in studies[name].fingerprints().values() if f in newest), reverse=True)

    return max(studies, key=changed)


class Kept:
    """Values by kind and key, each made again once what it is made of is another."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[dict[Hashable, object], dict[Hashable, Any]]] = {}

    def each(
        self, kind: str, stamps: Mapping[K, object], make: Callable[[list[K]], Mapping[K, Any]]
    ) -> dict[K, Any]:
        """The value of every key, made of its stamp; one that `make` does not give is None."""
        # Two dictionaries are smaller than one of pairs: a store has hundred thousands of runs.
        of, values = self._known.setdefault(kind, ({}, {}))
        stale = [k for k, stamp in stamps.items() if k not in of or of[k] != stamp]
        made = make(stale) if stale else {}
        for k in stale:
            of[k], values[k] = stamps[k], made.get(k)
        return {k: values[k] for k in stamps}

    def one(self, key: Hashable, stamp: object, make: Callable[[], V]) -> V:
        """The value of this key, made of this stamp."""
        found: V = self.each("one", {key: stamp}, lambda _: {key: make()})[key]
        return found

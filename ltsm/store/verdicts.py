"""What becomes of each run of another store when it is merged into this one: it comes, or why it does not."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Literal, NamedTuple

from ltsm.errors import StoreError
from ltsm.store import read
from ltsm.store.same_bits import difference
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from ltsm.store.engine import Store
    from ltsm.store.other import Other
    from ltsm.store.values import RunRow

Verdict = Literal["new", "planned", "further", "same", "behind", "different", "apart"]
"""new: it was not begun here. planned: it was not there, and is not begun. further: it has come further than here.
same: to the last bit. behind: it is further here. different: not the same bits. apart: made from one that is different.
"""
COMING: frozenset[Verdict] = frozenset({"new", "further"})
"""Whose records, masks and files come."""


class Key(NamedTuple):
    """A run in any store: its protocol and its recipe by their fingerprints, and its seed."""

    protocol: str
    seed: int
    recipe: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A run of another store, the same one here if there is one, and what becomes of it; `what` differs."""

    key: Key
    run: RunRow
    own: RunRow | None
    verdict: Verdict
    what: str = ""


def keyed(store: Store) -> dict[Key, RunRow]:
    """All runs of a store, by protocol and seed."""
    fingerprints = {p.id: p.fingerprint for p in read.protocols(store)}
    return {
        Key(fingerprints[run.protocol_id], run.seed, run.fingerprint): run
        for run in read.runs(store, alive=False)
    }


def needs(store: Store) -> dict[int, dict[str, int]]:
    """By the id of each run what it is made from, by role."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for needed, others in read.needed_by(store).items():
        for run_id, role in others:
            found[run_id][role] = needed
    return found


def verdicts(own: Store, other: Other) -> list[Finding]:
    """What becomes of every run of another store, each after what it is made from.

    Raises:
        StoreError: a store cannot be read, or runs are made from each other.
    """
    made_from = needs(other.store)
    with read.reading(own) as at, read.reading(other.store) as there:
        comparison = _Comparison(other, made_from, keyed(own), at, there)
        theirs = {run.id: (key, run) for key, run in keyed(other.store).items()}
        return [comparison.finding(*theirs[i]) for i in _in_order(other, list(theirs), made_from)]


def _in_order(other: Other, ids: Sequence[int], made_from: Mapping[int, Mapping[str, int]]) -> Iterator[int]:
    graph = {run_id: set(made_from.get(run_id, {}).values()) for run_id in ids}
    try:
        yield from TopologicalSorter(graph).static_order()
    except CycleError as error:
        raise StoreError(
            f"the store {other.path} has runs that are made from each other.", "do not use that store"
        ) from error


@dataclass(slots=True)
class _Comparison:
    """Two stores being compared run by run.

    `ended` are the other's runs that have ended, here or there, without being different: what is made from others
    cannot be merged. `missing` will not be here.
    """

    other: Other
    made_from: Mapping[int, Mapping[str, int]]
    own: Mapping[Key, RunRow]
    at: Connection
    there: Connection
    ended: set[int] = field(default_factory=set)
    missing: set[int] = field(default_factory=set)

    def finding(self, key: Key, run: RunRow) -> Finding:
        """What becomes of a run; of those that it is made from that is known."""
        own, needed = self.own.get(key), set(self.made_from.get(run.id, {}).values())
        verdict, what = self._alone(run, own)
        sound = needed <= self.ended if verdict in COMING else not needed & self.missing
        if verdict in COMING | {"planned"} and not sound:
            verdict = "apart"
        if verdict == "apart" and own is None:
            self.missing.add(run.id)
        if verdict not in {"different", "apart"} and {run.state, own and own.state} & FINISHED:
            self.ended.add(run.id)
        return Finding(key, run, own, verdict, what)

    def _alone(self, run: RunRow, own: RunRow | None) -> tuple[Verdict, str]:
        """The verdict by the run itself, and what differs."""
        begun, own_begun = self._begun(run), own is not None and _begun(own)
        if own is None or not own_begun:
            return ("new" if begun else "planned" if own is None else "same"), ""
        if not begun:
            return "behind", ""
        if what := difference(own, self.at, run, self.there):
            return "different", what
        ours, its = _progress(own), _progress(run)
        return ("same" if ours == its else "further" if ours < its else "behind"), ""

    def _begun(self, run: RunRow) -> bool:
        """Whether there is something to be taken: not of a run that another command goes on with, file by file."""
        return run.state in FINISHED or (_begun(run) and not self.other.alive)


def _begun(run: RunRow) -> bool:
    """Whether it has a state to go on from, or has ended; what was made before the first segment is made anew."""
    return run.state in FINISHED or run.iteration > 0


def _progress(run: RunRow) -> tuple[bool, int]:
    return run.state in FINISHED, run.iteration

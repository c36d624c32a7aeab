"""What becomes of each run of another store when it is merged into this one: it comes, or why it does not."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import select

from ltsm.errors import StoreError
from ltsm.store import models, read
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from sqlalchemy import Connection, Table

    from ltsm.store.engine import Store
    from ltsm.store.other import Other
    from ltsm.store.values import Role, RunRow

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


_SHAPE = ("iterations", "inputs", "classes", "parameters")
"""What a run is from its beginning on."""
_END = ("state", "iteration", "best_iteration", "relative_size")
"""What it is when it has ended."""
_OWN = {"id", "run_id"}
"""A store's own numbers."""


def difference(one: RunRow, at: Connection, other: RunRow, there: Connection) -> str:
    """What of two runs of one recipe and seed is not the same bits, in a few words; empty: nothing.

    Both have begun. Of one that has come further only that is compared which it had when it was as far as the other.
    Times, machines and what was dropped since are no results.

    Args:
        one: a run.
        at: a connection to its store.
        other: the same run elsewhere.
        there: a connection to that store.
    """
    ended = one.state in FINISHED and other.state in FINISHED
    if _differ(one, other, _SHAPE) or (ended and _differ(one, other, _END)):
        return "how long it is and how it ended"
    until = min(one.iteration, other.iteration)
    for mine, its in zip_longest(_records(at, one.id, until), _records(there, other.id, until)):
        if mine != its:
            return f"the record of iteration {(mine or its)[0]:,}"
    masks = _masks(at, one.id), _masks(there, other.id)
    # A mask that is trained is there when its run has ended.
    if masks[0] != masks[1] and (all(masks) or ended):
        return "its masks"
    files = _digests(one), _digests(other)
    for role, iteration in sorted(files[0].keys() & files[1].keys()):
        if files[0][role, iteration] != files[1][role, iteration]:
            return f"its {role} weights" if role in {"initial", "final"} else f"its {role} of {iteration:,}"
    return ""


def _differ(one: RunRow, other: RunRow, names: Sequence[str]) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in names)


def _records(connection: Connection, run_id: int, until: int) -> Sequence[Any]:
    metric = models.metric.c
    query = values_of(models.metric).where(metric.run_id == run_id, metric.iteration <= until)
    return connection.execute(query.order_by(metric.iteration)).all()


def _masks(connection: Connection, run_id: int) -> Sequence[Any]:
    query = values_of(models.mask).where(models.mask.c.run_id == run_id)
    return connection.execute(query.order_by(models.mask.c.amount)).all()


def values_of(table: Table) -> Any:
    """A query for a table's rows, without the numbers that are a store's own."""
    return select(*(column for column in table.columns if column.name not in _OWN))


def _digests(run: RunRow) -> Mapping[tuple[Role, int], str]:
    return {(file.role, file.iteration): file.artifact.sha256 for file in (*run.files, *run.dropped)}

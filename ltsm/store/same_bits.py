"""Whether a run of one store and the same run of another are the same bits, as far as both have come."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from sqlalchemy import select

from ltsm.store import models
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from sqlalchemy import Connection, Table

    from ltsm.store.values import Role, RunRow

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
    query = _values(models.metric).where(metric.run_id == run_id, metric.iteration <= until)
    return connection.execute(query.order_by(metric.iteration)).all()


def _masks(connection: Connection, run_id: int) -> Sequence[Any]:
    query = _values(models.mask).where(models.mask.c.run_id == run_id)
    return connection.execute(query.order_by(models.mask.c.amount)).all()


def _values(table: Table) -> Any:
    return select(*(column for column in table.columns if column.name not in _OWN))


def _digests(run: RunRow) -> Mapping[tuple[Role, int], str]:
    return {(file.role, file.iteration): file.artifact.sha256 for file in (*run.files, *run.dropped)}

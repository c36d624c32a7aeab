"""Queries for the screen and the report: plain functions from a store to frozen values.

Each sees one consistent moment of the store, also while a sweep writes to it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Row, column, func, select, table
from sqlalchemy.exc import DatabaseError

from ltsm.errors import StoreError, UsageError
from ltsm.protocol import format_sizes, parse_sizes
from ltsm.store import models, seal
from ltsm.store.claim import holder
from ltsm.store.values import Artifact, MaskRow, Metric, ProtocolRow, ResultRow, RunRow, RunSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from ltsm.protocol import Kind
    from ltsm.store.engine import Store
    from ltsm.store.values import State

FINGERPRINT_DIGITS = 8
"""As many digits of a fingerprint name a protocol."""
_RESULT = table("result", *(column(name) for name in ("protocol_id", *ResultRow.__slots__)))


def protocols(store: Store) -> list[ProtocolRow]:
    """All protocols, the oldest first."""
    with _reading(store) as connection:
        rows = connection.execute(select(models.protocol).order_by(models.protocol.c.id))
        return [ProtocolRow(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def find_protocol(store: Store, name: str | None = None) -> ProtocolRow:
    """The stored protocol of that name, id or start of fingerprint; without one, whose runs changed last.

    Raises:
        StoreError: there is none, or several have that name.
    """
    known = protocols(store)
    if not known:
        raise StoreError(f"the store {store.path} holds no runs yet.", "ltsm sweep")
    if name is None:
        newest = _last_changes(store)
        return max(known, key=lambda p: (newest.get(p.id, p.created_at), p.id))
    found = [
        p
        for p in known
        if name in {p.name, str(p.id)} or (len(name) >= FINGERPRINT_DIGITS and p.fingerprint.startswith(name))
    ]
    if len(found) != 1:
        has = ", ".join(f"{p.id} ({p.name})" for p in known)
        count = "no" if not found else "more than one"
        raise StoreError(
            f"the store has {count} protocol {name!r}: it has {has}.", "--protocol with one of these numbers"
        )
    return found[0]


def runs(store: Store, protocol_id: int | None = None, *, ids: Sequence[int] | None = None) -> list[RunRow]:
    """All runs (of one protocol, or the few with these ids), by protocol, seed and id.

    A run that says `running` while no process holds the store's claim is shown as interrupted.
    """
    run = models.run.c
    query = select(models.run).order_by(run.protocol_id, run.seed, run.id)
    if protocol_id is not None:
        query = query.where(run.protocol_id == protocol_id)
    if ids is not None:
        query = query.where(run.id.in_(ids))
    alive = holder(store.path) is not None
    with _reading(store) as connection:
        return [_run(row, alive=alive) for row in connection.execute(query)]


def find_run(store: Store, protocol_id: int, spec: RunSpec) -> RunRow | None:
    """The run of this seed, kind and hidden sizes, or None."""
    run = models.run.c
    query = select(models.run).where(
        run.protocol_id == protocol_id,
        run.seed == spec.seed,
        run.kind == spec.kind,
        run.hidden == format_sizes(spec.hidden),
    )
    alive = holder(store.path) is not None
    with _reading(store) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _run(row, alive=alive)


def metrics(store: Store, run_ids: Sequence[int]) -> dict[int, list[Metric]]:
    """Each run's records in order of iteration; a run without any is left out. NaN for NULL."""
    metric = models.metric.c
    found: dict[int, list[Metric]] = defaultdict(list)
    query = select(metric.run_id, metric.iteration, metric.train_loss, metric.val_loss, metric.val_accuracy)
    with _reading(store) as connection:
        for some in _chunks(run_ids):
            for run_id, *values in connection.execute(query.where(metric.run_id.in_(some))):
                found[run_id].append(Metric(*map(_number, values)))  # type: ignore[arg-type]  # iteration stays whole
    return dict(found)


def latest(store: Store, run_ids: Sequence[int]) -> dict[int, Metric]:
    """Each run's last record; a run without any is left out. NaN for NULL."""
    metric, again = models.metric.c, models.metric.alias().c
    last = select(func.max(again.iteration)).where(again.run_id == metric.run_id).scalar_subquery()
    query = select(metric.run_id, metric.iteration, metric.train_loss, metric.val_loss, metric.val_accuracy)
    found: dict[int, Metric] = {}
    with _reading(store) as connection:
        for some in _chunks(run_ids):
            rows = connection.execute(query.where(metric.run_id.in_(some), metric.iteration == last))
            for run_id, *values in rows:
                found[run_id] = Metric(*map(_number, values))  # type: ignore[arg-type]  # iteration stays whole
    return found


def results(store: Store, protocol_id: int) -> list[ResultRow]:
    """What Table 1 needs of every finished run of a protocol, by seed."""
    query = (
        select(_RESULT).where(_RESULT.c.protocol_id == protocol_id).order_by(_RESULT.c.seed, _RESULT.c.run_id)
    )
    with _reading(store) as connection:
        return [_result(row) for row in connection.execute(query)]


def masks(
    store: Store, protocol_id: int, *, seed: int | None = None, selected: bool = False, bits: bool = False
) -> list[MaskRow]:
    """Every masked network of a protocol, by seed and threshold; with its bits if asked for.

    Args:
        store: an open store.
        protocol_id: of the runs they were made from.
        seed: of this seed only.
        selected: the supermasks only.
        bits: also which parameters each keeps; they are most of the store's bytes.
    """
    query = _mask_query(bits=bits).where(models.run.c.protocol_id == protocol_id)
    if seed is not None:
        query = query.where(models.run.c.seed == seed)
    if selected:
        query = query.where(models.mask.c.selected)
    with _reading(store) as connection:
        return [
            _mask(row)
            for row in connection.execute(query.order_by(models.run.c.seed, models.mask.c.threshold))
        ]


def masked_runs(store: Store, protocol_id: int) -> set[int]:
    """The baseline runs whose supermask has been found."""
    query = select(models.mask.c.run_id).join(models.run, models.run.c.id == models.mask.c.run_id)
    with _reading(store) as connection:
        found = connection.execute(
            query.where(models.run.c.protocol_id == protocol_id, models.mask.c.selected)
        )
        return set(found.scalars())


def selected_mask(store: Store, run_id: int) -> MaskRow | None:
    """The supermask of a baseline run, with its bits, or None while it has not been looked for."""
    query = _mask_query(bits=True).where(models.mask.c.run_id == run_id, models.mask.c.selected)
    with _reading(store) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _mask(row)


def faults(store: Store) -> list[str]:
    """What is wrong with the file, its references or its content, in SQLite's words or ours; nothing when all is well."""
    with _reading(store) as connection:
        return seal.faults(connection, sealed=True)


def change_counter(store: Store) -> tuple[int, int]:
    """A value that changes whenever the store may have: cheap enough to ask every second.

    When each run changed last, all together, and the number of runs: a clock that went backwards
    gives another value too.
    """
    with _reading(store) as connection:
        text = "SELECT coalesce(group_concat(updated_at), ''), count(*) FROM run"
        moments, count = connection.exec_driver_sql(text).one()
    return hash(moments), int(count)


def stamps(store: Store, protocol_id: int) -> dict[int, str]:
    """When each run of a protocol changed last, in the store's own words: what tells which to read again."""
    query = "SELECT id, updated_at FROM run WHERE protocol_id = ?"
    with _reading(store) as connection:
        return {row[0]: row[1] for row in connection.exec_driver_sql(query, (protocol_id,))}


def _last_changes(store: Store) -> dict[int, datetime]:
    """When a run of each protocol changed last."""
    run = models.run.c
    query = select(run.protocol_id, func.max(run.updated_at)).group_by(run.protocol_id)
    with _reading(store) as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


@contextmanager
def _reading(store: Store) -> Iterator[Connection]:
    try:
        with store.engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        raise StoreError(f"cannot read the store {store.path}: {error.orig}.", "ltsm db check") from None
    # A value that is none of its column's: SQLite keeps any type in any column, a damaged or hostile file has them.
    except (ValueError, TypeError, UsageError) as error:
        raise StoreError(f"the store {store.path} is damaged: {error}.", "ltsm db check") from None


def _chunks(ids: Sequence[int], size: int = 500) -> Iterator[Sequence[int]]:
    """SQLite takes only so many values in one statement."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _artifact(path: str | None, sha256: str | None) -> Artifact | None:
    return None if path is None or sha256 is None else Artifact(path, sha256)


def _run(row: Row[Any], *, alive: bool) -> RunRow:
    r = row
    return RunRow(
        id=r.id,
        protocol_id=r.protocol_id,
        seed=r.seed,
        kind=cast("Kind", r.kind),
        hidden=parse_sizes(r.hidden),
        state=cast("State", "interrupted" if r.state == "running" and not alive else r.state),
        iterations=r.iterations,
        iteration=r.iteration,
        best_iteration=r.best_iteration,
        parameters=r.parameters,
        relative_size=r.relative_size,
        initial=_artifact(r.initial_weights, r.initial_weights_sha256),
        final=_artifact(r.final_weights, r.final_weights_sha256),
        checkpoint=_artifact(r.checkpoint, r.checkpoint_sha256),
        device=r.device,
        seconds=r.seconds,
        started_at=r.started_at,
        finished_at=r.finished_at,
        updated_at=r.updated_at,
        error=r.error,
        provenance=r.provenance,
        previous=_artifact(r.previous_checkpoint, r.previous_checkpoint_sha256),
        previous_iteration=r.previous_iteration,
    )


def _result(row: Row[Any]) -> ResultRow:
    r = row
    return ResultRow(
        run_id=r.run_id,
        seed=r.seed,
        kind=r.kind,
        hidden=parse_sizes(r.hidden),
        state=r.state,
        relative_size=_number(r.relative_size),
        final_val_loss=_number(r.final_val_loss),
        final_val_accuracy=_number(r.final_val_accuracy),
        minimal_val_loss=_number(r.minimal_val_loss),
        minimal_iteration=_number(r.minimal_iteration),
    )


def _mask_query(*, bits: bool) -> Select[*tuple[Any, ...]]:
    mask = models.mask.c
    columns: list[Any] = [
        mask.run_id,
        models.run.c.seed,
        mask.threshold,
        mask.relative_size,
        mask.layer_sizes,
    ]
    columns += [mask.val_loss, mask.val_accuracy, mask.selected]
    return select(*columns, *([mask.bits] if bits else [])).join(models.run, models.run.c.id == mask.run_id)


def _mask(row: Sequence[Any]) -> MaskRow:
    run_id, seed, threshold, size, layers, loss, accuracy, selected, *bits = row
    return MaskRow(run_id, seed, threshold, size, tuple(layers), _number(loss), accuracy, selected, *bits)

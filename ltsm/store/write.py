"""The run log: every change of the store, one transaction each. Only the holder of the claim may call these."""

from __future__ import annotations

import math
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.exc import DatabaseError

from ltsm.protocol import format_sizes
from ltsm.store import models
from ltsm.store.locked import cannot_write
from ltsm.store.seal import seal_plan, seal_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from ltsm.protocol import Protocol
    from ltsm.store.engine import Store
    from ltsm.store.values import Artifact, MaskRow, Metric, RunSpec, Segment, State


def add_protocol(store: Store, protocol: Protocol, now: datetime) -> int:
    """The id of the stored protocol with this fingerprint, stored now if it was not."""
    with _transaction(store) as connection:
        values = {"name": protocol.name, "fingerprint": protocol.fingerprint, "settings": protocol.settings()}
        row = insert_or(models.protocol).values(**values, created_at=now)
        connection.execute(row.on_conflict_do_nothing(index_elements=["fingerprint"]))
        seal_plan(connection)
        query = select(models.protocol.c.id).where(models.protocol.c.fingerprint == protocol.fingerprint)
        return int(connection.execute(query).scalar_one())


def add_runs(store: Store, protocol_id: int, specs: Sequence[RunSpec], now: datetime) -> None:
    """Add the runs that are not there yet, as pending."""
    if not specs:
        return
    with _transaction(store) as connection:
        newest = connection.execute(select(func.coalesce(func.max(models.run.c.id), 0))).scalar_one()
        row = insert_or(models.run).on_conflict_do_nothing()
        connection.execute(row, [_pending(protocol_id, spec, now) for spec in specs])
        added = connection.execute(select(models.run.c.id).where(models.run.c.id > newest)).scalars().all()
        seal_runs(connection, added)
        seal_plan(connection)


def start(
    store: Store,
    run_id: int,
    *,
    iterations: int,
    initial: Artifact,
    parameters: int,
    relative_size: float,
    device: str,
    provenance: dict[str, Any],
    now: datetime,
) -> None:
    """A run begins at iteration 0; its initial weights' file is written already."""
    values = {
        "state": "running",
        "iterations": iterations,
        "iteration": 0,
        "initial_weights": initial.path,
        "initial_weights_sha256": initial.sha256,
        "parameters": parameters,
        "relative_size": relative_size,
        "device": device,
        "provenance": provenance,
        "started_at": now,
        "error": None,
    }
    with _transaction(store) as connection:
        _change(connection, run_id, values, now)


def go_on(store: Store, run_id: int, *, provenance: dict[str, Any], now: datetime) -> None:
    """An interrupted or failed run is taken up again from its checkpoint."""
    with _transaction(store) as connection:
        _change(connection, run_id, {"state": "running", "error": None, "provenance": provenance}, now)


def record(store: Store, run_id: int, segment: Segment, now: datetime) -> None:
    """Add a segment to a run: its records, how far it is and the files that hold its state, all or none of it."""
    checkpoint, final = segment.checkpoint, segment.final
    values: dict[str, Any] = {
        "state": segment.state,
        "iteration": segment.iteration,
        "seconds": models.run.c.seconds + segment.seconds,
        "checkpoint": checkpoint and checkpoint.path,
        "checkpoint_sha256": checkpoint and checkpoint.sha256,
        "error": segment.error,
    }
    if segment.device is not None:
        values["device"] = segment.device
    # The right-hand sides are what the row holds before.
    values |= (
        _NO_PREVIOUS
        if checkpoint is None
        else {
            "previous_checkpoint": models.run.c.checkpoint,
            "previous_checkpoint_sha256": models.run.c.checkpoint_sha256,
            "previous_iteration": models.run.c.iteration,
        }
    )
    if final is not None:
        values |= {"final_weights": final.path, "final_weights_sha256": final.sha256, "finished_at": now}
    with _transaction(store) as connection:
        if segment.metrics:
            connection.execute(insert(models.metric), [_metric(run_id, m) for m in segment.metrics])
        _change(connection, run_id, values | {"best_iteration": _best_iteration(connection, run_id)}, now)


def stop(store: Store, run_id: int, state: State, error: str | None, now: datetime) -> None:
    """A run stops before its end: interrupted or failed. What it recorded is kept."""
    with _transaction(store) as connection:
        _change(connection, run_id, {"state": state, "error": error}, now)


def mark_interrupted(store: Store, now: datetime) -> None:
    """Runs that say `running` though the caller holds the claim were left by a process that died."""
    with _transaction(store) as connection:
        left = (
            connection.execute(select(models.run.c.id).where(models.run.c.state == "running")).scalars().all()
        )
        rows = update(models.run).where(models.run.c.id.in_(left))
        connection.execute(rows.values(state="interrupted", updated_at=now))
        seal_runs(connection, left)


def add_masks(store: Store, run_id: int, masks: Sequence[MaskRow], now: datetime) -> None:
    """All masked networks of a baseline run, in place of any that were there."""
    with _transaction(store) as connection:
        connection.execute(delete(models.mask).where(models.mask.c.run_id == run_id))
        connection.execute(insert(models.mask), [_mask(run_id, m) for m in masks])
        _change(connection, run_id, {}, now)


def forget_masks(store: Store, run_ids: Sequence[int]) -> None:
    """Delete the masks of these baseline runs."""
    with _transaction(store) as connection:
        connection.execute(delete(models.mask).where(models.mask.c.run_id.in_(run_ids)))
        seal_runs(connection, run_ids)


def reset(store: Store, run_ids: Sequence[int], now: datetime) -> None:
    """Forget what these runs recorded: they are pending again, their files unnamed.

    The caller deletes the files afterwards; a crash in between leaves files without a row, never the reverse.
    """
    cleared: dict[str, Any] = dict.fromkeys(_RESULT_COLUMNS)
    values = {
        "state": "pending",
        "iteration": 0,
        "seconds": 0.0,
        "provenance": {},
        "updated_at": now,
        **cleared,
    }
    with _transaction(store) as connection:
        for table in (models.metric, models.mask):
            connection.execute(delete(table).where(table.c.run_id.in_(run_ids)))
        connection.execute(update(models.run).where(models.run.c.id.in_(run_ids)).values(**values))
        seal_runs(connection, run_ids)


def rewind(store: Store, run_id: int, now: datetime) -> None:
    """A run goes back to the checkpoint before its last, which is damaged; it must have one. Later records go."""
    run = models.run.c
    with _transaction(store) as connection:
        found = connection.execute(select(run.previous_iteration).where(run.id == run_id)).scalar_one()
        later = (models.metric.c.run_id == run_id, models.metric.c.iteration > found)
        connection.execute(delete(models.metric).where(*later))
        values = {
            "iteration": found,
            "best_iteration": _best_iteration(connection, run_id),
            "checkpoint": run.previous_checkpoint,
            "checkpoint_sha256": run.previous_checkpoint_sha256,
            **_NO_PREVIOUS,
        }
        _change(connection, run_id, values, now)


_NO_PREVIOUS: dict[str, Any] = dict.fromkeys(
    ("previous_checkpoint", "previous_checkpoint_sha256", "previous_iteration")
)
_RESULT_COLUMNS = (
    "best_iteration",
    "parameters",
    "relative_size",
    "initial_weights",
    "initial_weights_sha256",
    "final_weights",
    "final_weights_sha256",
    "checkpoint",
    "checkpoint_sha256",
    "device",
    "started_at",
    "finished_at",
    "error",
    *_NO_PREVIOUS,
)


@contextmanager
def _transaction(store: Store) -> Iterator[Connection]:
    """One transaction; a full disk or a vanished store becomes a sentence."""
    try:
        with store.engine.begin() as connection:
            yield connection
    except (DatabaseError, sqlite3.Error) as error:  # seals are read through the driver itself
        raise cannot_write(store.path, error) from None


def _change(connection: Connection, run_id: int, values: dict[str, Any], now: datetime) -> None:
    connection.execute(update(models.run).where(models.run.c.id == run_id).values(**values, updated_at=now))
    seal_runs(connection, [run_id])


def _best_iteration(connection: Connection, run_id: int) -> int | None:
    """The iteration of minimal validation loss, the first on a tie (section 3.3)."""
    metric = models.metric.c
    query = select(metric.iteration).where(metric.run_id == run_id, metric.val_loss.is_not(None))
    return connection.execute(query.order_by(metric.val_loss, metric.iteration).limit(1)).scalar()


def _pending(protocol_id: int, spec: RunSpec, now: datetime) -> dict[str, Any]:
    return {
        "protocol_id": protocol_id,
        "seed": spec.seed,
        "kind": spec.kind,
        "hidden": format_sizes(spec.hidden),
        "state": "pending",
        "iterations": spec.iterations,
        "iteration": 0,
        "seconds": 0.0,
        "updated_at": now,
        "provenance": {},
    }


def _metric(run_id: int, metric: Metric) -> dict[str, Any]:
    values = {name: value if math.isfinite(value) else None for name, value in metric._asdict().items()}
    return {"run_id": run_id, **values}


def _mask(run_id: int, mask: MaskRow) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "threshold": mask.threshold,
        "relative_size": mask.relative_size,
        "layer_sizes": list(mask.layer_sizes),
        "val_loss": mask.val_loss if math.isfinite(mask.val_loss) else None,
        "val_accuracy": mask.val_accuracy,
        "selected": mask.selected,
        "bits": mask.bits,
    }

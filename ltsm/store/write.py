"""The run log: every change of the store, one transaction each. Only the holder of the claim may call these."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.exc import DatabaseError

from ltsm.notation import format_sizes, plain
from ltsm.store import models
from ltsm.store.engine import chunks
from ltsm.store.locked import cannot_write
from ltsm.store.seal import seal_plan, seal_runs
from ltsm.store.values import DROPPED, Artifact
from ltsm.studies.names import kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from ltsm.protocol import Protocol
    from ltsm.store.engine import Store
    from ltsm.store.values import Beginning, MaskRow, RecipeSpec, Role, RunSpec, Segment, State


def add_protocol(store: Store, protocol: Protocol, now: datetime) -> int:
    """The id of the stored protocol with this fingerprint, stored now if it was not."""
    with transaction(store) as connection:
        values = {"name": protocol.name, "fingerprint": protocol.fingerprint, "settings": protocol.settings()}
        row = insert_or(models.protocol).values(**values, created_at=now)
        connection.execute(row.on_conflict_do_nothing(index_elements=["fingerprint"]))
        seal_plan(connection)
        query = select(models.protocol.c.id).where(models.protocol.c.fingerprint == protocol.fingerprint)
        return int(connection.execute(query).scalar_one())


def add_runs(
    store: Store, protocol_id: int, recipes: Iterable[RecipeSpec], specs: Sequence[RunSpec], now: datetime
) -> None:
    """Add the recipes and the runs that are not there yet, these as pending; what a run needs comes before it."""
    if not specs:
        return
    with transaction(store) as connection:
        ids = _recipe_ids(connection, recipes)
        run = models.run.c
        newest = connection.execute(select(func.coalesce(func.max(run.id), 0))).scalar_one()
        row = insert_or(models.run).on_conflict_do_nothing()
        pending = [_pending(protocol_id, spec, ids[spec.fingerprint], now) for spec in specs]
        connection.execute(row, pending)
        query = select(run.id, run.seed, run.recipe_id).where(run.protocol_id == protocol_id)
        known = {(seed, recipe_id): run_id for run_id, seed, recipe_id in connection.execute(query)}
        added = [
            {"run_id": run_id, "role": role, "needs_id": known[spec.seed, ids[needed][0]]}
            for spec in specs
            if (run_id := known[spec.seed, ids[spec.fingerprint][0]]) > newest
            for role, needed in spec.needs.items()
        ]
        if added:
            connection.execute(insert(models.need), added)
        seal_runs(connection, sorted(run_id for run_id in known.values() if run_id > newest))
        seal_plan(connection)


def rename_protocol(store: Store, protocol_id: int, name: str) -> None:
    """Give a protocol another name, which is a label: its settings and its runs are the same."""
    with transaction(store) as connection:
        row = update(models.protocol).where(models.protocol.c.id == protocol_id)
        connection.execute(row.values(name=name))
        seal_plan(connection)


def begin(store: Store, run_id: int, beginning: Beginning, now: datetime) -> None:
    """A run begins at iteration 0, its files written already; one that trains nothing is done with its masks."""
    b = beginning
    names = ("iterations", "inputs", "classes", "parameters", "relative_size", "device", "provenance")
    values: dict[str, Any] = {name: getattr(b, name) for name in names}
    values |= {"state": "running", "iteration": 0, "started_at": now, "error": None}
    if b.initial is None:
        values |= {"state": "done", "finished_at": now}
    with transaction(store) as connection:
        connection.execute(delete(models.mask).where(models.mask.c.run_id == run_id))
        _add_masks(connection, run_id, b.masks)
        if b.initial is not None:
            _add_files(connection, run_id, {("initial", 0): b.initial})
        _change(connection, run_id, values, now)


def go_on(store: Store, run_id: int, *, provenance: dict[str, Any], now: datetime) -> None:
    """An interrupted or failed run is taken up again from its checkpoint."""
    with transaction(store) as connection:
        _change(connection, run_id, {"state": "running", "error": None, "provenance": provenance}, now)


def record(store: Store, run_id: int, segment: Segment, now: datetime) -> list[Artifact]:
    """Add a segment to a run: its records, how far it is and the files that hold its state, all or none of it.

    The files that no row names any more come back, for the caller to delete: all checkpoints of a run that has ended,
    else all but the last two.
    """
    added: dict[tuple[Role, int], Artifact] = {("kept", i): file for i, file in segment.kept.items()}
    values: dict[str, Any] = {
        "state": segment.state,
        "iteration": segment.iteration,
        "seconds": models.run.c.seconds + segment.seconds,
        "error": segment.error,
    }
    given = {name: getattr(segment, name) for name in ("device", "relative_size")}
    values |= {name: value for name, value in given.items() if value is not None}
    if segment.checkpoint is not None:
        added["checkpoint", segment.iteration] = segment.checkpoint
    if segment.final is not None:
        values["finished_at"] = now
        added["final", segment.iteration] = segment.final
    with transaction(store) as connection:
        before, best = _standing(connection, run_id)
        if segment.metrics:
            rows = [{"run_id": run_id, **plain(metric._asdict())} for metric in segment.metrics]
            connection.execute(insert(models.metric), rows)
        _add_masks(connection, run_id, segment.masks)
        displaced = _drop_checkpoints(connection, run_id, but=1 if segment.checkpoint else 0)
        _add_files(connection, run_id, added)
        best = _best_iteration(connection, run_id, before, best)
        _change(connection, run_id, values | {"best_iteration": best}, now, since=before)
    return displaced


def stop(store: Store, run_id: int, state: State, error: str | None, now: datetime) -> None:
    """A run stops before its end: interrupted or failed. What it recorded is kept."""
    with transaction(store) as connection:
        _change(connection, run_id, {"state": state, "error": error}, now)


def mark_interrupted(store: Store, now: datetime) -> None:
    """Runs that say `running` though the caller holds the claim were left by a process that died."""
    with transaction(store) as connection:
        running = select(models.run.c.id).where(models.run.c.state == "running")
        left = connection.execute(running).scalars().all()
        rows = update(models.run).where(models.run.c.id.in_(left))
        connection.execute(rows.values(state="interrupted", updated_at=now))
        seal_runs(connection, left)


def reset(store: Store, run_ids: Sequence[int], now: datetime) -> list[Artifact]:
    """Forget what these runs recorded: they are pending again. The files that no run names any more come back.

    The caller deletes those afterwards; a crash in between leaves files without a row, never the reverse.
    """
    values = {"state": "pending", "iteration": 0, "seconds": 0.0, "provenance": {}, "updated_at": now}
    file = models.file.c
    with transaction(store) as connection:
        named = files_where(connection, file.run_id.in_(run_ids))
        for table in (models.metric, models.mask, models.file):
            connection.execute(delete(table).where(table.c.run_id.in_(run_ids)))
        cleared = update(models.run).where(models.run.c.id.in_(run_ids))
        connection.execute(cleared.values(**dict.fromkeys(_RESULT_COLUMNS), **values))
        seal_runs(connection, run_ids)
        return unnamed(connection, named)


def unnamed(connection: Connection, files: Iterable[Artifact]) -> list[Artifact]:
    """Those that no row names as a file that is there."""
    file = models.file.c
    there, wanted = select(file.path).where(file.role.not_like(f"{DROPPED}%")), list(dict.fromkeys(files))
    still = set[str]()
    for some in chunks([a.path for a in wanted]):  # of one file among all of a large store's
        still |= set(connection.execute(there.where(file.path.in_(some))).scalars())
    return [a for a in wanted if a.path not in still]


def rewind(store: Store, run_id: int, now: datetime) -> None:
    """A run goes back to the checkpoint before its last, which is damaged; it must have one. Later records go."""
    file, metric = models.file.c, models.metric.c
    with transaction(store) as connection:
        last, before = _checkpoints(connection, run_id)[:2]
        damaged = (file.run_id == run_id, file.role == "checkpoint", file.iteration == last)
        connection.execute(delete(models.file).where(*damaged))
        connection.execute(delete(models.metric).where(metric.run_id == run_id, metric.iteration > before))
        best = _best_iteration(connection, run_id, -1, None)
        _change(connection, run_id, {"iteration": before, "best_iteration": best}, now)


_RESULT_COLUMNS = (
    *("best_iteration", "inputs", "classes", "parameters", "relative_size"),
    *("device", "started_at", "finished_at", "error"),
)


@contextmanager
def transaction(store: Store) -> Iterator[Connection]:
    """One transaction; a full disk or a vanished store becomes a sentence."""
    try:
        with store.engine.begin() as connection:
            yield connection
    except (DatabaseError, sqlite3.Error) as error:  # seals are read through the driver itself
        raise cannot_write(store.path, error) from error


def _change(
    connection: Connection, run_id: int, values: dict[str, Any], now: datetime, since: int = 0
) -> None:
    connection.execute(update(models.run).where(models.run.c.id == run_id).values(**values, updated_at=now))
    seal_runs(connection, [run_id], max(since, 0))


def _standing(connection: Connection, run_id: int) -> tuple[int, int | None]:
    """How far a run is, -1 where it has no record yet, and its best iteration."""
    run, metric = models.run.c, models.metric.c
    found = connection.execute(select(run.iteration, run.best_iteration).where(run.id == run_id)).one()
    begun = select(metric.iteration).where(metric.run_id == run_id).limit(1)
    return (found[0] if connection.execute(begun).first() else -1), found[1]


def _best_iteration(connection: Connection, run_id: int, before: int, best: int | None) -> int | None:
    """The iteration of minimal validation loss, the first on a tie (section 3.3): the best so far, or a later one."""
    metric = models.metric.c
    query = select(metric.iteration).where(metric.run_id == run_id, metric.val_loss.is_not(None))
    query = query.where((metric.iteration > before) | (metric.iteration == best))
    return connection.execute(query.order_by(metric.val_loss, metric.iteration).limit(1)).scalar()


def _add_files(connection: Connection, run_id: int, files: Mapping[tuple[Role, int], Artifact]) -> None:
    rows = [
        {"run_id": run_id, "role": role, "iteration": iteration, "path": a.path, "sha256": a.sha256}
        for (role, iteration), a in files.items()
    ]
    if rows:
        row = insert_or(models.file)
        new = {"path": row.excluded.path, "sha256": row.excluded.sha256}
        connection.execute(
            row.on_conflict_do_update(index_elements=["run_id", "role", "iteration"], set_=new), rows
        )


def _add_masks(connection: Connection, run_id: int, masks: Sequence[MaskRow]) -> None:
    if masks:
        connection.execute(insert(models.mask), [_mask(run_id, mask) for mask in masks])


def _checkpoints(connection: Connection, run_id: int) -> Sequence[int]:
    """The iterations of a run's checkpoints, the last one first."""
    file = models.file.c
    query = select(file.iteration).where(file.run_id == run_id, file.role == "checkpoint")
    return connection.execute(query.order_by(file.iteration.desc())).scalars().all()


def _drop_checkpoints(connection: Connection, run_id: int, *, but: int) -> list[Artifact]:
    """Forget all checkpoints of a run but so many of the last."""
    file = models.file.c
    old = _checkpoints(connection, run_id)[but:]
    which = (file.run_id == run_id) & (file.role == "checkpoint") & file.iteration.in_(old)
    dropped = files_where(connection, which)
    connection.execute(delete(models.file).where(which))
    return dropped


def files_where(connection: Connection, which: ColumnElement[bool]) -> list[Artifact]:
    """What rows of files name, each once."""
    rows = connection.execute(select(models.file.c.path, models.file.c.sha256).where(which).distinct())
    return [Artifact(path, sha256) for path, sha256 in rows]


def _recipe_ids(connection: Connection, recipes: Iterable[RecipeSpec]) -> dict[str, tuple[int, str]]:
    """The id and name of each recipe by its fingerprint; those that are not there yet are added."""
    values = [{"fingerprint": r.fingerprint, "name": r.name, "settings": dict(r.settings)} for r in recipes]
    connection.execute(
        insert_or(models.recipe).on_conflict_do_nothing(index_elements=["fingerprint"]), values
    )
    recipe = models.recipe.c
    rows = connection.execute(select(recipe.fingerprint, recipe.id, recipe.name))
    return {fingerprint: (recipe_id, name) for fingerprint, recipe_id, name in rows}


def _pending(protocol_id: int, spec: RunSpec, recipe: tuple[int, str], now: datetime) -> dict[str, Any]:
    recipe_id, name = recipe
    return {
        "protocol_id": protocol_id,
        "recipe_id": recipe_id,
        "seed": spec.seed,
        "kind": kind(name),
        "hidden": format_sizes(spec.hidden),
        "state": "pending",
        "iterations": spec.iterations,
        "iteration": 0,
        "seconds": 0.0,
        "updated_at": now,
        "provenance": {},
    }


def _mask(run_id: int, mask: MaskRow) -> dict[str, Any]:
    values = plain(mask._asdict())
    del values["seed"]  # its run's
    return {**values, "run_id": run_id, "probabilities": values["probabilities"] or None}

"""Queries for the screen and the report: plain functions from a store to frozen values.

Each sees one consistent moment of the store, also while a sweep writes to it.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Row, String, column, func, select, table, type_coerce
from sqlalchemy.exc import DatabaseError

from ltsm.errors import StoreError, UsageError
from ltsm.grammar import typed
from ltsm.notation import parse_sizes
from ltsm.store import models, seal
from ltsm.store.claim import holder
from ltsm.store.engine import chunks
from ltsm.store.values import (
    DROPPED,
    FINISHED,
    Artifact,
    File,
    MaskRow,
    Metric,
    ProtocolRow,
    RecipeSpec,
    ResultRow,
    RunRow,
    Tally,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from ltsm.store.engine import Store
    from ltsm.store.values import Role, State

FINGERPRINT_DIGITS = 8
"""As many digits of a fingerprint name a protocol."""
MOST_NAMED = 10
"""Of more protocols an error names the newest ones."""
_RESULT = table("result", *(column(name) for name in ("protocol_id", *ResultRow.__slots__)))


def protocols(store: Store) -> list[ProtocolRow]:
    """All protocols, the oldest first."""
    with reading(store) as connection:
        rows = connection.execute(select(models.protocol).order_by(models.protocol.c.id))
        return [ProtocolRow(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def protocol(store: Store, protocol_id: int) -> ProtocolRow:
    """The protocol with this id, which there must be."""
    with reading(store) as connection:
        row = connection.execute(select(models.protocol).where(models.protocol.c.id == protocol_id)).one()
        return ProtocolRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def find_protocol(store: Store, name: str | None = None) -> ProtocolRow:
    """The stored protocol of that name, id or start of fingerprint; without one, whose runs changed last.

    Raises:
        StoreError: there is none, or several have that name.
    """
    known = protocols(store)
    if not known:
        raise StoreError(f"the store {store.path} holds no runs yet.", typed(["sweep"], store.path))
    if name is None:
        newest = last_changes(store)
        return max(known, key=lambda p: (newest.get(p.id, p.created_at), p.id))
    found = [
        p
        for p in known
        if name in {p.name, str(p.id)} or (len(name) >= FINGERPRINT_DIGITS and p.fingerprint.startswith(name))
    ]
    if len(found) != 1:
        has = ", ".join(f"{p.id} ({p.name})" for p in known[-MOST_NAMED:])
        more = f"{len(known) - MOST_NAMED} more, and " if len(known) > MOST_NAMED else ""
        count = "no" if not found else "more than one"
        hint = f"--protocol with one of these numbers; {typed(['status'], store.path)} lists them"
        raise StoreError(f"the store has {count} protocol {name!r}: it has {more}{has}.", hint)
    return found[0]


def runs(
    store: Store,
    protocol_id: int | None = None,
    *,
    ids: Sequence[int] | None = None,
    states: Collection[State] | None = None,
    most: int | None = None,
    alive: bool | None = None,
) -> list[RunRow]:
    """All runs (of one protocol, the few with these ids, those in these states, the first few), by protocol, seed, id.

    A run that says `running` while no process holds the store's claim is shown as interrupted; who knows whether
    one does says so by `alive`.
    """
    run, file = models.run.c, models.file.c
    wanted = []
    if protocol_id is not None:
        wanted.append(run.protocol_id == protocol_id)
    if ids is not None:
        wanted.append(run.id.in_(ids))
    if states is not None:
        wanted.append(run.state.in_(states))
    query = select(*_RUN.values()).join_from(models.run, models.recipe)
    query = query.where(*wanted).order_by(run.protocol_id, run.seed, run.id).limit(most)
    its = select(file.run_id, file.role, file.iteration, file.path, file.sha256)
    its = its.join(models.run, run.id == file.run_id).where(*wanted)
    alive = holder(store.path) is not None if alive is None else alive
    with reading(store) as connection:
        files: dict[int, list[File]] = defaultdict(list)
        for run_id, role, iteration, path, sha256 in connection.execute(its):
            files[run_id].append(File(cast("Role", role), iteration, Artifact(path, sha256)))
        return [_run(row, tuple(files.get(row.id, ())), alive=alive) for row in connection.execute(query)]


def ended(store: Store, protocol_id: int) -> set[tuple[str, int]]:
    """The runs of a protocol in which nothing is left to do, by their recipe's fingerprint and their seed."""
    return _those(store, protocol_id, models.run.c.state.in_(FINISHED))


def lacking(store: Store, protocol_id: int) -> set[tuple[str, int]]:
    """The runs of a protocol of which a file was dropped, by the same."""
    file = models.file.c
    return _those(
        store, protocol_id, models.run.c.id.in_(select(file.run_id).where(file.role.like(f"{DROPPED}%")))
    )


def _those(store: Store, protocol_id: int, which: ColumnElement[bool]) -> set[tuple[str, int]]:
    run = models.run.c
    query = select(models.recipe.c.fingerprint, run.seed).join(models.run)
    with reading(store) as connection:
        rows = connection.execute(query.where(run.protocol_id == protocol_id, which))
        return {(row.fingerprint, row.seed) for row in rows}


def data_digests(store: Store, protocol_id: int) -> set[str]:
    """The SHA-256 of whatever data the runs of a protocol have used."""
    digest = "json_extract(provenance, '$.data_sha256')"
    query = f"SELECT DISTINCT {digest} FROM run WHERE protocol_id = ? AND {digest} IS NOT NULL"  # noqa: S608 - our own words
    with reading(store) as connection:
        return set(connection.exec_driver_sql(query, (protocol_id,)).scalars())


def find_run(
    store: Store, protocol_id: int, fingerprint: str, seed: int, *, alive: bool | None = None
) -> RunRow | None:
    """The run of the recipe with this fingerprint for this seed, or None; `alive` as in `runs`."""
    run = models.run.c
    query = (
        select(run.id)
        .join(models.recipe)
        .where(run.protocol_id == protocol_id, run.seed == seed, models.recipe.c.fingerprint == fingerprint)
    )
    with reading(store) as connection:
        found = connection.execute(query).scalar_one_or_none()
    return None if found is None else runs(store, ids=[found], alive=alive)[0]


def recipe(store: Store, run_id: int) -> RecipeSpec:
    """How a run's network comes to be."""
    row = models.recipe.c
    query = select(row.fingerprint, row.name, row.settings).join(models.run).where(models.run.c.id == run_id)
    with reading(store) as connection:
        return RecipeSpec(*connection.execute(query).one())


def needs(store: Store, run_id: int) -> dict[str, int]:
    """The ids of the runs that a run is made from, by role."""
    need = models.need.c
    with reading(store) as connection:
        rows = connection.execute(select(need.role, need.needs_id).where(need.run_id == run_id))
        return {row.role: row.needs_id for row in rows}


def dependents(store: Store, run_ids: Iterable[int]) -> set[int]:
    """These runs and all that are built on them, of whatever study."""
    built_on = needed_by(store)
    found, waiting = set[int](), list(run_ids)
    while waiting:
        run_id = waiting.pop()
        if run_id not in found:
            found.add(run_id)
            waiting += (other for other, _ in built_on.get(run_id, ()))
    return found


def needed_by(store: Store) -> dict[int, list[tuple[int, str]]]:
    """The runs that are made from each run, and as what they need it; a run that none needs is left out."""
    need = models.need.c
    built_on: dict[int, list[tuple[int, str]]] = defaultdict(list)
    with reading(store) as connection:
        for run_id, role, needs_id in connection.execute(select(need.run_id, need.role, need.needs_id)):
            built_on[needs_id].append((run_id, role))
    return dict(built_on)


def metrics(store: Store, run_ids: Sequence[int]) -> dict[int, list[Metric]]:
    """Each run's records in order of iteration; a run without any is left out. NaN for NULL."""
    metric = models.metric.c
    found: dict[int, list[Metric]] = defaultdict(list)
    query = select(models.metric)
    with reading(store) as connection:
        for some in chunks(run_ids):
            for run_id, *values in connection.execute(query.where(metric.run_id.in_(some))):
                found[run_id].append(Metric(*map(_number, values)))  # type: ignore[arg-type]  # iteration stays whole
    return dict(found)


def latest(store: Store, run_ids: Sequence[int]) -> dict[int, Metric]:
    """Each run's last record; a run without any is left out. NaN for NULL."""
    run, metric, again = models.run.c, models.metric.c, models.metric.alias().c
    # Asked once a run: of each record it would be asked as often as there are records.
    last = select(func.max(again.iteration)).where(again.run_id == run.id).scalar_subquery()
    of_it = (run.id == metric.run_id) & (metric.iteration == last.correlate(models.run))
    query = select(models.metric).select_from(models.run).join(models.metric, of_it)
    found: dict[int, Metric] = {}
    with reading(store) as connection:
        for some in chunks(run_ids):
            rows = connection.execute(query.where(run.id.in_(some)))
            for run_id, *values in rows:
                found[run_id] = Metric(*map(_number, values))  # type: ignore[arg-type]  # iteration stays whole
    return found


def results(store: Store, protocol_id: int) -> list[ResultRow]:
    """What Table 1 needs of every finished run of a protocol, by seed."""
    query = (
        select(_RESULT).where(_RESULT.c.protocol_id == protocol_id).order_by(_RESULT.c.seed, _RESULT.c.run_id)
    )
    with reading(store) as connection:
        return [_result(row) for row in connection.execute(query)]


def masks(
    store: Store,
    protocol_id: int,
    *,
    run_ids: Sequence[int] | None = None,
    selected: bool = False,
    bits: bool = False,
) -> list[MaskRow]:
    """Every masked network of a protocol, by seed, run and amount; with its bits if asked for.

    Args:
        store: an open store.
        protocol_id: of the runs that made them.
        run_ids: of these runs only.
        selected: only the masks that the runs ended with.
        bits: also which parameters each keeps; they are most of the store's bytes.
    """
    query = _mask_query(bits=bits).where(models.run.c.protocol_id == protocol_id)
    if selected:
        query = query.where(models.mask.c.selected)
    query = query.order_by(models.run.c.seed, models.run.c.id, models.mask.c.amount)
    found: list[MaskRow] = []
    with reading(store) as connection:
        if run_ids is None:
            return [_mask(row) for row in connection.execute(query)]
        for some in chunks(run_ids):
            found += [_mask(row) for row in connection.execute(query.where(models.mask.c.run_id.in_(some)))]
    return found


def selected_mask(store: Store, run_id: int) -> MaskRow | None:
    """The mask that a run ended with, with its bits: its own, or that of the run which it has it from; or None."""
    query = _mask_query(bits=True).where(models.mask.c.run_id == run_id, models.mask.c.selected)
    with reading(store) as connection:
        row = connection.execute(query).one_or_none()
    if row is not None:
        return _mask(row)
    source = needs(store, run_id).get("mask")
    return None if source is None else selected_mask(store, source)


def faults(store: Store) -> list[str]:
    """What is wrong with the file, its references or its content, in SQLite's words or ours; nothing when all is well."""
    with reading(store) as connection:
        return seal.faults(connection)


def change_counter(store: Store) -> tuple[int, int]:
    """A value that changes whenever the store may have: cheap enough to ask every second.

    When each run changed last, all together, and the number of runs: a clock that went backwards
    gives another value too.
    """
    with reading(store) as connection:
        text = "SELECT coalesce(group_concat(updated_at), ''), count(*) FROM run"
        moments, count = connection.exec_driver_sql(text).one()
    return hash(moments), int(count)


def stamps(store: Store, protocol_id: int, *, alive: bool) -> dict[int, str]:
    """When each run of a protocol changed last, in the store's own words, and where it says `running`, whether it is.

    That is what tells which to read again; `alive` as in `runs`.
    """
    left = "CASE WHEN state = 'running' THEN ' left' ELSE '' END"
    query = f"SELECT id, updated_at{'' if alive else f' || {left}'} FROM run WHERE protocol_id = ?"  # noqa: S608 - our own words
    with reading(store) as connection:
        return {row[0]: row[1] for row in connection.exec_driver_sql(query, (protocol_id,))}


def last_changes(store: Store, *, begun: bool = False) -> dict[int, datetime]:
    """When a run of each protocol, or one that has begun, changed last."""
    run = models.run.c
    query = select(run.protocol_id, func.max(run.updated_at)).group_by(run.protocol_id)
    with reading(store) as connection:
        rows = connection.execute(query.where(run.started_at.is_not(None)) if begun else query)
        return {row[0]: row[1] for row in rows}


def tallies(store: Store, protocol_id: int | None = None, *, alive: bool | None = None) -> list[Tally]:
    """How many runs (of one protocol) are in each state, recipe by recipe in the order in which they were planned.

    Counted by SQLite: it takes no longer to say of a hundred thousand runs than of a hundred. `alive` as in `runs`.
    """
    run, recipe = models.run.c, models.recipe.c
    first = func.min(func.min(run.id)).over(partition_by=[run.protocol_id, run.recipe_id])
    sums = func.count(), func.sum(run.iteration)
    query = select(run.protocol_id, recipe.fingerprint, recipe.name, run.state, *sums)
    query = query.join_from(models.run, models.recipe).group_by(run.protocol_id, run.recipe_id, run.state)
    if protocol_id is not None:
        query = query.where(run.protocol_id == protocol_id)
    alive = holder(store.path) is not None if alive is None else alive
    with reading(store) as connection:
        rows = connection.execute(query.order_by(run.protocol_id, first))
        found = [Tally(*row) for row in rows]
    return [tally._replace(state=_state(tally.state, alive=alive)) for tally in found]


def seeds(store: Store, protocol_id: int) -> tuple[int, ...]:
    """The seeds of a protocol's runs."""
    run = models.run.c
    query = select(run.seed).distinct().where(run.protocol_id == protocol_id).order_by(run.seed)
    with reading(store) as connection:
        return tuple(connection.execute(query).scalars())


@contextmanager
def reading(store: Store) -> Iterator[Connection]:
    """One consistent moment of the store.

    Raises:
        StoreError: it cannot be read, or holds values that its columns do not.
    """
    try:
        with store.engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        raise StoreError(
            f"cannot read the store {store.path}: {error.orig}.", typed(["db", "check"], store.path)
        ) from error
    # A value that is none of its column's: SQLite keeps any type in any column, a damaged or hostile file has them.
    except (ValueError, TypeError, UsageError) as error:
        raise StoreError(
            f"the store {store.path} is damaged: {error}.", typed(["db", "check"], store.path)
        ) from error


def _number(value: float | None) -> float:
    return math.nan if value is None else value


_RUN: dict[str, ColumnElement[Any]] = {
    name: models.run.c[name] for name in RunRow.__slots__ if name in models.run.c
}
_RUN |= {"recipe": models.recipe.c.name, "fingerprint": models.recipe.c.fingerprint}
# As text: all runs of a command have the same, which is read once and kept once, also of a hundred thousand.
_RUN["provenance"] = type_coerce(models.run.c.provenance, String)
_sizes, _parsed = lru_cache(parse_sizes), lru_cache(json.loads)


def _run(row: Row[Any], files: tuple[File, ...], *, alive: bool) -> RunRow:
    values = dict(zip(_RUN, row, strict=True))
    values["state"] = _state(values["state"], alive=alive)
    values["hidden"], values["provenance"] = _sizes(values["hidden"]), _parsed(values["provenance"])
    there = tuple(file for file in files if not file.role.startswith(DROPPED))
    return RunRow(**values, files=there, dropped=_dropped(files) if len(there) < len(files) else ())


def _dropped(files: Iterable[File]) -> tuple[File, ...]:
    """Those that were dropped, by the roles that they had."""
    gone = (file for file in files if file.role.startswith(DROPPED))
    return tuple(replace(file, role=cast("Role", file.role.removeprefix(DROPPED))) for file in gone)


def _state(stored: str, *, alive: bool) -> State:
    return cast("State", "interrupted" if stored == "running" and not alive else stored)


_NUMBERS = [
    name
    for name in ResultRow.__slots__
    if "_val_" in name or "_test_" in name or name in {"relative_size", "minimal_iteration"}
]


def _result(row: Row[Any]) -> ResultRow:
    numbers = {name: _number(getattr(row, name)) for name in _NUMBERS}
    hidden = parse_sizes(row.hidden)
    return ResultRow(row.run_id, row.seed, row.recipe, hidden, row.state, **numbers)


def _mask_query(*, bits: bool) -> Select[*tuple[Any, ...]]:
    mask = models.mask.c
    names = (
        *("amount", "amount_by", "relative_size", "layer_sizes", "selected"),
        *("val_loss", "val_accuracy", "test_loss", "test_accuracy", "probabilities"),
    )
    columns = [mask.run_id, models.run.c.seed, *(mask[name] for name in (*names, *["bits"] * bits))]
    return select(*columns).join(models.run, models.run.c.id == mask.run_id)


def _mask(row: Row[Any]) -> MaskRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    numbers = {name: _number(values[name]) for name in ("val_loss", "test_loss", "test_accuracy")}
    counts = {"layer_sizes": tuple(row.layer_sizes), "probabilities": tuple(row.probabilities or ())}
    return MaskRow(**values | numbers | counts)

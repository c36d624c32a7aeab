"""Queries for the screen and the report: plain functions from a store to frozen values.

Each sees one consistent moment of the store, also while a sweep writes to it.
"""

from __future__ import annotations

import gc
import json
import math
import sqlite3
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import column, func, literal_column, select, table
from sqlalchemy.exc import DatabaseError

from ltsm.errors import StoreError, UsageError
from ltsm.grammar import typed
from ltsm.notation import parse_sizes
from ltsm.store import models, seal, seal_shown
from ltsm.store.claim import holder
from ltsm.store.locked import cause
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

    from sqlalchemy import ColumnElement, Connection, Select

    from ltsm.store.engine import Store
    from ltsm.store.values import Role, State

FINGERPRINT_DIGITS = 8
"""As many digits of a fingerprint name a protocol."""
MOST_NAMED = 10
"""Of more protocols an error names the newest ones."""
_RESULT = table("result", column("protocol_id"), *map(column, ResultRow._fields))
_RESULTS = [_RESULT.c[name] for name in ResultRow._fields]


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
    files: bool = True,
) -> list[RunRow]:
    """All runs (of one protocol, the few with these ids, those in these states, the first few), by protocol, seed, id.

    A run that says `running` while no process holds the store's claim is shown as interrupted; who knows whether
    one does says so by `alive`. Without `files` none has any.
    """
    run = models.run.c
    wanted = []
    if protocol_id is not None:
        wanted.append(run.protocol_id == protocol_id)
    if ids is not None:
        wanted.append(_among(run.id, ids))
    if states is not None:
        wanted.append(run.state.in_(states))
    query = select(*_RUN).where(*wanted).order_by(run.protocol_id, run.seed, run.id).limit(most)
    alive = holder(store.path) is not None if alive is None else alive
    with reading(store) as connection:
        its = _files(connection, wanted) if files else {}
        recipes = {recipe: names for recipe, *names in _rows(connection, select(*_RECIPE))}
        rows = (row for row in _rows(connection, query) if row[2] in recipes)
        return [_run(row, recipes[row[2]], its.get(row[0], ()), alive=alive) for row in rows]


def _files(connection: Connection, wanted: Sequence[ColumnElement[bool]]) -> dict[int, list[File]]:
    """The files of these runs, those that were dropped too."""
    file = models.file.c
    query = select(file.run_id, file.role, file.iteration, file.path, file.sha256)
    found: dict[int, list[File]] = defaultdict(list)
    for run_id, role, iteration, *artifact in _rows(
        connection, query.join(models.run, models.run.c.id == file.run_id).where(*wanted)
    ):
        found[run_id].append(File(role, iteration, Artifact(*artifact)))
    return found


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
    query = select(models.metric).where(_among(metric.run_id, run_ids))
    with reading(store) as connection:
        for row in _rows(connection, query.order_by(metric.run_id, metric.iteration)):
            found[row[0]].append(_metric(row))
    return dict(found)


def points(store: Store, run_ids: Sequence[int], measure: str) -> dict[int, list[tuple[float, float]]]:
    """One column of each run's records, with the iteration, by that; a run without any is left out. NaN for NULL."""
    metric = models.metric.c
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    query = select(metric.run_id, metric.iteration, metric[measure]).where(_among(metric.run_id, run_ids))
    with reading(store) as connection:
        for run_id, iteration, value in _rows(connection, query.order_by(metric.run_id, metric.iteration)):
            found[run_id].append((_x(iteration), _number(value)))
    return dict(found)


def latest(store: Store, run_ids: Sequence[int]) -> dict[int, Metric]:
    """Each run's last record; a run without any is left out. NaN for NULL."""
    run, metric, again = models.run.c, models.metric.c, models.metric.alias().c
    # Asked once a run: of each record it would be asked as often as there are records.
    last = select(func.max(again.iteration)).where(again.run_id == run.id).scalar_subquery()
    of_it = (run.id == metric.run_id) & (metric.iteration == last.correlate(models.run))
    query = select(models.metric).select_from(models.run).join(models.metric, of_it)
    with reading(store) as connection:
        return {row[0]: _metric(row) for row in _rows(connection, query.where(_among(run.id, run_ids)))}


def results(store: Store, protocol_id: int) -> list[ResultRow]:
    """What Table 1 needs of every finished run of a protocol, by seed."""
    query = select(*_RESULTS).where(_RESULT.c.protocol_id == protocol_id).order_by(_RESULT.c.seed)
    with reading(store) as connection:
        return list(map(_result, _rows(connection, query)))


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
    if run_ids is not None:
        query = query.where(_among(models.mask.c.run_id, run_ids))
    query = query.order_by(models.run.c.seed, models.run.c.id, models.mask.c.amount)
    with reading(store) as connection:
        return list(map(_mask, _rows(connection, query)))


def shown(store: Store, protocol_id: int) -> tuple[list[RunRow], list[ResultRow], list[MaskRow]] | None:
    """What tables show of a protocol: its runs without their files, results, and the masks that runs ended with, by id.

    Checked as they are read, in one go, as many take longer to fetch than to hash. None where the seals of what is
    shown do not fit.
    """
    alive = holder(store.path) is not None
    runs, results, masks = list[RunRow](), list[ResultRow](), list[MaskRow]()
    ours = set[int]()
    with reading(store) as connection:
        recipes = {recipe: names for recipe, *names in _rows(connection, select(*_RECIPE))}

        def run(row: Sequence[Any]) -> None:
            if row[1] == protocol_id and row[2] in recipes:
                runs.append(_run(row, recipes[row[2]], (), alive=alive))
                ours.add(row[0])

        def result(row: Sequence[Any]) -> None:
            if row[0] in ours:
                results.append(_result(row))

        def mask(row: Sequence[Any]) -> None:
            if row[0] in ours:
                masks.append(_mask(row))

        whole = seal.fit(connection, seal_shown.KINDS, {"run": run, "result": result, "mask": mask})
    return (runs, results, masks) if whole else None


def selected_mask(store: Store, run_id: int) -> MaskRow | None:
    """The mask that a run ended with, with its bits: its own, or that of the run which it has it from; or None."""
    query = _mask_query(bits=True).where(models.mask.c.run_id == run_id, models.mask.c.selected)
    with reading(store) as connection:
        row = next(_rows(connection, query), None)
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
def uncollected() -> Iterator[None]:
    """While values are made by the hundred thousand: the collector would look through all of them again and again."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def reading(store: Store) -> Iterator[Connection]:
    """One consistent moment of the store.

    Raises:
        StoreError: it cannot be read, or holds values that its columns do not.
    """
    try:
        with uncollected(), store.engine.connect() as connection:
            yield connection
    except (DatabaseError, sqlite3.Error) as error:  # many rows are read through the driver itself
        raise StoreError(
            f"cannot read the store {store.path}: {cause(error)}.", typed(["db", "check"], store.path)
        ) from error
    # A value that is none of its column's: SQLite keeps any type in any column, a damaged or hostile file has them.
    except (ValueError, TypeError, UsageError) as error:
        raise StoreError(
            f"the store {store.path} is damaged: {error}.", typed(["db", "check"], store.path)
        ) from error


def _rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """What the driver gives, as it is stored: SQLAlchemy takes several times as long to hand over as many."""
    return cast("Iterator[tuple[Any, ...]]", connection.execute(query).cursor)


def _among(column: ColumnElement[int], ids: Sequence[int]) -> ColumnElement[bool]:
    """One of these, in one statement, however many they are: of plain values SQLite takes a thousand."""
    return column.in_(select(func.json_each(json.dumps(ids)).table_valued("value").c.value))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _metric(row: Sequence[Any]) -> Metric:
    return Metric(*map(_number, row[1:]))  # type: ignore[arg-type]  # iteration stays whole


_RECIPE = models.recipe.c.id, models.recipe.c.name, models.recipe.c.fingerprint
_RUN = [*models.run.c]
# What many runs have alike is read once and kept once, also of a hundred thousand.
_sizes, _parsed, _same = lru_cache(parse_sizes), lru_cache(json.loads), lru_cache(str)
_x = lru_cache(1_024)(float)


@lru_cache(typed=True)
def _alike(value: Any) -> Any:
    """The same object for the same value, of its own type: 1 is not 1.0."""
    return value


def _run(row: Sequence[Any], recipe: Sequence[str], files: Sequence[File], *, alive: bool) -> RunRow:
    run_id, protocol_id, _, seed, _, hidden, state, *lengths, inputs, classes, parameters, size = row[:14]
    device, seconds, *moments, error, provenance = row[14:]
    seed, parameters, size = map(_alike, (seed, parameters, size))
    there = tuple(file for file in files if not file.role.startswith(DROPPED)) if files else ()
    values = (
        *(run_id, protocol_id, seed, *recipe, _sizes(hidden), _state(_same(state), alive=alive), *lengths),
        *(parameters, size, inputs, classes, there, device and _same(device), seconds),
        *(*map(_moment, moments), error, _parsed(provenance)),
        _dropped(files) if len(there) < len(files) else (),
    )
    return RunRow._make(values)


@lru_cache
def _moment(stored: str | None) -> datetime | None:
    """A moment as `models.UtcTime` writes it."""
    return None if stored is None else datetime.fromisoformat(f"{stored}+00:00")


def _dropped(files: Iterable[File]) -> tuple[File, ...]:
    """Those that were dropped, by the roles that they had."""
    gone = (file for file in files if file.role.startswith(DROPPED))
    return tuple(replace(file, role=cast("Role", file.role.removeprefix(DROPPED))) for file in gone)


def _state(stored: str, *, alive: bool) -> State:
    return cast("State", "interrupted" if stored == "running" and not alive else stored)


def _result(row: Sequence[Any]) -> ResultRow:
    run_id, seed, recipe, hidden, state, *numbers = row
    return ResultRow(run_id, seed, recipe, _sizes(hidden), state, *map(_number, numbers))


def _mask_query(*, bits: bool) -> Select[*tuple[Any, ...]]:
    others: dict[str, ColumnElement[Any]] = {"seed": models.run.c.seed}
    if not bits:
        others["bits"] = literal_column("x''")
    columns = [others[name] if name in others else models.mask.c[name] for name in MaskRow._fields]
    return select(*columns).join(models.run, models.run.c.id == models.mask.c.run_id)


def _mask(row: Sequence[Any]) -> MaskRow:
    *of_amount, layers, loss, accuracy, selected, bits, amount_by = row[:10]
    *tested, probabilities = row[10:]
    counts = _counts(probabilities) if probabilities else ()
    values = (*of_amount, _counts(layers), _number(loss), accuracy, bool(selected), bits, amount_by)
    return MaskRow._make((*values, *map(_number, tested), counts))


@lru_cache
def _counts(stored: str) -> tuple[int, ...]:
    return tuple(json.loads(stored) or ())

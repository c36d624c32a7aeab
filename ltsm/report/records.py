"""What is taken away: a store's runs, curves, masks and tables as plain records, whose columns stay as they are.

A number that there is not is NaN, as in a data frame; anything else that there is not is None.
"""

from __future__ import annotations

import math
from datetime import datetime  # noqa: TC003 - a column's type is looked up when the program runs
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ltsm.store import read
from ltsm.store.engine import chunks
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ltsm.report.choice import Chosen
    from ltsm.report.listing import Listed
    from ltsm.report.table import Table
    from ltsm.store.engine import Store
    from ltsm.store.values import ProtocolRow, ResultRow

AT_ONCE = 50
"""So many runs' records are in memory at one time."""


class ProtocolRecord(NamedTuple):
    """A protocol: its number in the store, its name, and the settings that decide its runs."""

    id: int
    name: str
    fingerprint: str
    created_at: datetime
    runs: int
    finished: int
    seeds: tuple[int, ...]
    seconds: float
    settings: dict[str, Any]


class RunRecord(NamedTuple):
    """A run; `final_…` and `minimal_…` are of finished trainings, `untrained_…` of a search those of its mask.

    Accuracies and `relative_size` are shares, 0 to 1; `seconds` is the time spent training; times are in UTC.
    """

    id: int
    protocol_id: int
    protocol: str
    study: str | None
    recipe: str
    seed: int
    state: str
    hidden: tuple[int, ...]
    parameters: int | None
    relative_size: float
    iteration: int
    iterations: int | None
    best_iteration: int | None
    untrained_val_loss: float
    untrained_val_accuracy: float
    final_val_loss: float
    final_val_accuracy: float
    minimal_val_loss: float
    untrained_test_accuracy: float
    final_test_accuracy: float
    minimal_test_accuracy: float
    seconds: float
    device: str | None
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None


class CurveRecord(NamedTuple):
    """What was recorded of a run at an iteration; accuracies are shares, 0 to 1.

    The last four are of masks that are trained, see `ltsm.store.values.Metric`; NaN of all others.
    """

    run_id: int
    protocol_id: int
    protocol: str
    recipe: str
    seed: int
    iteration: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    test_loss: float
    test_accuracy: float
    density: float
    sampled_loss: float
    sampled_accuracy: float
    sampled_test_accuracy: float


class MaskRecord(NamedTuple):
    """A masked network, untrained; `bits` is one bit a parameter, most significant first, where asked for."""

    run_id: int
    protocol_id: int
    protocol: str
    recipe: str
    seed: int
    amount: float
    amount_by: str
    relative_size: float
    layer_sizes: tuple[int, ...]
    val_loss: float
    val_accuracy: float
    test_loss: float
    test_accuracy: float
    selected: bool
    bits: bytes | None


class TableRecord(NamedTuple):
    """A cell of a study's table: mean and sample standard deviation over n seeds, in the printed unit."""

    row: str
    category: str | None
    column: str
    n: int
    mean: float
    sd: float


_MEASURED: Final = (
    *("final_val_loss", "final_val_accuracy", "minimal_val_loss"),
    *("untrained_test_accuracy", "final_test_accuracy", "minimal_test_accuracy"),
)
_AS_STORED: Final = (
    *("id", "protocol_id", "recipe", "seed", "state", "hidden", "parameters", "iteration", "iterations"),
    *("best_iteration", "seconds", "device", "started_at", "finished_at", "error"),
)


def protocols(store: Store) -> Iterator[ProtocolRecord]:
    """The store's protocols, the oldest first, with how much of each is done."""
    for row in read.protocols(store):
        runs = read.runs(store, row.id)
        yield ProtocolRecord(
            id=row.id,
            name=row.name,
            fingerprint=row.fingerprint,
            created_at=row.created_at,
            runs=len(runs),
            finished=sum(run.state in FINISHED for run in runs),
            seeds=tuple(sorted({run.seed for run in runs})),
            seconds=sum(run.seconds for run in runs),
            settings=row.settings,
        )


def runs(store: Store, found: Iterable[Chosen]) -> Iterator[RunRecord]:
    """A record of each run."""
    for chosen in found:
        results = {result.run_id: result for result in read.results(store, chosen.protocol.id)}
        for one in chosen.listed:
            yield _run(chosen.protocol, one, results.get(one.run.id))


def curves(store: Store, found: Iterable[Chosen]) -> Iterator[CurveRecord]:
    """Every record of every run, by run and iteration; so many runs at a time that memory does not grow with them."""
    for chosen in found:
        protocol = chosen.protocol
        for some in chunks(chosen.runs, AT_ONCE):
            records = read.metrics(store, [run.id for run in some])
            for run in some:
                for metric in records.get(run.id, ()):
                    yield CurveRecord(run.id, protocol.id, protocol.name, run.recipe, run.seed, *metric)


def masks(store: Store, found: Iterable[Chosen], *, bits: bool = False) -> Iterator[MaskRecord]:
    """Every mask that these runs made, by run and amount; with which parameters each keeps, if asked for."""
    for chosen in found:
        protocol = chosen.protocol
        for some in chunks(chosen.runs, AT_ONCE):
            names = {run.id: run.recipe for run in some}
            for mask in read.masks(store, protocol.id, run_ids=list(names), bits=bits):
                values: dict[str, Any] = {n: getattr(mask, n) for n in MaskRecord._fields if hasattr(mask, n)}
                values |= {"protocol_id": protocol.id, "protocol": protocol.name}
                yield MaskRecord(
                    **values | {"recipe": names[mask.run_id], "bits": mask.bits if bits else None}
                )


def table(found: Table) -> Iterator[TableRecord]:
    """A study's table cell by cell, row by row."""
    for row in found.rows:
        for cell in row.cells:
            ours = cell.ours
            yield TableRecord(row.label, row.category, cell.column.name, ours.n, ours.mean, ours.sd)


def _run(protocol: ProtocolRow, one: Listed, result: ResultRow | None) -> RunRecord:
    run = one.run
    values: dict[str, Any] = {name: getattr(run, name) for name in _AS_STORED}
    values |= {name: getattr(result, name, math.nan) for name in _MEASURED}
    # what was measured last before any training is of an untrained network: a search's is its mask
    loss, accuracy = (one.loss, one.accuracy) if run.iteration == 0 else _untrained(result)
    return RunRecord(
        protocol=protocol.name,
        study=run.provenance.get("study"),
        relative_size=math.nan if run.relative_size is None else run.relative_size,
        untrained_val_loss=loss,
        untrained_val_accuracy=accuracy,
        **values,
    )


def _untrained(result: ResultRow | None) -> tuple[float, float]:
    return (result.untrained_val_loss, result.untrained_val_accuracy) if result else (math.nan, math.nan)

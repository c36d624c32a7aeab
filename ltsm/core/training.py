"""Training: `advance` takes a state to a later iteration, and gives what is recorded on the way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ltsm.core.engine import choose_engine
from ltsm.core.records import Record

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.core.engine import Engine
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol


def advance(
    data: Dataset,
    protocol: Protocol,
    state: TrainState,
    until: int,
    device: str = "cpu",
    test: TestSet | None = None,
) -> tuple[TrainState, list[Record]]:
    """The state at iteration `until`, and the records made on the way (section 3.3).

    A pure function. There is a record at iteration 0 (of the untrained networks), at every multiple of
    `protocol.record_every` and at `until`, of the test set too where there is one. Segments that end at such multiples give the same bits,
    records included, as one uninterrupted call.

    Raises:
        UsageError: this machine has no such device.
    """
    engine = choose_engine(data, state.network, protocol, device)
    state, records = advance_by(engine, state, until, protocol.record_every, test)
    while state.iteration < until:
        state, more = advance_by(engine, state, until, protocol.record_every, test)
        records += more
    return state, records


def advance_by(
    engine: Engine, state: TrainState, until: int, record_every: int, test: TestSet | None = None
) -> tuple[TrainState, list[Record]]:
    """As `advance`, by an engine that serves the state's network; no further than the first record of a diverged model.

    So where a run is found to have diverged is no matter of where its segments end.
    """
    engine.load(state)
    records = [_record(0, (math.nan,) * len(state.seeds), engine, test)] if state.iteration == 0 else []
    for point in record_points(state.iteration, until, record_every):
        records.append(_record(point, engine.train(point), engine, test))
        if not all(map(math.isfinite, records[-1].val_loss)):
            break
    return engine.state(), records


def record_points(start: int, until: int, every: int) -> list[int]:
    """The iterations after `start`, up to and with `until`, at which a record is made."""
    if until <= start:
        return []
    return [*range((start // every + 1) * every, until, every), until]


def _record(iteration: int, train_loss: tuple[float, ...], engine: Engine, test: TestSet | None) -> Record:
    found = engine.evaluate()
    if test is None:
        return Record(iteration, train_loss, found.loss, found.accuracy)
    tested = engine.evaluate(test)
    return Record(iteration, train_loss, found.loss, found.accuracy, tested.loss, tested.accuracy)

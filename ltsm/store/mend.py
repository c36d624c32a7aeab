"""Runs in a state that no command writes: two writers at one store, or a hand, have left them. A sweep mends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from ltsm.store import read, write

if TYPE_CHECKING:
    from datetime import datetime

    from ltsm.store.engine import Store

_FINISHED = (
    "SELECT id FROM run WHERE finished_at IS NOT NULL AND state NOT IN ('done', 'diverged') ORDER BY id"
)
_WITHOUT_STATE = """SELECT id FROM run WHERE finished_at IS NULL AND state <> 'pending'
                    AND EXISTS (SELECT 1 FROM metric WHERE metric.run_id = run.id)
                    AND NOT EXISTS (SELECT 1 FROM file WHERE file.run_id = run.id AND role = 'checkpoint') ORDER BY id"""


def finished(store: Store) -> list[int]:
    """Runs with all their records and final weights that do not say so."""
    return _ids(store, _FINISHED)


def without_state(store: Store) -> list[int]:
    """Runs that were begun, have not ended, and have no checkpoint to go on from."""
    return _ids(store, _WITHOUT_STATE)


def mend(store: Store, now: datetime) -> None:
    """Let runs that have all their records have ended, and those that cannot go on begin again."""
    if ended := finished(store):
        last = read.latest(store, ended)
        for run in read.runs(store, ids=ended):
            record = last.get(run.id)  # a search has none
            finite = record is None or record.val_loss < float("inf")
            whole = run.iteration == run.iterations and finite
            error = None if whole else f"diverged by iteration {run.iteration}"
            write.stop(store, run.id, "done" if whole else "diverged", error, now)
    if lost := without_state(store):
        write.reset(store, lost, now)


def _ids(store: Store, query: str) -> list[int]:
    with read.reading(store) as connection:
        return list(connection.execute(text(query)).scalars())

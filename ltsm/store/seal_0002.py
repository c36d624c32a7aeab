"""The seals of version 0002, as that version wrote them: checked once, before such a store is upgraded and sealed anew."""

from __future__ import annotations

import hashlib
from itertools import groupby, starmap
from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_RECORD = Struct("<2q3d")
_PLAN = (
    """SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name IN
       ('alembic_version', 'protocol', 'run', 'metric', 'mask', 'seal', 'result', 'table_1') ORDER BY name""",
    "SELECT version_num FROM alembic_version",
    "SELECT id, name, fingerprint, settings, created_at FROM protocol ORDER BY id",
    "SELECT id FROM run ORDER BY id",
)
_RUNS = """SELECT id, protocol_id, seed, kind, hidden, state, iterations, iteration, best_iteration, parameters,
           relative_size, initial_weights, initial_weights_sha256, final_weights, final_weights_sha256, checkpoint,
           checkpoint_sha256, device, seconds, started_at, finished_at, updated_at, error, provenance,
           previous_checkpoint, previous_checkpoint_sha256, previous_iteration FROM run ORDER BY id"""
_RECORDS = """SELECT run_id, iteration, coalesce(train_loss, 9e999), coalesce(val_loss, 9e999),
              coalesce(val_accuracy, 9e999) FROM metric ORDER BY run_id, iteration"""
_MASKS = """SELECT run_id, threshold, relative_size, layer_sizes, val_loss, val_accuracy, selected, bits
            FROM mask ORDER BY run_id, threshold"""


def broken(driver: sqlite3.Connection) -> Iterator[str]:
    """What is not as it was written, each named in a few words."""
    seals = dict(driver.execute("SELECT name, sha256 FROM seal").fetchall())
    plan = hashlib.sha256(b"".join(_packed(driver.execute(query)) for query in _PLAN))
    if seals.get("plan") != plan.hexdigest():
        yield "the tables, the protocols or the list of runs are not as they were written"
    digests: dict[int, Any] = {}
    for query in (_RUNS, _RECORDS, _MASKS):
        for run_id, rows in groupby(driver.execute(query), key=itemgetter(0)):
            found = list(rows)
            packed = b"".join(starmap(_RECORD.pack, found)) if query is _RECORDS else _packed(found)
            digests.setdefault(run_id, hashlib.sha256()).update(packed)
    for run_id, digest in digests.items():
        if seals.get(str(run_id)) != digest.hexdigest():
            yield f"the row, the records or the masks of run {run_id} are not as they were written"


def _packed(rows: Any) -> bytes:
    return repr(list(rows)).encode("utf-8", "backslashreplace")

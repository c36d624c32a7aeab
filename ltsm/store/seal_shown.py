"""Seals over what is shown of many runs: their rows, and the numbers that tables are made of; eight runs to a seal.

A run's own seal covers every record and its masks' bits, of which a large store has gigabytes. Who shows how far runs
are, or a table, believes none of those and need not read them. Where one of these seals is missing or does not fit,
the runs' own decide.
"""

from __future__ import annotations

import hashlib
from itertools import groupby, starmap
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Literal

from ltsm.store import models
from ltsm.store.digests import driver, packed_rows, rows_of, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection

    Pack = Callable[[Iterable[Sequence[object]]], bytes]

Shown = Literal["runs", "results"]
"""The runs' rows; what the view `result` has of those that have ended, with the masks that they ended with."""
TOGETHER: Final = 8
"""So many runs' seal is taken anew whenever one of them changes, in 0.15 ms."""
_AT_ONCE = 200
# The records' own; what else the view has of a run stands in its row.
_NUMBERS = (
    *("untrained_val_loss", "untrained_val_accuracy", "final_val_loss", "final_val_accuracy"),
    *("minimal_val_loss", "untrained_test_accuracy", "final_test_accuracy"),
    *("minimal_test_accuracy", "sampled_val_accuracy", "sampled_test_accuracy"),
)
_RESULT = Struct(f"<q{len(_NUMBERS)}d")
# Only finite numbers are stored, so infinity can stand for NULL.
_RESULTS = f"""SELECT run_id, {", ".join(f"coalesce({name}, 9e999)" for name in _NUMBERS)}
               FROM result WHERE run_id BETWEEN ? AND ? ORDER BY run_id"""  # noqa: S608 - our own words
_MASKS = f"""SELECT run_id, {", ".join(c.name for c in models.mask.columns if c.name not in {"id", "run_id", "bits"})}
             FROM mask WHERE selected AND run_id BETWEEN ? AND ? ORDER BY run_id"""  # noqa: S608 - the schema's own names


def _packed_results(rows: Iterable[Sequence[object]]) -> bytes:
    return b"".join(starmap(_RESULT.pack, rows))


_PARTS: dict[Shown, tuple[tuple[str, Pack], ...]] = {
    "runs": ((rows_of(models.run, "id", "id"), packed_rows),),
    "results": ((_RESULTS, _packed_results), (_MASKS, packed_rows)),
}
KINDS: Final = tuple(_PARTS)
_ALL_RUNS = 0, 2**63 - 1


def renew(connection: Connection, run_ids: Iterable[int]) -> None:
    """Write the seals that these runs are under, of what stands there; for the transaction that changed them."""
    for blocks in stretches({run_id // TOGETHER for run_id in run_ids}, _AT_ONCE):
        span = blocks[0] * TOGETHER, (blocks[-1] + 1) * TOGETHER - 1
        for kind in KINDS:
            found = _digests(connection, kind, span)
            gone = [(name,) for block in blocks if (name := f"{kind}:{block}") not in found]
            driver(connection).executemany("DELETE FROM seal WHERE name = ?", gone)
            driver(connection).executemany("REPLACE INTO seal (name, sha256) VALUES (?, ?)", found.items())


def lacking(connection: Connection) -> bool:
    """Whether there are runs, and none of them has these seals."""
    known = f"SELECT 1 FROM seal WHERE name > '{KINDS[0]}:' AND name < '{KINDS[0]};'"  # noqa: S608 - our own words
    query = f"SELECT EXISTS (SELECT 1 FROM run) AND NOT EXISTS ({known})"  # noqa: S608
    return bool(driver(connection).execute(query).fetchone()[0])


def fit(connection: Connection, kinds: Collection[Shown]) -> bool:
    """Whether all rows of these kinds are as they were written, by these seals; not, where one is missing."""
    known = "SELECT name, sha256 FROM seal WHERE name > ? AND name < ?"
    return all(
        dict(driver(connection).execute(known, (f"{kind}:", f"{kind};"))) == _digests(connection, kind)
        for kind in kinds
    )


def _digests(connection: Connection, kind: Shown, span: tuple[int, int] = _ALL_RUNS) -> dict[str, str]:
    found: dict[str, Any] = {}
    for query, pack in _PARTS[kind]:
        rows = driver(connection).execute(query, span)
        for block, some in groupby(rows, key=lambda row: row[0] // TOGETHER):
            found.setdefault(f"{kind}:{block}", hashlib.sha256()).update(pack(some))
    return {name: digest.hexdigest() for name, digest in found.items()}

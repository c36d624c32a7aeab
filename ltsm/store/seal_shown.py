"""Seals over what is shown of many runs: their rows, and the numbers that tables are made of.

A seal holds parts of eight runs, `run=first digits of its SHA-256`; who writes a run writes that run's part alone.

A run's own seal covers every record and its masks' bits, of which a large store has gigabytes. Who shows how far runs
are, or a table, believes none of those and need not read them. Where one of these seals is missing or does not fit,
the runs' own decide.
"""

from __future__ import annotations

import hashlib
from itertools import groupby
from struct import Struct
from typing import TYPE_CHECKING, Final, Literal

from ltsm.store import models
from ltsm.store.digests import driver, packed_rows, rows_of, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    Pack = Callable[[Sequence[object]], bytes]

Shown = Literal["runs", "results"]
"""The runs' rows; what the view `result` has of those that have ended, with the masks that they ended with."""
TOGETHER: Final = 8
"""So many runs share a row: one row a run would make the table of seals twice as long."""
DIGITS: Final = 16
"""Of a run's SHA-256: of damage, one in 2⁶⁴ goes unnoticed."""
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


def _packed_row(row: Sequence[object]) -> bytes:
    return packed_rows((row,))


def _packed_result(row: Sequence[object]) -> bytes:
    return _RESULT.pack(*row)


_PARTS: dict[Shown, tuple[tuple[str, Pack], ...]] = {
    "runs": ((rows_of(models.run, "id", "id"), _packed_row),),
    "results": ((_RESULTS, _packed_result), (_MASKS, _packed_row)),
}
KINDS: Final = tuple(_PARTS)
_ALL_RUNS = 0, 2**63 - 1


def renew(connection: Connection, run_ids: Iterable[int]) -> None:
    """Write these runs' parts of their seals, of what stands there; for the transaction that changed them.

    A neighbour's part stays as it was written, so that damage that came to its rows since is not sealed with them.
    """
    for some in stretches(run_ids, _AT_ONCE):
        for kind in KINDS:
            found = _parts(connection, kind, (some[0], some[-1]))
            for block, changed in groupby(some, key=_block):
                _change(connection, kind, block, {run_id: found.get(run_id, "") for run_id in changed})


def lacking(connection: Connection) -> bool:
    """Whether there is a run that has no part of these seals: an older ltsm wrote none, or none for each run."""
    written = "total(length(sha256) - length(replace(sha256, '=', '')))"
    known = f"SELECT {written} FROM seal WHERE name > '{KINDS[0]}:' AND name < '{KINDS[0]};'"  # noqa: S608 - our own words
    query = f"SELECT (SELECT count(*) FROM run) <> ({known})"  # noqa: S608
    return bool(driver(connection).execute(query).fetchone()[0])


def fit(connection: Connection, kinds: Collection[Shown]) -> bool:
    """Whether all rows of these kinds are as they were written, by these seals; not, where one is missing."""
    known = "SELECT name, sha256 FROM seal WHERE name > ? AND name < ?"
    return all(
        dict(driver(connection).execute(known, (f"{kind}:", f"{kind};"))) == _seals(connection, kind)
        for kind in kinds
    )


def _seals(connection: Connection, kind: Shown) -> dict[str, str]:
    parts = sorted(_parts(connection, kind, _ALL_RUNS).items())
    return {
        f"{kind}:{block}": _joined(some) for block, some in groupby(parts, key=lambda part: _block(part[0]))
    }


def _change(connection: Connection, kind: Shown, block: int, changed: Mapping[int, str]) -> None:
    """Write some runs' parts of one seal, or none for a run that has nothing any more."""
    name = f"{kind}:{block}"
    known = driver(connection).execute("SELECT sha256 FROM seal WHERE name = ?", (name,)).fetchone()
    # One of the form that the eight had in common has no part, and does not fit until all are written.
    written = dict(part.partition("=")[::2] for part in (known[0].split() if known else ()))
    ours = range(block * TOGETHER, (block + 1) * TOGETHER)
    parts = [(i, part) for i in ours if (part := changed.get(i, written.get(str(i), "")))]
    if parts:
        row = name, _joined(parts)
        driver(connection).execute("REPLACE INTO seal (name, sha256) VALUES (?, ?)", row)
    elif known:
        driver(connection).execute("DELETE FROM seal WHERE name = ?", (name,))


def _block(run_id: int) -> int:
    return run_id // TOGETHER


def _joined(parts: Iterable[tuple[int, str]]) -> str:
    return " ".join([f"{run_id}={part}" for run_id, part in parts])


def _parts(connection: Connection, kind: Shown, span: tuple[int, int]) -> dict[int, str]:
    """A digest of each run between these two, chained row by row."""
    found: dict[int, bytes] = {}
    for query, pack in _PARTS[kind]:
        for row in driver(connection).execute(query, span):
            found[row[0]] = hashlib.sha256(found.get(row[0], b"") + pack(row)).digest()
    return {run_id: digest[: DIGITS // 2].hex() for run_id, digest in found.items()}

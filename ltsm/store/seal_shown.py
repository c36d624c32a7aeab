"""Seals over what is shown of many runs: their rows, and the numbers that tables are made of.

A seal holds parts of eight runs, `run=first digits of its SHA-256`; who writes a run writes that run's part alone.

A run's own seal covers every record and its masks' bits, of which a large store has gigabytes. Who shows how far runs
are, or a table, believes none of those and need not read them. Where one of these seals is missing or does not fit,
the runs' own decide.
"""

from __future__ import annotations

import hashlib
import marshal
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal

from ltsm.store import models
from ltsm.store.digests import driver, rows_of, stretches
from ltsm.store.values import MaskRow, ResultRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    Take = Mapping[str, Callable[[Sequence[Any]], object]]

Shown = Literal["runs", "results"]
"""The runs' rows; what the view `result` has of those that have ended, with the masks that they ended with."""
TOGETHER: Final = 8
"""So many runs share a row: one row a run would make the table of seals twice as long."""
DIGITS: Final = 16
"""Of a run's SHA-256: of damage, one in 2⁶⁴ goes unnoticed."""
_AT_ONCE = 200
_RESULTS = f"""SELECT {", ".join(ResultRow._fields)}
               FROM result WHERE run_id BETWEEN ? AND ? ORDER BY run_id"""  # noqa: S608 - our own words
_OF_MASKS = ({"seed": "run.seed", "bits": "x''"}.get(name, f"mask.{name}") for name in MaskRow._fields)
_MASKS = f"""SELECT {", ".join(_OF_MASKS)} FROM mask JOIN run ON run.id = run_id
             WHERE selected AND run_id BETWEEN ? AND ? ORDER BY run_id, amount"""  # noqa: S608 - our own words
_PARTS: dict[Shown, dict[str, str]] = {
    "runs": {"run": rows_of(models.run, "id", "id")},
    "results": {"result": _RESULTS, "mask": _MASKS},
}
KINDS: Final = tuple(_PARTS)
_ALL_RUNS = 0, 2**63 - 1
NOBODY: Take = {}


def renew(connection: Connection, run_ids: Iterable[int]) -> None:
    """Write these runs' parts of their seals, of what stands there; for the transaction that changed them.

    A neighbour's part stays as it was written, so that damage that came to its rows since is not sealed with them.
    """
    for some in stretches(run_ids, _AT_ONCE):
        for kind in KINDS:
            found = _parts(connection, kind, (some[0], some[-1]))
            for block, changed in groupby(some, key=lambda run_id: run_id // TOGETHER):
                _change(connection, kind, block, {run_id: found.get(run_id, "") for run_id in changed})


def lacking(connection: Connection) -> bool:
    """Whether there is a run that has no part of these seals: an older ltsm wrote none, or none for each run."""
    written = "total(length(sha256) - length(replace(sha256, '=', '')))"
    known = f"SELECT {written} FROM seal WHERE name > '{KINDS[0]}:' AND name < '{KINDS[0]};'"  # noqa: S608 - our own words
    query = f"SELECT (SELECT count(*) FROM run) <> ({known})"  # noqa: S608
    return bool(driver(connection).execute(query).fetchone()[0])


def fit(connection: Connection, kinds: Collection[Shown], take: Take = NOBODY) -> bool:
    """Whether all rows of these kinds are as they were written, by these seals; not, where one is missing.

    `take` is given each row of a part as it is read: a run's columns, a `ResultRow`'s or a `MaskRow`'s values.
    """
    known = "SELECT name, sha256 FROM seal WHERE name > ? AND name < ?"
    return all(
        dict(driver(connection).execute(known, (f"{kind}:", f"{kind};"))) == _seals(connection, kind, take)
        for kind in kinds
    )


def _seals(connection: Connection, kind: Shown, take: Take) -> dict[str, str]:
    parts = sorted(_parts(connection, kind, _ALL_RUNS, take).items())
    blocks = groupby(parts, key=lambda part: part[0] // TOGETHER)
    return {f"{kind}:{block}": _joined(some) for block, some in blocks}


def _change(connection: Connection, kind: Shown, block: int, changed: Mapping[int, str]) -> None:
    """Write some runs' parts of one seal, or none for a run that has nothing any more."""
    name = f"{kind}:{block}"
    known = driver(connection).execute("SELECT sha256 FROM seal WHERE name = ?", (name,)).fetchone()
    # One of the form that the eight had in common has no part, and does not fit until all are written.
    written = dict(part.partition("=")[::2] for part in (str(known[0]).split() if known else ()))
    ours = range(block * TOGETHER, (block + 1) * TOGETHER)
    parts = [(i, part) for i in ours if (part := changed.get(i, written.get(str(i), "")))]
    if parts:
        row = name, _joined(parts)
        driver(connection).execute("REPLACE INTO seal (name, sha256) VALUES (?, ?)", row)
    elif known:
        driver(connection).execute("DELETE FROM seal WHERE name = ?", (name,))


def _joined(parts: Iterable[tuple[int, str]]) -> str:
    return " ".join([f"{run_id}={part}" for run_id, part in parts])


def _parts(connection: Connection, kind: Shown, span: tuple[int, int], take: Take = NOBODY) -> dict[int, str]:
    """A digest of each run between these two, chained row by row."""
    found: dict[int, bytes] = {}
    for part, query in _PARTS[kind].items():
        taken = take.get(part, bool)  # which changes nothing
        for row in driver(connection).execute(query, span):
            # A fifth of the time of `repr`. Of this version every Python makes the same bytes; would one not, no seal
            # of these fitted, and the runs' own would decide.
            packed = marshal.dumps(row, 2)
            found[row[0]] = hashlib.sha256(found.get(row[0], b"") + packed).digest()
            taken(row)
    return {run_id: digest[: DIGITS // 2].hex() for run_id, digest in found.items()}

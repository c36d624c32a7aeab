"""Records as CSV, JSON and Parquet, piece by piece: however many there are, so many are in memory at one time."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import datetime
from itertools import islice
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, get_args, get_origin, get_type_hints

from ltsm.errors import LtsmError
from ltsm.notation import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ltsm.report.table import Row, Table

SCHEMA, VERSION = "ltsm-export", 1
"""Of the JSON document; the version goes up where a reader of the one before would misread it, not for a new column."""
AT_ONCE: Final = 5_000


def as_csv(kind: type[NamedTuple], records: Iterable[NamedTuple]) -> Iterator[str]:
    """A line of names, then a line a record.

    A field is empty where there is nothing; sizes are `200,30`, times ISO 8601, bits hexadecimal.
    """
    yield lines([kind._fields])
    for some in _some(records):
        yield lines(map(_cell, record) for record in some)


def as_json(what: str, kind: type[NamedTuple], records: Iterable[NamedTuple]) -> Iterator[str]:
    """One document: its schema and version, the columns, and the records as objects, one a line; no NaN in it."""
    head = {"schema": SCHEMA, "version": VERSION, "what": what, "columns": kind._fields}
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "records": ['
    between = "\n"
    for some in _some(records):
        yield between + ",\n".join(_text(record) for record in some)
        between = ",\n"
    yield "\n]}\n"


def table_as_csv(table: Table, *, against_paper: bool) -> str:
    """A study's table in full precision: label, category, n, seeds left out, then mean and sd of each column.

    With `against_paper` also the published mean and sd and p of Welch's test, per column. A field is empty where there
    is no number.
    """
    parts = ("mean", "sd", "published_mean", "published_sd", "welch_p")[: 5 if against_paper else 2]
    columns = [f"{column.name}_{part}" for column in table.columns for part in parts]
    head = ["label", "category", "n", "diverged_seeds", *columns]
    return lines([head, *(_row(row, len(parts)) for row in table.rows)])


def _row(row: Row, parts: int) -> list[Any]:
    line: list[Any] = [row.label, row.category or "", row.n, " ".join(map(str, row.diverged))]
    for cell in row.cells:
        theirs = (cell.theirs.mean, cell.theirs.sd) if cell.theirs else (None, None)
        line += map(_or_none, (cell.ours.mean, cell.ours.sd, *theirs, cell.p)[:parts])
    return line


def values(record: NamedTuple) -> dict[str, Any]:
    """A record as plain JSON values by name."""
    return {name: plain(_written(value)) for name, value in record._asdict().items()}


def to_parquet(kind: type[NamedTuple], records: Iterable[NamedTuple], file: BinaryIO) -> None:
    """A Parquet file with a column of one type for each of the names; null where there is nothing.

    Raises:
        LtsmError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise LtsmError(
            "Parquet needs pyarrow.", "pip install 'pyarrow>=16', or --format csv or json"
        ) from error
    types = {
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
        bool: pa.bool_(),
        bytes: pa.binary(),
        tuple: pa.list_(pa.int64()),
        datetime: pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(name, types[_type(hint)]) for name, hint in get_type_hints(kind).items()])
    with parquet.ParquetWriter(file, schema) as writer:
        for some in _some(records):
            columns = [[_or_none(value) for value in column] for column in zip(*some, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _some(records: Iterable[NamedTuple]) -> Iterator[list[NamedTuple]]:
    left = iter(records)
    while some := list(islice(left, AT_ONCE)):
        yield some


def lines(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return _or_none(_written(value))


def _text(record: NamedTuple) -> str:
    return json.dumps(values(record), ensure_ascii=False, allow_nan=False)


def _written(value: Any) -> Any:
    """Bits and times as text."""
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else value


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _type(hint: Any) -> Any:
    """The type of a column: `int` of `int | None`, `tuple` of `tuple[int, ...]`."""
    alone = next(t for t in get_args(hint) if t is not NoneType) if isinstance(hint, UnionType) else hint
    return get_origin(alone) or alone

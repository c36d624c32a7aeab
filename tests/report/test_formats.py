"""Records as CSV, JSON and Parquet: the same values in each, written piece by piece."""

import csv
import io
import json
import math
import sys
import tracemalloc
from itertools import islice

import made_up
import pyarrow.parquet
import pytest

from ltsm.errors import LtsmError
from ltsm.report import formats, records
from ltsm.report.choice import Choice, chosen
from ltsm.store import schema

TAKEN = {
    "runs": (records.RunRecord, records.runs),
    "curves": (records.CurveRecord, records.curves),
    "masks": (records.MaskRecord, lambda *of: records.masks(*of, bits=True)),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two seeds, one of which has a run that diverged and one that waits."""
    path = made_up.evaluation(
        tmp_path_factory.mktemp("formats") / "ltsm.db",
        seeds=(0, 1),
        states={("hyperop (50, 5)", 1): "diverged", ("hyperop (50, 15)", 1): "pending"},
    )
    opened = schema.open_for_reading(path)
    yield opened
    opened.close()


@pytest.fixture(params=TAKEN)
def taken(request, store):
    """What is taken, the kind of its records, and these."""
    kind, make = TAKEN[request.param]
    return request.param, kind, list(make(store, chosen(store, Choice())))


def nothing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_text(value):
    """A value as CSV has it."""
    if nothing(value):
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def test_csv_has_a_line_a_record_and_nothing_where_there_is_nothing(taken):
    _, kind, found = taken
    rows = list(csv.reader(io.StringIO("".join(formats.as_csv(kind, found)))))
    assert rows[0] == list(kind._fields)
    assert rows[1:] == [[as_text(value) for value in record] for record in found]
    assert len(found) > 20


def test_json_is_one_document_with_null_where_there_is_nothing(taken):
    what, kind, found = taken
    document = json.loads("".join(formats.as_json(what, kind, found)))
    assert (document["schema"], document["version"], document["what"]) == ("ltsm-export", 1, what)
    assert document["columns"] == list(kind._fields)
    assert len(document["records"]) == len(found)
    for read, record in zip(document["records"], found, strict=True):
        for name, value in record._asdict().items():
            assert (read[name] is None) == nothing(value)
            if isinstance(value, float | int) and not nothing(value):
                assert read[name] == value  # in full precision


def test_parquet_has_a_type_a_column_and_the_same_values(taken, tmp_path):
    _, kind, found = taken
    with (tmp_path / "it.parquet").open("wb") as file:
        formats.to_parquet(kind, found, file)
    table = pyarrow.parquet.read_table(tmp_path / "it.parquet")
    assert table.column_names == list(kind._fields)
    for name in kind._fields:
        for read, record in zip(table[name].to_pylist(), found, strict=True):
            value = getattr(record, name)
            expected = list(value) if isinstance(value, tuple) else value
            assert read == (None if nothing(value) else expected)


def test_nothing_at_all_is_a_head_alone(tmp_path):
    """The columns and their types are there."""
    kind = records.CurveRecord
    assert list(csv.reader(io.StringIO("".join(formats.as_csv(kind, []))))) == [list(kind._fields)]
    assert json.loads("".join(formats.as_json("curves", kind, [])))["records"] == []
    with (tmp_path / "it.parquet").open("wb") as file:
        formats.to_parquet(kind, [], file)
    assert pyarrow.parquet.read_table(tmp_path / "it.parquet").column_names == list(kind._fields)


def test_without_pyarrow_parquet_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LtsmError, match="Parquet needs pyarrow") as caught:
        formats.to_parquet(records.CurveRecord, [], io.BytesIO())
    assert "'pyarrow>=16'" in caught.value.hint


def endless():
    n = 0
    while True:
        yield records.CurveRecord(n, 1, "paper", "ticket", 0, 100 * n, 0.5, 0.25, 0.9, *[math.nan] * 6)
        n += 1


def test_what_is_written_is_not_kept(tmp_path):
    """Ten times the records take no more memory: they are an iterator's, and are written as they come."""

    def peak(count, write):
        tracemalloc.start()
        write(islice(endless(), count))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    def as_text(make):
        def write(found):
            with (tmp_path / "it").open("w") as file:
                file.writelines(make(found))

        return write

    kind = records.CurveRecord
    for write in (
        as_text(lambda found: formats.as_csv(kind, found)),
        as_text(lambda found: formats.as_json("curves", kind, found)),
    ):
        few = peak(2 * formats.AT_ONCE, write)
        assert peak(20 * formats.AT_ONCE, write) < 1.5 * few

"""The seals over what a look shows: as quick as the numbers are few, and no look believes a changed one."""

# ruff: noqa: S608 - the statements are the tests' own

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise

import made_up
import pytest

from ltsm.errors import StoreError
from ltsm.report import evaluation
from ltsm.store import drop, read, schema, seal, seal_shown, write

KINDS = seal_shown.KINDS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "ltsm.db"
    made_up.evaluation(path, seeds=(0, 1, 2))
    return path


@pytest.fixture
def path(made, tmp_path):
    return shutil.copy(made, tmp_path / "ltsm.db")


def by_hand(path, *statements):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA ignore_check_constraints=ON")
        for statement in statements:
            assert database.execute(statement).rowcount > 0, statement


def unbroken(path, *kinds):
    store = schema.open_for_reading(path, unchecked=True)
    with store.engine.connect() as connection:
        found = seal.unbroken(connection, kinds)
    store.close()
    return found


DONE = "(SELECT max(id) FROM run WHERE state = 'done')"
SEARCH = "(SELECT max(run_id) FROM mask WHERE selected)"
RUNS = {
    "a state": f"UPDATE run SET state = 'failed' WHERE id = {DONE}",
    "how far it is": f"UPDATE run SET iteration = iteration - 1 WHERE id = {DONE}",
    "a seed": f"UPDATE run SET seed = 99 WHERE id = {DONE}",
    "a size": f"UPDATE run SET relative_size = 0.123 WHERE id = {DONE}",
    "provenance": f"UPDATE run SET provenance = '{{}}' WHERE id = {DONE}",
    "a run gone": f"DELETE FROM run WHERE id = {DONE}",
    "a recipe's name": "UPDATE recipe SET name = name || 'x'",
    "a protocol's settings": "UPDATE protocol SET settings = '{}'",
}
RESULTS = {
    "a final loss": f"UPDATE metric SET val_loss = 0.1 WHERE run_id = {DONE} AND iteration = (SELECT max(iteration) FROM metric WHERE run_id = {DONE})",
    "no final loss": f"UPDATE metric SET val_loss = NULL WHERE run_id = {DONE}",
    "an accuracy": f"UPDATE metric SET val_accuracy = 0.1 WHERE run_id = {DONE}",
    "records gone": f"DELETE FROM metric WHERE run_id = {DONE}",
    "a mask's accuracy": f"UPDATE mask SET val_accuracy = 0.1 WHERE run_id = {SEARCH} AND selected",
    "a mask's amount": f"UPDATE mask SET amount = 0.123 WHERE run_id = {SEARCH} AND selected",
    "another mask": f"UPDATE mask SET selected = NOT selected WHERE run_id = {SEARCH}",
    "a mask gone": f"DELETE FROM mask WHERE run_id = {SEARCH} AND selected",
}
UNSEEN = {
    "another mask's accuracy": f"UPDATE mask SET val_accuracy = 0.1 WHERE run_id = {SEARCH} AND NOT selected",
    "a mask's bits": f"UPDATE mask SET bits = zeroblob(length(bits)) WHERE run_id = {SEARCH}",
}


@pytest.mark.parametrize("change", {**RUNS, **RESULTS}.values(), ids={**RUNS, **RESULTS})
def test_no_look_believes_a_changed_number(path, change):
    """Whatever of it is shown. Taken out: a column from a seal's query; the change was read as a result."""
    assert unbroken(path, *KINDS)
    by_hand(path, change)
    assert not unbroken(path, *KINDS)
    with pytest.raises(StoreError, match="is damaged"):
        schema.open_for_reading(path, shown=KINDS)


@pytest.mark.parametrize("change", {**RUNS, **RESULTS}.values(), ids={**RUNS, **RESULTS})
def test_no_table_is_made_of_a_changed_number(path, change):
    """A report's numbers are checked as they are read. Taken out: `refuse_damage` in `load`; the change was a result."""
    by_hand(path, change)
    with (
        pytest.raises(StoreError, match="is damaged"),
        closing(schema.open_for_reading(path, shown=schema.PLAN)) as store,
    ):
        evaluation.load(store, checked=False)


def test_what_is_checked_as_it_is_read_is_what_is_read_otherwise(path):
    with closing(schema.open_for_reading(path)) as store:
        runs, results, masks = read.shown(store, 1)
        assert sorted(runs) == sorted(read.runs(store, 1, files=False))
        assert sorted(map(repr, results)) == sorted(map(repr, read.results(store, 1)))  # NaN is no NaN
        assert sorted(map(repr, masks)) == sorted(map(repr, read.masks(store, 1, selected=True)))
        assert read.shown(store, 2) == ([], [], [])
        checked, unchecked = evaluation.load(store), evaluation.load(store, checked=False)
    assert repr(unchecked) == repr(checked)


@pytest.mark.parametrize("change", {**RESULTS, **UNSEEN}.values(), ids={**RESULTS, **UNSEEN})
def test_what_is_not_shown_is_not_read_but_named_by_a_check(path, change):
    """`status` shows no loss and no mask: it need not read them, of which a store may have gigabytes."""
    by_hand(path, change)
    store = schema.open_for_reading(path, shown=("runs",))
    assert any("are not as they were written" in fault for fault in read.faults(store))
    store.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change", ["DELETE FROM seal", "UPDATE seal SET sha256 = '0'"], ids=["gone", "another"]
)
def test_without_them_the_runs_own_seals_decide(path, kind, change):
    """An older ltsm wrote none, or changed a run since: nothing is damaged for that."""
    by_hand(path, f"{change} WHERE name = (SELECT max(name) FROM seal WHERE name LIKE '{kind}:%')")
    assert not unbroken(path, kind)
    schema.open_for_reading(path, shown=(kind,)).close()
    by_hand(path, RUNS["a state"])
    with pytest.raises(StoreError, match="is damaged"):
        schema.open_for_reading(path, shown=(kind,))


def test_an_index_that_leaves_a_run_out_is_noticed(path):
    """Rows are looked up by it: a seal over the rows alone says nothing of it. Taken out: `_is_whole`."""
    with closing(sqlite3.connect(path)) as database:
        size = database.execute("PRAGMA page_size").fetchone()[0]
        root = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'run' AND type = 'index'"
        ).fetchone()[0]
    content = bytearray(path.read_bytes())
    cells = (root - 1) * size + 3
    assert content[cells : cells + 2] != b"\0\0"
    content[cells + 1] -= 1
    path.write_bytes(content)
    assert not unbroken(path, "runs")


def test_a_store_of_an_older_ltsm_has_them_once_somebody_writes(path):
    """Taken out: `seal.complete`; `status` read every mask of such a store for ever."""
    by_hand(path, "DELETE FROM seal WHERE name LIKE 'r%'")
    assert not unbroken(path, "runs")
    schema.open_for_writing(path).close()
    assert unbroken(path, *KINDS)
    store = schema.open_for_reading(path)
    assert read.faults(store) == []
    store.close()


def test_a_store_whose_runs_share_a_digest_gets_a_part_for_each(path):
    """An unreleased ltsm wrote one digest over eight runs. Taken out: the count of parts in `seal_shown.lacking`."""
    by_hand(path, "UPDATE seal SET sha256 = printf('%064d', 0) WHERE name LIKE 'r%'")
    assert not unbroken(path, "runs")
    schema.open_for_reading(path, shown=KINDS).close()
    schema.open_for_writing(path).close()
    assert unbroken(path, *KINDS)


def neighbours(path):
    """Two runs under one seal, both done."""
    with closing(sqlite3.connect(path)) as database:
        done = [i for (i,) in database.execute("SELECT id FROM run WHERE state = 'done' ORDER BY id")]
    return next(pair for pair in pairwise(done) if len({i // seal_shown.TOGETHER for i in pair}) == 1)


@pytest.mark.parametrize(
    ("kind", "change"),
    {
        "runs": "UPDATE run SET seed = 99 WHERE id = {0}",
        "results": "UPDATE metric SET val_loss = 0.1 WHERE run_id = {0}",
    }.items(),
)
def test_damage_to_a_run_is_not_sealed_with_what_is_written_of_its_neighbour(path, kind, change):
    """It came to the disk while a writer was at work, who had checked the store before.

    Taken out: the parts of runs that nobody wrote, as one digest over eight was taken anew; it was read as a result.
    """
    damaged, written = neighbours(path)
    store = schema.open_for_writing(path)
    by_hand(path, change.format(damaged))
    with store.engine.begin() as connection:
        seal.seal_runs(connection, [written])
    store.close()
    assert not unbroken(path, kind)
    with pytest.raises(StoreError, match="is damaged"):
        schema.open_for_reading(path, shown=KINDS)


def test_runs_that_change_together_are_sealed_each_with_its_neighbours(path):
    """However far apart they stand."""
    store = schema.open_for_writing(path)
    first, *_, last = (run.id for run in read.runs(store))
    assert first // seal_shown.TOGETHER < last // seal_shown.TOGETHER
    write.reset(store, [first, last], datetime(2026, 1, 2, tzinfo=UTC))
    with store.engine.connect() as connection:
        assert seal_shown.fit(connection, KINDS)
    store.close()


def test_a_seal_that_is_nonsense_stops_no_writer(path):
    """Taken out: what stands beside a seal's own parts is left out; a `ValueError` ended the sweep."""
    _, written = neighbours(path)
    store = schema.open_for_writing(path)
    by_hand(path, "UPDATE seal SET sha256 = '=4 x=y = 1==2 ' || sha256 WHERE name LIKE 'r%'")
    with store.engine.begin() as connection:
        seal.seal_runs(connection, [written])
    store.close()
    schema.open_for_reading(path, shown=KINDS).close()


def test_runs_that_go_leave_no_seal_of_theirs(path):
    store = schema.open_for_writing(path)
    gone = [run.id for run in read.runs(store) if run.seed > 0]
    drop.drop_runs(store, gone)
    with store.engine.connect() as connection:
        assert seal.unbroken(connection, KINDS)
        names = connection.exec_driver_sql("SELECT name FROM seal WHERE name LIKE 'r%'").scalars().all()
    left = {run.id // seal_shown.TOGETHER for run in read.runs(store)}
    assert set(names) == {f"{kind}:{block}" for kind in KINDS for block in left}
    store.close()

"""Runs that no command leaves so, and what a sweep makes of them."""

from datetime import timedelta

import made_up
import pytest
from sqlalchemy import text

from ltsm.store import mend, read, schema, seal, write
from ltsm.studies import paper

LATER = made_up.NOW + timedelta(hours=1)
HYPEROP = paper.hyperop((100, 15))


@pytest.fixture
def store(tmp_path):
    """One seed of the paper's study, done."""
    made_up.evaluation(tmp_path / "ltsm.db", seeds=(0,))
    opened = schema.open_for_writing(tmp_path / "ltsm.db")
    yield opened
    opened.close()


def changed(store, name, *statements):
    """That run, after somebody did this by hand."""
    run_id = named(store, name).id
    with store.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), {"id": run_id})
        seal.seal_all(connection)
    return run_id


def named(store, name):
    return next(run for run in read.runs(store) if run.recipe == name)


@pytest.mark.parametrize("name", [HYPEROP, paper.SUPERMASK])
def test_a_run_with_all_its_records_has_ended(store, name):
    before = named(store, name)
    run_id = changed(store, name, "UPDATE run SET state = 'running', error = 'killed' WHERE id = :id")
    assert mend.finished(store) == [run_id]
    mend.mend(store, LATER)
    after = named(store, name)
    assert (after.state, after.error) == ("done", None)
    assert after.files == before.files
    assert mend.finished(store) == mend.without_state(store) == read.faults(store) == []


DIVERGED = {
    "it is shorter than it was to be": "UPDATE run SET iteration = iteration - 100 WHERE id = :id",
    "its last loss is no number": """UPDATE metric SET val_loss = NULL WHERE run_id = :id
        AND iteration = (SELECT iteration FROM run WHERE id = :id)""",
}


@pytest.mark.parametrize("change", DIVERGED.values(), ids=DIVERGED)
def test_one_that_diverged_is_that(store, change):
    changed(store, HYPEROP, change, "UPDATE run SET state = 'interrupted' WHERE id = :id")
    mend.mend(store, LATER)
    after = named(store, HYPEROP)
    assert (after.state, after.error) == ("diverged", f"diverged by iteration {after.iteration}")


def test_one_with_nothing_to_go_on_from_begins_again_and_no_other(store):
    """Taken out: the runs that are handed to `write.reset`; a `TypeError`, or all others' records were gone."""
    others = [run for run in read.runs(store) if run.recipe != HYPEROP]
    run_id = changed(
        store, HYPEROP, "UPDATE run SET state = 'interrupted', finished_at = NULL WHERE id = :id"
    )
    assert mend.without_state(store) == [run_id]
    mend.mend(store, LATER)
    after = named(store, HYPEROP)
    assert (after.state, after.iteration, after.files, after.updated_at) == ("pending", 0, (), LATER)
    assert read.metrics(store, [run_id]) == {}
    assert [run for run in read.runs(store) if run.recipe != HYPEROP] == others


def test_runs_that_a_dead_command_left_running_are_interrupted_now(store):
    """Taken out: the moment, by which those who look see that something changed."""
    run_id = changed(store, HYPEROP, "UPDATE run SET state = 'running', finished_at = NULL WHERE id = :id")
    write.mark_interrupted(store, LATER)
    (after,) = read.runs(store, ids=[run_id], alive=True)
    assert (after.state, after.updated_at) == ("interrupted", LATER)
    assert len([run for run in read.runs(store) if run.updated_at == LATER]) == 1
    assert read.faults(store) == []

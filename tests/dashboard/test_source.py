"""The door to the store: what a look gives, and what goes wrong."""

import shutil
import subprocess
import sys
from datetime import timedelta

import made_up
import pytest

from ltsm.dashboard.moment import Choice
from ltsm.dashboard.source import Source
from ltsm.errors import LtsmError, StoreError
from ltsm.protocol import PAPER
from ltsm.store import claim, read, schema, write
from ltsm.store.values import Metric, Segment
from ltsm.studies import paper


@pytest.fixture
def path(tmp_path, underway):
    shutil.copytree(underway.parent, tmp_path / "results")
    return tmp_path / "results" / "ltsm.db"


@pytest.fixture
def source(path):
    source = Source(path)
    yield source
    source.close()


def test_a_second_look_at_an_unchanged_store_gives_nothing(source):
    assert source.look() is not None
    assert source.look() is None


def test_a_look_has_everything_the_overview_needs(source):
    moment = source.look()
    assert len(moment.runs) == 42
    assert moment.protocol.fingerprint == PAPER.fingerprint
    assert moment.protocol.seeds == (0, 1, 2)
    searches = {run.id: run.seed for run in moment.runs if run.recipe == "supermask"}
    assert {searches[run_id] for run_id in moment.masks} == {0, 1, 2}
    assert (moment.asked, moment.study.name, moment.stored) == ("paper", "paper", {1: ("paper",)})
    assert moment.holder is None
    begun = {run.id: run.iteration for run in moment.runs if run.iteration}
    assert {one.run.id: one.last.iteration for one in source.listed(moment) if one.run.iteration} == begun
    going = {run.id: run.iteration for run in moment.runs if run.state in {"interrupted", "failed"}}
    assert {run_id: last.iteration for run_id, last in moment.latest.items()} == going


def test_a_claim_that_begins_and_ends_is_seen(source, path):
    assert source.look().holder is None
    with claim.claim(path, "ltsm sweep", made_up.NOW):
        moment = source.look()
        assert moment.holder.command == "ltsm sweep"
        (running,) = (run for run in moment.runs if run.state == "running")
        assert moment.latest[running.id].iteration == running.iteration
    assert {run.state for run in source.look().runs} == {
        "done",
        "diverged",
        "failed",
        "interrupted",
        "pending",
    }


def test_only_the_records_of_changed_runs_are_read_again(source, path, monkeypatch):
    moment = source.look()
    source.records(moment.runs)
    asked = []
    monkeypatch.setattr(read, "metrics", lambda _, ids: asked.extend(ids) or {})
    source.records(moment.runs)
    assert asked == []
    interrupted = next(run for run in moment.runs if run.state == "interrupted")
    segment = Segment(metrics=[Metric(3000, 1, 1, 1)], iteration=3000, state="running", seconds=1)
    store = schema.open_for_writing(path)
    write.record(store, interrupted.id, segment, made_up.NOW + timedelta(days=1))
    store.close()
    source.records(source.look().runs)
    assert asked == [interrupted.id]


def test_only_runs_that_changed_are_read_again(source, path, monkeypatch):
    before = {run.id: run for run in source.look().runs}
    asked = []
    reading = read.runs
    monkeypatch.setattr(
        read,
        "runs",
        lambda *what, **how: asked.append(how["ids"]) or reading(*what, **how),
    )
    interrupted = next(run for run in before.values() if run.state == "interrupted")
    segment = Segment(metrics=[Metric(3000, 1, 1, 1)], iteration=3000, state="interrupted", seconds=1)
    store = schema.open_for_writing(path)
    write.record(store, interrupted.id, segment, made_up.NOW + timedelta(days=1))
    store.close()
    after = {run.id: run for run in source.look().runs}
    assert asked == [[interrupted.id]]
    assert [run_id for run_id, run in after.items() if run is not before[run_id]] == [interrupted.id]


def test_a_replaced_store_is_read_anew(source, path, tmp_path):
    source.look()
    other = made_up.evaluation(tmp_path / "other.db", seeds=(7,))
    other.replace(path)
    assert {run.seed for run in source.look().runs} == {7}


def test_a_protocol_may_be_chosen_and_its_absence_is_a_sentence(source, path):
    store = schema.open_for_writing(path)
    later = made_up.NOW + timedelta(days=1)
    second = write.add_protocol(store, PAPER.changed(lr=0.5), later)
    made_up.add_runs(store, second, paper.study(PAPER.changed(lr=0.5)), (0,))
    (first, *_) = read.runs(store, second)
    write.stop(store, first.id, "failed", "", later)
    store.close()
    assert source.look().protocol.lr == 0.5
    source.choice = Choice("paper")
    assert source.look().protocol.lr == PAPER.lr
    source.choice = Choice("nonsense")
    with pytest.raises(StoreError, match="no protocol"):
        source.look()


def _missing(path):
    path.unlink()


def _empty(path):
    path.write_bytes(b"")


def _corrupt(path):
    path.write_bytes(path.read_bytes()[:5000] + b"\xaa" * 50_000)


def _foreign(path):
    path.write_bytes(b"\xff\xd8 a photograph")


def _newer(path):
    store = schema.open_for_writing(path)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()


FAULTS = {
    _missing: "there is no store",
    _empty: "is empty",
    _corrupt: "cannot (be )?read",
    _foreign: "is no ltsm store",
    _newer: "newer than this ltsm",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("opened", [False, True])
def test_every_fault_is_a_sentence_and_mending_it_is_seen(source, path, tmp_path, fault, opened):
    kept = shutil.copy(path, tmp_path / "kept.db")
    if opened:
        source.look()
    fault(path)
    for _ in range(2):
        with pytest.raises(StoreError, match=FAULTS[fault]) as problem:
            source.look()
        assert problem.value.hint
    shutil.copy(kept, tmp_path / "again.db").replace(path)
    for leftover in ("-wal", "-shm"):
        path.with_name(path.name + leftover).unlink(missing_ok=True)
    assert len(source.look().runs) == 42


def test_an_older_store_names_the_command_that_upgrades_it(source, monkeypatch):
    monkeypatch.setattr(schema, "VERSIONS", (*schema.VERSIONS, "later"))
    monkeypatch.setattr(schema, "HEAD", "later")
    with pytest.raises(LtsmError) as problem:
        source.look()
    assert problem.value.hint.startswith("ltsm db upgrade --store ")


def test_looking_changes_nothing(source, path):
    before = {
        file.name: file.read_bytes() for file in path.parent.iterdir() if file.name in {path.name, "weights"}
    }
    moment = source.look()
    source.records(moment.runs)
    source.masks(moment, moment.runs)
    source.table(moment)
    source.close()
    assert {name: (path.parent / name).read_bytes() for name in before} == before


def test_neither_torch_nor_what_computes_is_imported():
    code = (
        "import sys, ltsm.dashboard.app, ltsm.dashboard.source\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in {'torch', 'torchvision', 'sklearn', 'matplotlib'}"
        " or m.startswith(('ltsm.core', 'ltsm.steps'))]\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_first_paint_does_not_wait_for_sql():
    code = "import sys, ltsm.dashboard.app\nassert 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

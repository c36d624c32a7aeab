"""The store on real SQLite files."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from math import isnan, nan

import pytest

from ltsm.errors import StoreError
from ltsm.protocol import PAPER
from ltsm.store import artifacts, claim, read, schema, write
from ltsm.store.values import Artifact, MaskRow, Metric, RunSpec, Segment

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INITIAL = Artifact("weights/initial.safetensors", "00")


@pytest.fixture
def store(tmp_path):
    opened = schema.open_for_writing(tmp_path / "ltsm.db")
    yield opened
    opened.close()


def begin(store, seed=0, kind="initial", hidden=(200, 30), iterations=200):
    protocol_id = write.add_protocol(store, PAPER, NOW)
    spec = RunSpec(seed, kind, hidden, iterations)
    write.add_runs(store, protocol_id, [spec], NOW)
    run = read.find_run(store, protocol_id, spec)
    write.start(
        store,
        run.id,
        iterations=iterations,
        initial=INITIAL,
        parameters=163_340,
        relative_size=1.0,
        device="cpu",
        provenance={"torch": "x"},
        now=NOW,
    )
    return run.id, protocol_id, spec


def test_damage_that_a_seal_meets_is_a_sentence(store):
    """Seals are read through the driver itself, whose errors are not SQLAlchemy's."""
    run_id, _, _ = begin(store)
    write.record(store, run_id, segment(Metric(0, 1.0, 1.0, 0.1), iteration=100, state="running"), NOW)
    store.engine.dispose()
    with sqlite3.connect(store.path) as file:
        root, size = (
            file.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'metric'").fetchone()[0],
            4096,
        )
        assert file.execute("PRAGMA page_size").fetchone() == (size,)
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()
    with store.path.open("r+b") as content:
        content.seek((root - 1) * size)
        content.write(b"\xff" * size)
    with pytest.raises(StoreError, match="cannot write the store"):
        write.stop(store, run_id, "interrupted", None, NOW)


def segment(*metrics, iteration=200, state="done", **more):
    return Segment(metrics=metrics, iteration=iteration, state=state, seconds=1.5, **more)


def test_migrations_make_exactly_the_tables(store):
    """`alembic check`, from Python: no difference between models and migrations."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from ltsm.store.models import METADATA

    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    scripts = ScriptDirectory(str(schema.migrations_folder()))
    assert [s.revision for s in scripts.walk_revisions()][::-1] == list(schema.VERSIONS)


def test_a_recorded_segment_comes_back_with_null_for_nan(store):
    run_id, protocol_id, spec = begin(store)
    metrics = [Metric(0, nan, 2.3, 0.1), Metric(100, 0.5, 0.25, 0.9), Metric(200, nan, nan, 0.1)]
    write.record(store, run_id, segment(*metrics, final=Artifact("f", "11")), NOW)
    found = read.metrics(store, [run_id])[run_id]
    assert [m.val_loss for m in found[:2]] == [2.3, 0.25]
    assert isnan(found[2].val_loss)
    raw = sqlite3.connect(store.path).execute("SELECT val_loss FROM metric WHERE iteration = 200").fetchone()
    assert raw == (None,)
    run = read.find_run(store, protocol_id, spec)
    assert (run.state, run.best_iteration, run.seconds, run.final) == ("done", 100, 1.5, Artifact("f", "11"))
    assert run.started_at == NOW


def test_the_first_of_two_equal_minima_is_best(store):
    run_id, protocol_id, spec = begin(store)
    write.record(store, run_id, segment(Metric(0, nan, 0.5, 0), Metric(100, 1, 0.5, 0)), NOW)
    assert read.find_run(store, protocol_id, spec).best_iteration == 0


def test_a_segment_is_all_or_nothing(store):
    run_id, protocol_id, spec = begin(store)
    twice = segment(Metric(100, 1, 1, 1), Metric(100, 1, 1, 1), iteration=100, state="running")
    with pytest.raises(Exception, match="UNIQUE"):
        write.record(store, run_id, twice, NOW)
    assert read.metrics(store, [run_id]) == {}
    assert read.find_run(store, protocol_id, spec).iteration == 0


def test_a_running_run_without_a_writer_is_shown_as_interrupted(store):
    _, protocol_id, spec = begin(store)
    assert read.find_run(store, protocol_id, spec).state == "interrupted"
    with claim.claim(store.path, "sweep", NOW):
        assert read.find_run(store, protocol_id, spec).state == "running"


def test_reset_forgets_results_and_keeps_the_run(store):
    run_id, protocol_id, spec = begin(store, kind="baseline")
    write.record(store, run_id, segment(Metric(0, nan, 2.3, 0.1)), NOW)
    write.add_masks(store, run_id, [MaskRow(run_id, 0, 0.1, 0.5, (1, 2), 2.0, 0.4, True, b"\x01")], NOW)
    assert read.selected_mask(store, run_id).bits == b"\x01"
    write.reset(store, [run_id], NOW)
    run = read.find_run(store, protocol_id, spec)
    assert (run.state, run.initial, run.best_iteration) == ("pending", None, None)
    assert read.metrics(store, [run_id]) == {}
    assert read.masks(store, protocol_id) == []


def test_planning_twice_adds_nothing(store):
    _, protocol_id, spec = begin(store)
    write.add_runs(store, protocol_id, [spec], NOW)
    assert write.add_protocol(store, PAPER, NOW) == protocol_id
    assert len(read.runs(store)) == 1
    assert read.runs(store)[0].state == "interrupted"


def test_a_reader_cannot_write(store):
    begin(store)
    reader = schema.open_for_reading(store.path)
    with pytest.raises(StoreError, match="readonly"):
        write.add_protocol(reader, PAPER.changed(lr=0.5), NOW)
    reader.close()


def test_a_reader_makes_no_store(tmp_path):
    with pytest.raises(StoreError, match="no store"):
        schema.open_for_reading(tmp_path / "none" / "ltsm.db")
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused_untouched(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8" * 100)
    for opening in (schema.open_for_reading, schema.open_for_writing):
        with pytest.raises(StoreError, match="no ltsm store"):
            opening(path)
    assert path.read_bytes() == b"\xff\xd8" * 100


def test_another_programs_database_is_refused_untouched(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE song (id)")
    other.close()
    before = path.read_bytes()
    for opening in (schema.open_for_reading, schema.open_for_writing):
        with pytest.raises(StoreError, match="not one of ltsm's"):
            opening(path)
    assert path.read_bytes() == before


def test_a_newer_store_is_refused_untouched(store):
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    for opening in (schema.open_for_reading, schema.open_for_writing):
        with pytest.raises(StoreError, match="newer than this ltsm"):
            opening(store.path)
    assert not list(store.folder.glob("*before*"))


def test_a_damaged_store_is_refused(store):
    store.close()
    content = store.path.read_bytes()
    store.path.write_bytes(content[:1000] + b"\xaa" * 4000)
    with pytest.raises(StoreError):
        schema.open_for_reading(store.path)


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "ltsm.db"
    path.touch()
    with pytest.raises(StoreError, match="empty"):
        schema.open_for_reading(path)
    schema.open_for_writing(path).close()
    schema.open_for_reading(path).close()


def test_only_one_process_writes_at_a_time(tmp_path):
    """Another process is told who has the claim; once that one is killed the claim is free at once."""
    path = tmp_path / "ltsm.db"
    code = (
        "import sys, time; from pathlib import Path; from datetime import datetime, UTC;"
        "from ltsm.store.claim import claim\n"
        "with claim(Path(sys.argv[1]), 'ltsm sweep', datetime.now(UTC)): print('mine', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"mine\n"
        with (
            pytest.raises(StoreError, match=rf"being written by ltsm sweep \(process {other.pid} on"),
            claim.claim(path, "", NOW),
        ):
            pass
        assert claim.holder(path).pid == other.pid
        other.kill()
        other.wait()
    assert claim.holder(path) is None
    with claim.claim(path, "me", NOW):
        assert claim.holder(path).command == "me"


def test_a_file_is_read_back_checked(tmp_path):
    artifact = artifacts.write(tmp_path, "weights/a.safetensors", b"abc")
    assert artifacts.read(tmp_path, artifact) == b"abc"
    assert [p.name for p in (tmp_path / "weights").iterdir()] == ["a.safetensors"]
    (tmp_path / artifact.path).write_bytes(b"abd")
    with pytest.raises(StoreError, match="SHA-256 differs"):
        artifacts.read(tmp_path, artifact)
    (tmp_path / artifact.path).unlink()
    with pytest.raises(StoreError, match="cannot read"):
        artifacts.read(tmp_path, artifact)


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "weights/../../out"])
def test_a_path_cannot_climb_out_of_the_store(tmp_path, path):
    folder = tmp_path / "results"
    folder.mkdir()
    for use in (
        lambda: artifacts.write(folder, path, b""),
        lambda: artifacts.read(folder, Artifact(path, "")),
    ):
        with pytest.raises(StoreError, match="outside its folder"):
            use()
    assert not (tmp_path / "out").exists()


def test_the_last_record_of_each_run(store):
    run_id, _, _ = begin(store)
    other, _, _ = begin(store, seed=1)
    write.record(store, run_id, segment(Metric(0, nan, 2.3, 0.1), Metric(100, 1, 0.5, 0.8)), NOW)
    assert read.latest(store, [run_id, other]) == {run_id: Metric(100, 1, 0.5, 0.8)}


def test_supermasks_alone(store):
    run_id, protocol_id, _ = begin(store, kind="baseline")
    masks = [MaskRow(run_id, 0, t / 10, 0.5, (1, 2), 2.0, 0.4, t == 1, b"") for t in range(3)]
    write.add_masks(store, run_id, masks, NOW)
    assert [mask.threshold for mask in read.masks(store, protocol_id, selected=True)] == [0.1]


def test_the_protocol_that_changed_last_is_found(store):
    _, first, _ = begin(store)
    second = write.add_protocol(store, PAPER.changed(lr=0.5), NOW)
    assert read.find_protocol(store).id == second
    write.add_runs(store, first, [RunSpec(9, "ticket", (200, 30))], datetime(2027, 1, 1, tzinfo=UTC))
    assert read.find_protocol(store).id == first


def test_results_view(store):
    run_id, protocol_id, _ = begin(store, kind="hyperop")
    write.record(
        store,
        run_id,
        segment(Metric(0, nan, 2.3, 0.1), Metric(100, 1, 0.2, 0.8), Metric(200, 1, 0.3, 0.9)),
        NOW,
    )
    (result,) = read.results(store, protocol_id)
    assert (result.final_val_loss, result.minimal_val_loss, result.minimal_iteration) == (0.3, 0.2, 100)
    by_hand = sqlite3.connect(store.path).execute("SELECT n, final_val_loss FROM table_1").fetchall()
    assert by_hand == [(1, 0.3)]


def test_a_lock_whose_name_went_while_it_was_taken_is_taken_anew(tmp_path, monkeypatch):
    """Between opening and locking it. Taken out: the look at the name in `claim._acquired`; two commands had one lock each."""
    path, acquire, files = tmp_path / "ltsm.db", claim._acquire, []

    def then_deleted(file, store, *, wait):
        acquire(file, store, wait=wait)
        files.append(file)
        if len(files) == 1:
            claim.lock_path(path).unlink()

    monkeypatch.setattr(claim, "_acquire", then_deleted)
    with claim.claim(path, "me", NOW) as locked:
        assert claim.held(locked) == claim.named(claim.lock_path(path))
        assert claim.holder(path).command == "me"
    assert len(files) == 2

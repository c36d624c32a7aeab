"""The store on real SQLite files."""

import re
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from math import inf, isnan, nan
from pathlib import Path

import pytest

from ltsm.errors import StoreError
from ltsm.protocol import PAPER
from ltsm.store import artifacts, claim, engine, read, schema, space, write
from ltsm.store.values import Artifact, Beginning, MaskRow, Metric, RecipeSpec, RunSpec, Segment

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INITIAL = Artifact("weights/initial.safetensors", "00")


@pytest.fixture
def store(tmp_path):
    opened = schema.open_for_writing(tmp_path / "ltsm.db")
    yield opened
    opened.close()


def recipe(name):
    """A recipe of that name; nothing in the store asks what is in it."""
    return RecipeSpec(f"fingerprint of {name}", name, {"hidden": [200, 30]})


def planned(store, name="first", seed=0, iterations=200, needs=None):
    """A pending run, with the protocol's id and the recipe's fingerprint."""
    protocol_id = write.add_protocol(store, PAPER, NOW)
    fingerprint = recipe(name).fingerprint
    needed = {role: recipe(other).fingerprint for role, other in (needs or {}).items()}
    spec = RunSpec(seed, fingerprint, (200, 30), iterations, needed)
    write.add_runs(store, protocol_id, [recipe(name)], [spec], NOW)
    return read.find_run(store, protocol_id, fingerprint, seed).id, protocol_id, fingerprint


def begin(store, name="first", seed=0, iterations=200, masks=(), initial=INITIAL, needs=None):
    run_id, protocol_id, fingerprint = planned(store, name, seed, iterations, needs)
    beginning = Beginning(
        iterations=iterations,
        initial=initial,
        inputs=784,
        classes=10,
        parameters=163_340,
        relative_size=1.0,
        device="cpu",
        provenance={"torch": "x"},
        masks=masks,
    )
    write.begin(store, run_id, beginning, NOW)
    return run_id, protocol_id, fingerprint


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
    run_id, protocol_id, fingerprint = begin(store)
    metrics = [Metric(0, nan, 2.3, 0.1), Metric(100, 0.5, 0.25, 0.9), Metric(200, nan, nan, 0.1)]
    write.record(store, run_id, segment(*metrics, final=Artifact("f", "11")), NOW)
    found = read.metrics(store, [run_id])[run_id]
    assert [m.val_loss for m in found[:2]] == [2.3, 0.25]
    assert isnan(found[2].val_loss)
    raw = sqlite3.connect(store.path).execute("SELECT val_loss FROM metric WHERE iteration = 200").fetchone()
    assert raw == (None,)
    run = read.find_run(store, protocol_id, fingerprint, 0)
    assert (run.state, run.best_iteration, run.seconds, run.final) == ("done", 100, 1.5, Artifact("f", "11"))
    assert run.started_at == NOW


def test_the_first_of_two_equal_minima_is_best(store):
    run_id, protocol_id, fingerprint = begin(store)
    write.record(store, run_id, segment(Metric(0, nan, 0.5, 0), Metric(100, 1, 0.5, 0)), NOW)
    assert read.find_run(store, protocol_id, fingerprint, 0).best_iteration == 0


def test_a_segment_is_all_or_nothing(store):
    run_id, protocol_id, fingerprint = begin(store)
    twice = segment(Metric(100, 1, 1, 1), Metric(100, 1, 1, 1), iteration=100, state="running")
    with pytest.raises(Exception, match="UNIQUE"):
        write.record(store, run_id, twice, NOW)
    assert read.metrics(store, [run_id]) == {}
    assert read.find_run(store, protocol_id, fingerprint, 0).iteration == 0


def test_a_running_run_without_a_writer_is_shown_as_interrupted(store):
    _, protocol_id, fingerprint = begin(store)
    assert read.find_run(store, protocol_id, fingerprint, 0).state == "interrupted"
    with claim.claim(store.path, "sweep", NOW):
        assert read.find_run(store, protocol_id, fingerprint, 0).state == "running"


def test_reset_forgets_results_and_keeps_the_run(store):
    mask = MaskRow(0, 0, 0.1, 0.5, (1, 2), 2.0, 0.4, True, b"\x01")
    run_id, protocol_id, fingerprint = begin(store, masks=[mask])
    write.record(store, run_id, segment(Metric(0, nan, 2.3, 0.1)), NOW)
    assert read.selected_mask(store, run_id).bits == b"\x01"
    assert write.reset(store, [run_id], NOW) == [INITIAL]
    run = read.find_run(store, protocol_id, fingerprint, 0)
    assert (run.state, run.initial, run.best_iteration, run.inputs) == ("pending", None, None, None)
    assert read.metrics(store, [run_id]) == {}
    assert read.masks(store, protocol_id) == []


def test_reset_gives_back_no_file_that_another_run_names(store):
    """Start values are shared: they stay until the last run that names them is reset."""
    first, _, _ = begin(store)
    second, _, _ = begin(store, "second", needs={"start": "first"})
    assert write.reset(store, [second], NOW) == []
    begin(store, "second", needs={"start": "first"})
    assert write.reset(store, [first, second], NOW) == [INITIAL]


def test_planning_twice_adds_nothing(store):
    _, protocol_id, fingerprint = begin(store)
    spec = RunSpec(0, fingerprint, (200, 30), 200, {})
    write.add_runs(store, protocol_id, [recipe("first")], [spec], NOW)
    assert write.add_protocol(store, PAPER, NOW) == protocol_id
    assert len(read.runs(store)) == 1
    assert read.runs(store)[0].state == "interrupted"


def test_a_run_is_found_by_its_recipe_and_seed_alone(store):
    """Two studies may call a recipe otherwise: it is the same run, by the name that came first."""
    run_id, protocol_id, fingerprint = begin(store)
    other = RecipeSpec(fingerprint, "by another name", {"hidden": [200, 30]})
    write.add_runs(store, protocol_id, [other], [RunSpec(0, fingerprint, (200, 30), 200, {})], NOW)
    assert [(run.id, run.recipe) for run in read.runs(store)] == [(run_id, "first")]
    assert read.recipe(store, run_id) == recipe("first")


def test_what_a_run_needs_and_what_is_built_on_it(store):
    first, _, _ = begin(store)
    second, _, _ = begin(store, "second", needs={"start": "first", "length": "first"})
    third, _, _ = begin(store, "third", needs={"mask": "second"})
    other, _, _ = begin(store, seed=1)
    assert read.needs(store, second) == {"start": first, "length": first}
    assert read.dependents(store, [first]) == {first, second, third}
    assert read.dependents(store, [third, other]) == {third, other}


def test_a_known_length_is_told_before_the_run_begins(store):
    _, protocol_id, fingerprint = planned(store, iterations=150)
    assert read.find_run(store, protocol_id, fingerprint, 0).iterations == 150


def test_an_unknown_length_is_null_until_the_run_begins(store):
    run_id, protocol_id, fingerprint = planned(store, iterations=None)
    assert read.find_run(store, protocol_id, fingerprint, 0).iterations is None
    raw = sqlite3.connect(store.path).execute("SELECT iterations FROM run WHERE id = ?", (run_id,)).fetchone()
    assert raw == (None,)
    begin(store, iterations=100)
    assert read.find_run(store, protocol_id, fingerprint, 0).iterations == 100


def test_a_run_has_its_last_two_checkpoints_and_then_none(store):
    """What is displaced comes back for the caller to delete; kept weights stay."""
    run_id, protocol_id, fingerprint = begin(store, iterations=400)
    files = {at: Artifact(f"checkpoint-{at}", str(at)) for at in (100, 200, 300)}
    kept = Artifact("kept-200", "kept")

    def recorded(at, **more):
        metric = Metric(at, 1.0, 1.0 / at, 0.5)
        return write.record(store, run_id, segment(metric, iteration=at, **more), NOW)

    assert recorded(100, state="running", checkpoint=files[100]) == []
    assert recorded(200, state="running", checkpoint=files[200], kept={200: kept}) == []
    assert recorded(300, state="running", checkpoint=files[300]) == [files[100]]
    run = read.find_run(store, protocol_id, fingerprint, 0)
    assert (run.checkpoint, run.file("checkpoint", 200)) == (files[300], files[200])
    assert set(recorded(400, final=Artifact("final", "4"))) == {files[200], files[300]}
    run = read.find_run(store, protocol_id, fingerprint, 0)
    assert [(f.role, f.iteration) for f in sorted(run.files, key=lambda f: f.role)] == [
        ("final", 400),
        ("initial", 0),
        ("kept", 200),
    ]
    assert run.file("kept", 200) == kept
    assert run.file("kept", 100) is None


def test_a_run_goes_back_to_the_checkpoint_before_its_last(store):
    """With the last one's file and the records after the one before; its other files stay."""
    run_id, protocol_id, fingerprint = begin(store, iterations=400)
    files = {at: Artifact(f"checkpoint-{at}", str(at)) for at in (100, 200)}
    for at, loss in ((100, 1.0), (200, 0.5)):
        recorded = segment(Metric(at, 1.0, loss, 0.5), iteration=at, state="running", checkpoint=files[at])
        write.record(store, run_id, recorded, NOW)
    write.rewind(store, run_id, NOW)
    run = read.find_run(store, protocol_id, fingerprint, 0)
    assert [(f.role, f.iteration) for f in run.files] == [("checkpoint", 100), ("initial", 0)]
    assert (run.iteration, run.best_iteration, run.checkpoint) == (100, 100, files[100])
    assert [metric.iteration for metric in read.metrics(store, [run_id])[run_id]] == [100]


def test_one_column_of_several_runs_is_read_in_the_order_of_iterations(store):
    first, other, bare = (begin(store, seed=seed)[0] for seed in range(3))
    for run_id, loss in ((other, 5.0), (first, 3.0)):
        for at in (0, 100):
            metric = Metric(at, loss + at, nan if at else 1.0, 0.1)
            write.record(store, run_id, segment(metric, iteration=at, state="running"), NOW)
    wanted = [first, other, bare]
    assert read.points(store, wanted, "train_loss") == {
        first: [(0, 3.0), (100, 103.0)],
        other: [(0, 5.0), (100, 105.0)],
    }
    (_, (at, missing)) = read.points(store, [other], "val_loss")[other]
    assert (at, isnan(missing)) == (100, True)


def test_runs_are_counted_by_recipe_and_state(store):
    """Recipes in the order in which they were planned, whatever they are called."""
    for name, seed, at in (("second", 0, 100), ("first", 0, 200), ("second", 1, 300), ("second", 2, 0)):
        run_id, protocol_id, _ = begin(store, name, seed=seed, iterations=400)
        if at:
            recorded = segment(Metric(at, 1.0, 1.0, 0.5), iteration=at, state="running")
            write.record(store, run_id, recorded, NOW)
    write.stop(store, run_id, "failed", "why", NOW)
    counts = {tally[2:] for tally in read.tallies(store, alive=True)}
    assert counts == {("second", "running", 2, 400), ("second", "failed", 1, 0), ("first", "running", 1, 200)}
    assert [tally.recipe for tally in read.tallies(store, protocol_id, alive=True)] == [
        "second",
        "second",
        "first",
    ]
    assert {tally.state for tally in read.tallies(store)} == {"interrupted", "failed"}
    assert read.tallies(store, protocol_id + 1) == []


def test_of_however_many_files_one_that_a_row_names_is_kept(store):
    """More than SQLite takes in one statement; the one that is named is the first."""
    begin(store)
    others = [Artifact(f"weights/{n}.safetensors", "00") for n in range(1200)]
    with store.engine.connect() as connection:
        assert write.unnamed(connection, [INITIAL, *others]) == others


def test_a_name_of_no_or_of_several_protocols_is_refused_with_what_there_is(store):
    for lr in (0.1, 0.2):
        write.add_protocol(store, PAPER.changed(lr=lr, name="mine"), NOW)
    for name, count in (("mine", "more than one"), ("yours", "no")):
        with pytest.raises(
            StoreError, match=rf"has {count} protocol '{name}': it has 1 \(mine\), 2 \(mine\)"
        ):
            read.find_protocol(store, name)


def test_who_asks_may_know_whether_a_run_that_says_so_still_runs(store):
    _, protocol_id, fingerprint = begin(store)
    states = {
        alive: read.find_run(store, protocol_id, fingerprint, 0, alive=alive).state
        for alive in (True, False, None)
    }
    assert states == {True: "running", False: "interrupted", None: "interrupted"}


def test_a_loss_that_is_no_number_is_none(store):
    """Infinity, too, which JSON has not."""
    run_id, _, _ = begin(store)
    recorded = segment(Metric(100, inf, nan, 0.5), iteration=100, state="running")
    write.record(store, run_id, recorded, NOW)
    with store.engine.connect() as connection:
        query = "SELECT train_loss, val_loss, val_accuracy FROM metric"
        assert connection.exec_driver_sql(query).all() == [(None, None, 0.5)]


def test_a_changed_run_has_another_stamp(store):
    """And so has one that says `running` where nobody is left to run it."""
    first, protocol_id, _ = begin(store)
    other, _, _ = begin(store, seed=1)
    before = read.stamps(store, protocol_id, alive=True)
    assert before.keys() == {first, other}
    write.stop(store, other, "interrupted", None, NOW + timedelta(seconds=1))
    after = read.stamps(store, protocol_id, alive=True)
    assert (after[first] == before[first], after[other] == before[other]) == (True, False)
    left = read.stamps(store, protocol_id, alive=False)
    assert (left[first] == after[first], left[other] == after[other]) == (False, True)


def test_a_run_of_masks_alone_is_done_with_them(store):
    """It trains nothing: no start values of its own, no record, no iteration."""
    mask = MaskRow(0, 0, 0.2, 0.5, (1, 2), nan, 0.4, True, b"\x01", "fraction")
    run_id, protocol_id, fingerprint = begin(store, iterations=0, masks=[mask], initial=None)
    run = read.find_run(store, protocol_id, fingerprint, 0)
    assert (run.state, run.files, run.iterations, run.finished_at) == ("done", (), 0, NOW)
    (found,) = read.masks(store, protocol_id, bits=True)
    assert isnan(found.val_loss)
    (without,) = read.masks(store, protocol_id)
    assert without.bits == b""
    assert (found.run_id, found.amount, found.amount_by, found.bits) == (run_id, 0.2, "fraction", b"\x01")


def test_a_mask_is_a_runs_own_or_that_of_the_run_it_is_from(store):
    masks = [MaskRow(0, 0, t / 10, 0.5, (1, 2), 2.0, 0.4, t == 1, bytes([t])) for t in range(3)]
    begin(store, "search", iterations=0, masks=masks, initial=None)
    ticket, _, _ = begin(store, "ticket", needs={"mask": "search"})
    further, _, _ = begin(store, "further", needs={"mask": "ticket"})
    dense, _, _ = begin(store, "dense")
    assert read.selected_mask(store, further).bits == read.selected_mask(store, ticket).bits == b"\x01"
    assert read.selected_mask(store, dense) is None


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


@pytest.fixture
def without_shared_memory(store):
    """As on a disk that can only be read: SQLite cannot make what a log is shared by."""
    write.add_protocol(store, PAPER, NOW)
    store.close()
    shared = store.path.with_name("ltsm.db-shm")
    shared.unlink(missing_ok=True)
    shared.symlink_to("nowhere/at/all")
    return store.path


@pytest.mark.parametrize("log", [None, b""])
def test_where_a_log_cannot_be_shared_a_store_without_one_is_read_all_the_same(without_shared_memory, log):
    if log is not None:
        without_shared_memory.with_name("ltsm.db-wal").write_bytes(log)
    with closing(engine.connect(without_shared_memory, read_only=True)) as opened:
        assert [row.name for row in read.protocols(opened)] == [PAPER.name]


def test_a_reader_sees_what_is_written_after_it_began(tmp_path):
    """Also where nobody wrote and no log was there when it began."""
    path = tmp_path / "ltsm.db"
    schema.open_for_writing(path).close()
    with (
        closing(engine.connect(path, read_only=True)) as reader,
        closing(schema.open_for_writing(path)) as writer,
    ):
        assert read.protocols(reader) == []
        write.add_protocol(writer, PAPER, NOW)
        assert [row.name for row in read.protocols(reader)] == [PAPER.name]


def test_a_reader_leaves_a_writers_log_as_it_is(store):
    """A connection that may write would bring it into the file when it is closed, and delete it."""
    write.add_protocol(store, PAPER, NOW)
    copy = store.path.with_name("copy.db")
    log, copied = (path.with_name(f"{path.name}-wal") for path in (store.path, copy))
    copied.write_bytes(log.read_bytes())
    copy.write_bytes(store.path.read_bytes())
    with closing(engine.connect(copy, read_only=True)) as opened:
        assert len(read.protocols(opened)) == 1
    assert copied.read_bytes() == log.read_bytes()


def test_while_another_writes_a_store_without_a_log_stays_without_one(tmp_path):
    """The journal cannot be changed then, and what is there does as well."""
    path = tmp_path / "ltsm.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, timeout=0)) as ours,
    ):
        other.execute("CREATE TABLE a (b)")
        other.execute("BEGIN IMMEDIATE")
        assert engine._journal(ours, "wal") == "delete"


def test_the_folders_above_a_store_are_made(tmp_path):
    schema.open_for_writing(tmp_path / "a" / "b" / "ltsm.db").close()
    assert (tmp_path / "a" / "b" / "ltsm.db").is_file()


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "ltsm.db"
    path.touch()
    with pytest.raises(StoreError, match="empty"):
        schema.open_for_reading(path)
    schema.open_for_writing(path).close()
    schema.open_for_reading(path).close()


def test_a_store_that_cannot_be_made_is_a_sentence_with_the_cause(tmp_path):
    """Without SQLAlchemy's form of it, which shows the statement."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(StoreError) as caught:
            schema.open_for_writing(tmp_path / "ltsm.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert re.fullmatch(
        r"cannot write the store .*ltsm\.db: (disk I/O error|database or disk is full)\.",
        caught.value.message,
    )


def test_space_is_told_by_table_and_free_pages_where_there_are_some(store):
    """All of them together are the file."""
    with closing(sqlite3.connect(store.path)) as file:
        file.execute("VACUUM")
    assert "free pages" not in space.tables(store)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE large AS SELECT zeroblob(100000) AS content")
        connection.exec_driver_sql("DROP TABLE large")
        size = connection.exec_driver_sql("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").scalar_one()  # fmt: skip
    found = space.tables(store)
    assert 100_000 < found["free pages"] < 110_000
    assert {"run", "metric", "mask"} < found.keys()
    assert sum(found.values()) == size


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


@pytest.mark.skipif(sys.platform == "win32", reason="locks are flock's")
@pytest.mark.parametrize("content", ["", "[]", '{"pid": 1}'])
def test_who_holds_a_store_without_having_signed_is_another_command(tmp_path, content):
    """Between the lock and the signature, or on a full disk; those who show it ask for words."""
    import fcntl

    path = tmp_path / "ltsm.db"
    claim.lock_path(path).write_text(content)
    with claim.lock_path(path).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert claim.holder(path) == claim.Holder(0, "this machine", None, "")
        with pytest.raises(StoreError, match="is being written by another command"):
            claim.claim(path, "sweep", NOW).__enter__()


@pytest.mark.skipif(sys.platform == "win32", reason="locks are flock's")
def test_who_looks_who_holds_a_store_is_in_nobodys_way(tmp_path):
    """Two may look at the same moment, and neither takes the other for a writer."""
    import fcntl

    path = tmp_path / "ltsm.db"
    claim.lock_path(path).touch()
    with claim.lock_path(path).open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert claim.holder(path) is None


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


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "weights/../../out", "weights", "weights/a\0b"])
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
    masks = [MaskRow(0, 0, t / 10, 0.5, (1, 2), 2.0, 0.4, t == 1, b"") for t in range(3)]
    run_id, protocol_id, _ = begin(store, iterations=0, masks=masks, initial=None)
    assert [mask.amount for mask in read.masks(store, protocol_id, selected=True)] == [0.1]
    assert len(read.masks(store, protocol_id, run_ids=[run_id])) == 3
    assert read.masks(store, protocol_id, run_ids=[]) == []


def test_the_protocol_that_changed_last_is_found(store):
    _, first, fingerprint = begin(store)
    second = write.add_protocol(store, PAPER.changed(lr=0.5), NOW)
    assert read.find_protocol(store).id == second
    later = datetime(2027, 1, 1, tzinfo=UTC)
    write.add_runs(store, first, [recipe("first")], [RunSpec(9, fingerprint, (200, 30), 200, {})], later)
    assert read.find_protocol(store).id == first


def test_results_view(store):
    run_id, protocol_id, _ = begin(store)
    records = [Metric(0, nan, 2.3, 0.1), Metric(100, 1, 0.2, 0.8), Metric(200, 1, 0.3, 0.9)]
    write.record(store, run_id, segment(*records), NOW)
    (result,) = read.results(store, protocol_id)
    assert (result.final_val_loss, result.minimal_val_loss, result.minimal_iteration) == (0.3, 0.2, 100)
    assert (result.recipe, result.untrained_val_loss, result.untrained_val_accuracy) == ("first", 2.3, 0.1)
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


def test_a_store_may_be_named_as_sqlalchemy_does():
    assert engine.store_path("sqlite:///results/ltsm.db") == Path("results/ltsm.db")


@pytest.mark.parametrize("name", [":memory:", "sqlite:///:memory:", "", "a\0b", "/"])
def test_a_store_that_would_be_nowhere_is_refused(name):
    """It made a file of that name."""
    with pytest.raises(StoreError, match="names no file"):
        engine.store_path(name)


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    """Who locks a store empties and signs that file: a link would have another one emptied."""
    other = tmp_path / "other"
    other.write_text("theirs")
    path = tmp_path / "ltsm.db"
    claim.lock_path(path).symlink_to(other)
    with pytest.raises(StoreError, match="cannot write to"), claim.claim(path, "me", NOW):
        pass
    assert other.read_text() == "theirs"

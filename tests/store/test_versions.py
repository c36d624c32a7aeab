"""Stores of every past version are upgraded, data and all; SQLite's own faults are known."""

import hashlib
import logging
import shutil
import sqlite3
import struct
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pytest
from small import execution, results
from sqlalchemy import event
from sqlalchemy.engine import Engine

from ltsm.errors import StoreError, UsageError
from ltsm.protocol import from_settings
from ltsm.steps import plan
from ltsm.store import engine, filesystem, locked, read, schema, seal, seal_0002
from ltsm.studies import paper

KEPT = Path(__file__).parent / "schemas"
PAST = sorted(path.name for path in KEPT.iterdir())


@pytest.fixture(params=PAST)
def old(request, tmp_path):
    """A store as that version wrote it, with runs under way."""
    shutil.copytree(KEPT / request.param, tmp_path, dirs_exist_ok=True)
    return tmp_path / "ltsm.db"


@pytest.fixture
def second(tmp_path):
    """A store of version 0002: runs done, under way, failed, diverged and to come, of two protocols."""
    shutil.copytree(KEPT / "0002", tmp_path, dirs_exist_ok=True)
    return tmp_path / "ltsm.db"


OLD_RUN = "SELECT id, protocol_id, seed, kind, hidden, state, "
NEW_RUN = "SELECT id, protocol_id, seed, kind, hidden, state, iterations, "
SAME = """iteration, best_iteration, parameters, relative_size, device, seconds, started_at, finished_at,
          updated_at, error, provenance"""
OLD = {
    "protocol": "SELECT id, name, fingerprint, settings, created_at FROM protocol",
    "run": f"{OLD_RUN} CASE WHEN kind <> 'baseline' OR initial_weights IS NOT NULL THEN iterations END, {SAME} FROM run",
    "initial": "SELECT id, initial_weights, initial_weights_sha256 FROM run WHERE initial_weights IS NOT NULL",
    "final": "SELECT id, final_weights, final_weights_sha256, iteration FROM run WHERE final_weights IS NOT NULL",
    "checkpoint": """SELECT id, checkpoint, checkpoint_sha256, iteration FROM run WHERE checkpoint IS NOT NULL
                     UNION SELECT id, previous_checkpoint, previous_checkpoint_sha256, previous_iteration FROM run
                     WHERE previous_checkpoint IS NOT NULL""",
    "metric": "SELECT run_id, iteration, train_loss, val_loss, val_accuracy FROM metric",
    "mask": """SELECT mask.id, protocol_id, seed, threshold, mask.relative_size, layer_sizes, val_loss, val_accuracy,
               selected, bits FROM mask JOIN run ON run.id = run_id""",
    "result": "SELECT * FROM result",
    "table_1": "SELECT * FROM table_1",
}
"""All that a store of version 0001 or 0002 held, but for the checkpoint before the last, which 0001 did not have."""
NEW = {
    "protocol": OLD["protocol"],
    "run": f"{NEW_RUN} {SAME} FROM run WHERE kind <> 'supermask'",
    "initial": "SELECT run_id, path, sha256 FROM file WHERE role = 'initial' AND iteration = 0",
    "final": "SELECT run_id, path, sha256, iteration FROM file WHERE role = 'final'",
    "checkpoint": "SELECT run_id, path, sha256, iteration FROM file WHERE role = 'checkpoint'",
    "metric": OLD["metric"],
    "mask": """SELECT mask.id, protocol_id, seed, amount, mask.relative_size, layer_sizes, val_loss, val_accuracy,
               selected, bits FROM mask JOIN run ON run.id = run_id WHERE kind = 'supermask' AND amount_by = 'threshold'""",
    "result": """SELECT protocol, run_id, protocol_id, seed, kind, hidden, state, relative_size, final_val_loss,
                 final_val_accuracy, minimal_val_loss, minimal_iteration FROM result WHERE kind <> 'supermask'""",
    "table_1": """SELECT protocol, kind, hidden, n, relative_size, final_val_loss, minimal_val_loss, minimal_iteration
                  FROM table_1""",
}
"""The same values where version 0003 has them."""


def everything(path):
    """Every value of a store, of an old version or of this one, in the old ones' words."""
    database = sqlite3.connect(path)
    (version,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    queries = dict(NEW if version == schema.HEAD else OLD)
    if version == "0001":
        queries["checkpoint"] = queries["checkpoint"].partition("UNION")[0]
    found = {name: sorted(database.execute(query), key=repr) for name, query in queries.items()}
    database.close()
    return found


def test_every_past_version_is_kept():
    assert list(schema.VERSIONS[:-1]) == PAST


def test_an_old_store_is_upgraded_with_all_it_holds(old):
    """Taken out: the look for an older version in `schema.open_for_reading`; it was read as if it were new. Taken out:
    `schema._keep`; no copy of it stayed.
    """
    before = everything(old)
    with pytest.raises(StoreError, match="older version"):
        schema.open_for_reading(old)
    schema.open_for_writing(old).close()
    assert everything(old) == before
    assert everything(old.with_name(f"ltsm.db.before-{schema.HEAD}")) == before
    store = schema.open_for_reading(old)
    assert read.faults(store) == []
    store.close()


def test_the_kept_stores_have_what_can_go_wrong(second):
    """Else the tests here say less than they seem to."""
    before = everything(second)
    assert {row[5] for row in before["run"]} == {"done", "interrupted", "failed", "diverged", "pending"}
    assert {row[3] for row in before["run"] if row[6] is None} == {"baseline"}
    assert sorted(row[3] for row in before["checkpoint"]) == [100, 100, 200]
    assert any(None in row for row in before["metric"])
    assert all(before.values())


def test_the_recipes_of_an_upgraded_store_are_the_papers(old):
    """Names, identities and settings, of every run under each protocol: what is planned next finds them."""
    store = schema.open_for_writing(old)
    for row in read.protocols(store):
        study = paper.study(from_settings(row.settings, row.name))
        runs = read.runs(store, row.id)
        assert runs
        for run in runs:
            spec = read.recipe(store, run.id)
            assert (run.recipe, run.fingerprint) == (spec.name, study.fingerprints()[run.recipe])
            assert spec.settings == study.settings(run.recipe)
            ids = {other.recipe: other.id for other in runs if other.seed == run.seed}
            needs = {role: ids[name] for role, name in study.recipes[run.recipe].needs.items()}
            assert read.needs(store, run.id) == needs
        kinds = {run.kind for run in runs}
        assert ("supermask" in kinds) == ("baseline" in kinds)
    store.close()


def test_the_search_becomes_a_run_with_the_masks(second):
    """Done where its mask was chosen; to come where not; the data's shape is worked out from the networks' sizes."""
    store = schema.open_for_writing(second)
    first, other = [run for run in read.runs(store) if run.kind == "supermask"]
    assert (first.seed, first.state, first.iterations, first.iteration, first.files) == (0, "done", 0, 0, ())
    assert (other.seed, other.state, other.parameters, other.finished_at) == (1, "pending", None, None)
    masks = read.masks(store, first.protocol_id, run_ids=[first.id])
    assert [mask.amount for mask in masks] == pytest.approx([-0.1, 0, 0.1, 0.2, 0.3, 0.4])
    (chosen,) = [mask for mask in masks if mask.selected]
    (ticket,) = [run for run in read.runs(store) if (run.kind, run.seed) == ("ticket", 0)]
    assert read.selected_mask(store, ticket.id).amount == chosen.amount
    assert first.relative_size == chosen.relative_size == ticket.relative_size
    begun = [run for run in read.runs(store) if run.parameters]
    assert {(run.inputs, run.classes) for run in begun} == {(64, 10)}
    store.close()


def test_an_upgraded_store_goes_on(old):
    """The runs that were under way go on from their checkpoints, and all of the rest is done."""
    store = schema.open_for_writing(old)
    under_way = [run for run in read.runs(store) if run.checkpoint]
    row = read.protocol(store, under_way[0].protocol_id)
    seeds = tuple(sorted({run.seed for run in read.runs(store, row.id)}))
    before = {run.id: run.files for run in read.runs(store) if run.state == "done"}
    assert all(0 < run.iteration < run.iterations for run in under_way)
    outcome = execution(store, from_settings(row.settings, row.name, seeds)).run()
    assert outcome.failed == {}
    after = {run.id: run for run in read.runs(store)}
    assert {run.state for run in after.values() if run.protocol_id == row.id} == {"done"}
    assert len(read.runs(store, row.id)) == 6 * len(seeds)
    for run in under_way:
        assert "resumed" in after[run.id].provenance
    assert {run_id: after[run_id].files for run_id in before} == before
    store.close()


SEALED_RUNS = (seal_0002._RUNS, seal_0002._RECORDS, seal_0002._MASKS)


def sealed(database):
    """Write the seals anew, as version 0002 did."""
    plan = hashlib.sha256(b"".join(seal_0002._packed(database.execute(query)) for query in seal_0002._PLAN))
    digests = {"plan": plan}
    for query in SEALED_RUNS:
        for run_id, rows in groupby(database.execute(query), key=itemgetter(0)):
            found = list(rows)
            records = query is seal_0002._RECORDS
            packed = (
                b"".join(seal_0002._RECORD.pack(*row) for row in found)
                if records
                else seal_0002._packed(found)
            )
            digests.setdefault(str(run_id), hashlib.sha256()).update(packed)
    database.executemany("REPLACE INTO seal VALUES (?, ?)", [(n, d.hexdigest()) for n, d in digests.items()])


def finished(path):
    """The chain of seed 0, upgraded and done; the ticket, and every mask."""
    store = schema.open_for_writing(path)
    row = next(row for row in read.protocols(store) if len(read.runs(store, row.id)) > 2)
    protocol = from_settings(row.settings, row.name, (0,))
    execution(store, protocol, runs=plan.keys(paper.chain(protocol), (0,))).run()
    (ticket,) = [run for run in read.runs(store, row.id) if (run.kind, run.seed) == ("ticket", 0)]
    masks = [mask._replace(run_id=0) for mask in read.masks(store, row.id, bits=True)]
    losses = [metric.val_loss for metric in read.metrics(store, [ticket.id])[ticket.id]]
    store.close()
    return ticket, masks, losses


def test_an_old_store_whose_search_is_missing_goes_on_to_the_same_bits(second, tmp_path):
    """It was stopped between the retraining and the search: the search is to come, and finds what it would have."""
    without = tmp_path / "without" / "ltsm.db"
    shutil.copytree(second.parent, without.parent)
    ticket, masks, losses = finished(second)
    database = sqlite3.connect(without)
    (run_id,) = database.execute(
        "SELECT id FROM run WHERE checkpoint IS NOT NULL AND kind = 'ticket'"
    ).fetchone()
    for statement in (
        "DELETE FROM mask",
        f"DELETE FROM metric WHERE run_id = {run_id}",  # noqa: S608 - a number
        f"""UPDATE run SET state = 'pending', iteration = 0, best_iteration = NULL, parameters = NULL,
            relative_size = NULL, initial_weights = NULL, initial_weights_sha256 = NULL, checkpoint = NULL,
            checkpoint_sha256 = NULL, device = NULL, started_at = NULL WHERE id = {run_id}""",  # noqa: S608 - a number
    ):
        database.execute(statement)
    sealed(database)
    database.commit()
    database.close()
    again, found, its_losses = finished(without)
    assert [(mask.amount, mask.selected, mask.bits) for mask in found] == [
        (mask.amount, mask.selected, mask.bits) for mask in masks
    ]
    if again.device == ticket.device:  # the kept store was made with AVX-512
        assert again.final.sha256 == ticket.final.sha256
        assert (found, its_losses) == (masks, losses)
    assert its_losses == pytest.approx(losses, rel=1e-3)


DAMAGES = {
    "a record": (
        "metric",
        "UPDATE metric SET val_loss = val_loss * (1 + 1e-15) WHERE run_id = 3 AND iteration = 50",
    ),
    "a record's iteration": (
        "metric",
        "UPDATE metric SET iteration = 55 WHERE run_id = 3 AND iteration = 50",
    ),
    "a row": ("run", "UPDATE run SET best_iteration = 260 WHERE id = 3"),
    "a mask": ("mask", "UPDATE mask SET selected = 1 - selected"),
    "a mask's bits": ("mask", "UPDATE mask SET bits = zeroblob(length(bits)) WHERE id = 2"),
    "a protocol": ("protocol", "UPDATE protocol SET settings = replace(settings, '0.01', '0.02')"),
    "a run gone": ("list", "DELETE FROM run WHERE id = 11"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_old_store_is_refused_before_it_is_upgraded(second, case):
    """Its seals are checked as its own version wrote them; it stays as it is. Taken out: `seal_0002` in `seal.faults`."""
    word, statement = DAMAGES[case]
    database = sqlite3.connect(second)
    assert database.execute(statement).rowcount > 0
    database.commit()
    database.close()
    before = second.read_bytes()
    with pytest.raises(StoreError, match=rf"is damaged: .*{word}" if word == "list" else "is damaged"):
        schema.open_for_writing(second)
    assert second.read_bytes() == before
    assert not list(second.parent.glob("*before*"))


def test_one_flipped_bit_in_an_old_store_is_damage(second):
    """In the file itself, in the last digit of a record's loss."""
    database = sqlite3.connect(second)
    (loss,) = database.execute("SELECT val_loss FROM metric WHERE run_id = 4 AND iteration = 120").fetchone()
    database.close()
    content, written = bytearray(second.read_bytes()), struct.pack(">d", loss)
    for at in [at for at in range(len(content)) if content.startswith(written, at)]:
        content[at + 7] ^= 1
    assert bytes(content) != second.read_bytes()
    second.write_bytes(content)
    with pytest.raises(StoreError, match="the records or the masks of run 3"):
        schema.open_for_writing(second)
    assert second.read_bytes() == bytes(content)


def test_an_interrupted_upgrade_leaves_the_old_store(old, monkeypatch):
    """Half-way through, after the migrations and before the commit. Taken out: the transaction around `_upgrade`."""
    before = everything(old)

    def interrupted(_connection):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(seal, "seal_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            schema.open_for_writing(old)
    assert everything(old) == before
    with pytest.raises(StoreError, match="older version"):
        schema.open_for_reading(old)
    schema.open_for_writing(old).close()
    assert everything(old) == before


class Killed(BaseException):
    pass


@contextmanager
def killed_before(statement):
    """Whoever runs its statement of this number is gone; yields how many there were."""
    count = [0]

    def counted(*_):
        count[0] += 1
        if count[0] == statement:
            raise Killed

    event.listen(Engine, "before_cursor_execute", counted)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", counted)


def test_an_upgrade_killed_at_any_statement_is_whole_or_not_begun(second, tmp_path):
    """At each in turn: what is there is the old store, with every value and seal, until the new one is whole."""
    before, content = everything(second), second.read_bytes()
    with killed_before(0) as count:
        schema.open_for_writing(second).close()
    upgraded = results(second)
    path = tmp_path / "killed" / "ltsm.db"
    path.parent.mkdir()
    assert count[0] > 60
    for statement in range(1, count[0] + 1):
        for left in path.parent.iterdir():
            left.unlink()
        path.write_bytes(content)
        with pytest.raises(Killed), killed_before(statement):
            schema.open_for_writing(path)
        assert schema._version_at(path, unchecked=False) == "0002"
        assert everything(path) == before
    schema.open_for_writing(path).close()
    assert results(path) == upgraded


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 49, 2), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_versions_with_the_wal_reset_fault_are_known(version, faulty):
    assert bool(engine.sqlite_fault(version)) == faulty


def test_a_sqlite_that_damages_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 7, 9))
    with pytest.raises(StoreError, match="may damage stores"):
        engine.connect(tmp_path / "ltsm.db", read_only=False)


def pragma(path, name):
    store = schema.open_for_writing(path)
    with store.engine.connect() as connection:
        found = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
    store.close()
    return found


@pytest.mark.parametrize(("wanted", "level"), [(None, 1), ("full", 2), ("NORMAL", 1), ("extra", 3)])
def test_synchronous_on_request(tmp_path, monkeypatch, wanted, level):
    """Taken out: reading LTSM_SYNCHRONOUS in `engine.connect`; it stayed 1."""
    if wanted:
        monkeypatch.setenv("LTSM_SYNCHRONOUS", wanted)
    assert pragma(tmp_path / "ltsm.db", "synchronous") == level
    assert pragma(tmp_path / "ltsm.db", "journal_mode") == "wal"


def test_another_level_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LTSM_SYNCHRONOUS", "off")
    with pytest.raises(UsageError, match="must be NORMAL or FULL or EXTRA"):
        schema.open_for_writing(tmp_path / "ltsm.db")


def test_no_log_where_sqlite_cannot_share_memory(tmp_path, monkeypatch, caplog):
    """SQLite's own way to files without shared memory: said so, a rollback journal, every commit flushed.

    Taken out: the warning in `engine._writing`; and synchronous stayed NORMAL.
    """
    monkeypatch.setattr(engine, "VFS", "&vfs=unix-dotfile")
    with caplog.at_level(logging.WARNING):
        assert pragma(tmp_path / "ltsm.db", "journal_mode") == "delete"
        assert pragma(tmp_path / "ltsm.db", "synchronous") == 2
    assert "without shared memory" in caplog.text
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    execution(store).run()
    store.close()
    reader = schema.open_for_reading(tmp_path / "ltsm.db")
    assert {run.state for run in read.runs(reader)} == {"done"}
    reader.close()


def test_no_log_on_a_networks_file_system(tmp_path, monkeypatch):
    """Where it may appear to work. Taken out: `is_network` in `engine._writing`; the journal was wal."""
    path = tmp_path / "ltsm.db"
    assert pragma(path, "journal_mode") == "wal"
    monkeypatch.setattr(filesystem, "kind", lambda _folder: "nfs4")
    assert pragma(path, "journal_mode") == "delete"
    monkeypatch.undo()
    assert pragma(path, "journal_mode") == "wal"


def test_a_log_that_cannot_be_turned_off_there_is_refused(tmp_path, monkeypatch):
    """A reader holds it open."""
    path = tmp_path / "ltsm.db"
    schema.open_for_writing(path).close()
    monkeypatch.setattr(locked, "BUSY_SECONDS", 0.1)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM run").fetchall()
    monkeypatch.setattr(filesystem, "kind", lambda _folder: "cifs")
    with pytest.raises(StoreError, match="cannot write the store"):
        pragma(path, "journal_mode")
    reader.close()


def test_the_file_systems_name(tmp_path, monkeypatch):
    device = tmp_path.stat().st_dev
    import os

    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 0:99 / / rw - ext4 /dev/a rw\n2 1 {os.major(device)}:{os.minor(device)} / {tmp_path} rw - nfs4 host:/x rw\n"
    )
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    assert filesystem.is_network(tmp_path)
    monkeypatch.setattr(filesystem, "MOUNTS", tmp_path / "none")
    assert filesystem.kind(tmp_path) == ""
    assert not filesystem.is_network(tmp_path)


def test_a_look_sees_a_change_when_the_clock_goes_backwards(tmp_path):
    """Taken out: all moments in `read.change_counter`, only the newest; the dashboard saw nothing new."""
    from datetime import UTC, datetime

    from ltsm.protocol import PAPER
    from ltsm.store import write
    from ltsm.store.values import RecipeSpec, RunSpec

    store = schema.open_for_writing(tmp_path / "ltsm.db")
    protocol = write.add_protocol(store, PAPER, datetime(2030, 1, 1, tzinfo=UTC))
    recipes = [RecipeSpec("x", "x", {"hidden": [4]})]
    specs = [RunSpec(seed, "x", (4,), 10, {}) for seed in (0, 1)]
    write.add_runs(store, protocol, recipes, specs, datetime(2030, 1, 1, tzinfo=UTC))
    before = read.change_counter(store)
    write.stop(store, 1, "failed", "x", datetime(2020, 1, 1, tzinfo=UTC))
    assert read.change_counter(store) != before
    store.close()

"""Stores of every past version are upgraded, data and all; SQLite's own faults are known."""

import logging
import shutil
import sqlite3
from pathlib import Path

import pytest
from small import execution

from ltsm.errors import StoreError, UsageError
from ltsm.protocol import from_settings
from ltsm.store import engine, filesystem, locked, read, schema, seal

KEPT = Path(__file__).parent / "schemas"
PAST = sorted(path.name for path in KEPT.iterdir())


@pytest.fixture(params=PAST)
def old(request, tmp_path):
    """A store as that version wrote it, with a run under way."""
    shutil.copytree(KEPT / request.param, tmp_path, dirs_exist_ok=True)
    return tmp_path / "ltsm.db"


def everything(path):
    """Every value of every table that 0001 had."""
    database = sqlite3.connect(path)
    names = {
        "protocol": "id, name, fingerprint, settings, created_at",
        "run": "id, seed, kind, hidden, state, iterations, iteration, best_iteration, final_weights_sha256, checkpoint, seconds,"
        " provenance, device, started_at, finished_at, updated_at, error, parameters, relative_size",
        "metric": "*",
        "mask": "*",
        "result": "*",
        "table_1": "*",
    }
    found = {}
    for name, columns in names.items():
        query = f"SELECT {columns} FROM {name}"  # noqa: S608 - the names above
        found[name] = database.execute(query).fetchall()
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


def test_an_upgraded_store_goes_on(old):
    """The run that was under way goes on from its checkpoint, and all of the rest is done."""
    store = schema.open_for_writing(old)
    (row,) = read.protocols(store)
    (under_way,) = [run for run in read.runs(store) if run.checkpoint]
    assert 0 < under_way.iteration < under_way.iterations
    outcome = execution(store, from_settings(row.settings, row.name, (0,))).run()
    assert outcome.failed == {}
    assert {run.state for run in read.runs(store)} == {"done"}
    (done,) = [run for run in read.runs(store) if run.id == under_way.id]
    assert "resumed" in done.provenance
    store.close()


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
    from ltsm.store.values import RunSpec

    store = schema.open_for_writing(tmp_path / "ltsm.db")
    protocol = write.add_protocol(store, PAPER, datetime(2030, 1, 1, tzinfo=UTC))
    specs = [RunSpec(seed, "hyperop", (4,), 10) for seed in (0, 1)]
    write.add_runs(store, protocol, specs, datetime(2030, 1, 1, tzinfo=UTC))
    before = read.change_counter(store)
    write.stop(store, 1, "failed", "x", datetime(2020, 1, 1, tzinfo=UTC))
    assert read.change_counter(store) != before
    store.close()

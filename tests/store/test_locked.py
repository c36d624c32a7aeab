"""Another program, an SQLite shell say, holds the store's write lock."""

import logging
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import OperationalError

from ltsm.errors import StoreError
from ltsm.protocol import PAPER
from ltsm.store import claim, locked, schema, write

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SHELL = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] != "wal":
    database.execute("PRAGMA journal_mode=delete")
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read(1)
"""


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "ltsm.db"
    schema.open_for_writing(found).close()
    return found


@pytest.fixture(params=["wal", "delete"])
def shell(path, request):
    with subprocess.Popen(
        [sys.executable, "-c", SHELL, path, request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.stdin.close()


def test_who_keeps_a_store_locked_is_named(path, shell):
    if not locked.LOCKS.exists():
        pytest.skip("only Linux tells who holds a lock")
    command = f"{sys.executable} -c"
    assert locked.holder(path).startswith(command[:60])
    assert locked.holder(path).endswith(f"(process {shell.pid})")


def test_where_the_system_does_not_tell_nobody_is_named(path, tmp_path, monkeypatch):
    monkeypatch.setattr(locked, "LOCKS", tmp_path / "nowhere")
    assert locked.holder(path) == ""


def test_a_locked_store_is_no_full_disk(tmp_path, path, monkeypatch):
    """The sentence names who holds it. Before, it was "database is locked; make space if the disk is full"."""
    monkeypatch.setattr(locked, "BUSY_SECONDS", 0.1)
    store = schema.open_for_writing(path)
    with subprocess.Popen(
        [sys.executable, "-c", SHELL, path, "wal"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        with pytest.raises(StoreError, match=rf"{process.pid}.* keeps it locked") as caught:
            write.add_protocol(store, PAPER, NOW)
        assert "--wait" in caught.value.hint
        assert "space" not in caught.value.hint
        process.stdin.close()
    assert write.add_protocol(store, PAPER, NOW) == 1
    store.close()


def test_where_nobody_can_be_named_it_is_another_program(path):
    """And what else hinders SQLite is said in its own words, without SQLAlchemy's, which show the statement."""
    error = sqlite3.OperationalError("database is locked")
    assert locked.cannot_write(path, error).message == (
        f"cannot write the store {path}: another program keeps it locked."
    )
    wrapped = OperationalError("INSERT INTO run", {}, sqlite3.OperationalError("disk I/O error"))
    assert locked.cannot_write(path, wrapped).message == f"cannot write the store {path}: disk I/O error."
    told = OperationalError("UPDATE run SET error = 'database is locked'", {}, wrapped.orig)
    assert not locked.is_locked(told)


def test_with_wait_it_takes_as_long_as_it_takes(path, monkeypatch, caplog):
    """Longer than SQLite itself waits. Taken out: the rounds in `locked.begin`; "database is locked"."""
    monkeypatch.setattr(locked, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(locked, "_ROUND_S", 0.05)
    store = schema.open_for_writing(path, wait=True)
    with subprocess.Popen(
        [sys.executable, "-c", SHELL, path, "wal"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        release = threading.Timer(1.0, process.stdin.close)
        release.start()
        with caplog.at_level(logging.WARNING):
            assert write.add_protocol(store, PAPER, NOW) == 1
        release.join()
    assert caplog.text.count("waiting for it") == 1
    store.close()


def test_a_reader_that_is_in_the_way_of_a_transaction_is_waited_for_as_long_as_ever(path):
    """Taken out: the time that SQLite waits is set back after the lock was taken by rounds."""
    store = schema.open_for_writing(path)
    with store.engine.begin() as connection:
        waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    store.close()
    assert waits == 1000 * locked.BUSY_SECONDS


def test_who_waits_for_a_store_gets_it_when_the_other_has_ended(path, monkeypatch):
    """Longer than a reader's look at the lock takes, which everybody waits for."""
    monkeypatch.setattr(claim, "_READER_GLANCE_S", 0.05)
    with ExitStack() as other:
        other.enter_context(claim.claim(path, "ltsm sweep", NOW))
        with pytest.raises(StoreError, match="is being written by ltsm sweep"), claim.claim(path, "x", NOW):
            pass
        release = threading.Timer(0.3, other.close)
        release.start()
        with claim.claim(path, "x", NOW, wait=True):
            assert release.finished.is_set()
        release.join()

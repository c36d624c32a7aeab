"""What lies beside a store: its log, links, and weights that an empty store would bury."""

import os
import resource
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from ltsm.errors import StoreError
from ltsm.protocol import PAPER
from ltsm.store import companions, other, schema, write

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LOST = "its last changes were in its log ltsm.db-wal, which is not here"
BURIED = "it is empty, and weights lie beside it"


@pytest.fixture
def path(tmp_path):
    """A new database that says of itself that it is written by way of a log, and has no table yet."""
    found = tmp_path / "ltsm.db"
    with closing(sqlite3.connect(found)) as database:
        database.execute("PRAGMA journal_mode=wal")
        database.execute("PRAGMA user_version=0")
    return found


def weights(path):
    (path.parent / "weights" / "of").mkdir(parents=True)


def test_whoever_reads_an_empty_store_without_its_log_hears_of_the_log(path):
    with pytest.raises(StoreError, match=LOST) as caught:
        schema.open_for_reading(path)
    assert "copy ltsm.db-wal too" in caught.value.hint
    assert f"delete {path} to begin anew" in caught.value.hint


def test_a_sweep_does_not_begin_where_a_log_was_lost_beside_weights(path):
    weights(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=LOST):
        schema.open_for_writing(path)
    assert path.read_bytes() == before


def test_a_new_store_that_was_never_written_to_is_made(path):
    """A command that was killed while it made the store: there is nothing that could be buried."""
    schema.open_for_writing(path).close()
    schema.open_for_reading(path).close()


def test_an_empty_database_without_a_log_of_old_buries_no_weights(tmp_path):
    path = tmp_path / "ltsm.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (a)")
        database.execute("DROP TABLE t")
    with pytest.raises(StoreError, match=r"is empty\.") as caught:
        schema.open_for_reading(path)
    assert "ltsm sweep" in caught.value.hint
    weights(path)
    for opening in (schema.open_for_reading, schema.open_for_writing):
        with pytest.raises(StoreError, match=BURIED) as caught:
            opening(path)
        assert f"delete {path} to begin anew" in caught.value.hint


@pytest.mark.parametrize("beside", ["weights", "log"])
def test_an_emptied_file_becomes_no_store_where_results_were(tmp_path, beside):
    path = tmp_path / "ltsm.db"
    path.write_bytes(b"")
    if beside == "weights":
        weights(path)
    else:
        companions.log_of(path).write_bytes(b"x")
    with pytest.raises(StoreError, match=BURIED):
        schema.open_for_writing(path)
    assert path.read_bytes() == b""


def test_an_empty_file_with_an_empty_folder_of_weights_becomes_a_store(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "ltsm.db").write_bytes(b"")
    schema.open_for_writing(tmp_path / "ltsm.db").close()
    schema.open_for_reading(tmp_path / "ltsm.db").close()


def test_with_its_log_such_a_store_has_all_that_is_in_it(tmp_path):
    """The counterpart: a killed command's files, all of them."""
    path = tmp_path / "ltsm.db"
    store = schema.open_for_writing(path)
    write.add_protocol(store, PAPER, NOW)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("ltsm.db", "ltsm.db-wal"):
        shutil.copy(tmp_path / name, copy / name)
    store.close()
    schema.open_for_reading(copy / "ltsm.db").close()
    companions.log_of(copy / "ltsm.db").unlink(missing_ok=True)


@pytest.mark.parametrize("suffix", companions.SUFFIXES)
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_companions_are_files_of_sqlites(path, suffix, kind):
    name = path.with_name(path.name + suffix)
    if kind == "link":
        name.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(name)
    else:
        name.mkdir()
    words = {
        "link": "is a link, which SQLite never makes",
        "pipe": "it is a named pipe",
        "folder": "Is a directory",
    }
    with pytest.raises(StoreError, match=words[kind]) as caught:
        companions.refuse_strange(path)
    assert caught.value.hint == "do not use this store"


def test_a_copy_is_forgotten_with_all_that_sqlite_keeps_beside_it(tmp_path):
    for name in ("ltsm.db", "ltsm.db-wal", "ltsm.db-shm", "ltsm.db-journal", "another.db"):
        (tmp_path / name).touch()
    other.forget(tmp_path / "ltsm.db")
    assert [found.name for found in tmp_path.iterdir()] == ["another.db"]


def test_a_copy_that_a_full_disk_hinders_leaves_nothing_and_says_why(path):
    schema.open_for_writing(path).close()
    copy = path.with_name("copy.db")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(StoreError) as caught, other.at_this_moment(path, copy):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.message.startswith(f"cannot copy {path} to {copy}: ")
    assert caught.value.message.endswith((": disk I/O error.", ": database or disk is full."))
    assert not copy.exists()

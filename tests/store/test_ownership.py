"""A writer whose store or lock is taken away, in this very process; `tests/torture` does it to a sweep."""

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from ltsm.errors import InterruptedRunError, StoreError
from ltsm.protocol import PAPER, SMOKE
from ltsm.store import claim, ownership, read, schema, write

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "ltsm.db"


def protocols(path):
    """How many protocols the file alone holds, without its log."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        return database.execute("SELECT count(*) FROM protocol").fetchone()[0]


def writing(path, between, end=lambda: None):
    """Commit once, let something happen, and commit again."""
    with schema.writer(path, "ltsm sweep", NOW) as store:
        write.add_protocol(store, PAPER, NOW)
        between()
        write.add_protocol(store, SMOKE, NOW)
        end()


def test_a_writer_that_nobody_disturbs_leaves_one_file(path):
    writing(path, lambda: None)
    assert protocols(path) == 2
    log = path.with_name("ltsm.db-wal")
    assert not log.exists() or log.stat().st_size == 0


def test_nothing_is_committed_once_the_lock_is_lost(path):
    with pytest.raises(StoreError, match=r"ltsm\.db\.lock was deleted or replaced") as caught:
        writing(path, claim.lock_path(path).unlink)
    assert "goes on from the last segment" in caught.value.hint
    assert protocols(path) == 1


def test_a_lock_that_another_has_is_lost_too(path):
    def replaced():
        claim.lock_path(path).unlink()
        claim.lock_path(path).write_text("")

    with pytest.raises(StoreError, match="was deleted or replaced"):
        writing(path, replaced)
    assert protocols(path) == 1


def test_a_renamed_store_is_named(path, tmp_path):
    now = tmp_path / "now.db"
    with pytest.raises(StoreError, match=rf"was renamed to {now} while .* up to the last segment") as caught:
        writing(path, lambda: path.rename(now))
    assert caught.value.hint.startswith(f"mv {now} {path}, then")
    assert protocols(now) == 1


def test_where_a_new_name_cannot_be_told_it_is_renamed_all_the_same(path, tmp_path, monkeypatch):
    """On other systems than Linux. The test stands in for them."""
    monkeypatch.setattr(ownership, "_name_of", lambda _: "")
    with pytest.raises(StoreError, match=r"was renamed while this command") as caught:
        writing(path, lambda: path.rename(tmp_path / "now.db"))
    assert caught.value.hint.startswith("give it its name back, then")


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_deleted_store_is_written_out_under_a_name_that_nothing_has(path, taken):
    names = [path.with_name(f"ltsm.rescued{again}.db") for again in ("", "-2", "-3")]
    path.parent.mkdir()
    for name in names[:taken]:
        name.write_text("mine")
    with pytest.raises(StoreError, match=f"its results are in {names[taken]}") as caught:
        writing(path, path.unlink)
    assert caught.value.hint.startswith(f"mv {names[taken]} {path}, then")
    assert protocols(names[taken]) == 1
    assert all(name.read_text() == "mine" for name in names[:taken])


def test_its_log_is_emptied_so_that_it_is_not_taken_for_another_stores(path):
    """SQLite would replay it into whatever database comes into the place."""
    with pytest.raises(StoreError, match="rescued"):
        writing(path, path.unlink)
    log = path.with_name("ltsm.db-wal")
    assert not log.exists() or log.stat().st_size == 0


def test_results_that_cannot_be_written_out_are_said_to_be_lost(path, monkeypatch):
    def full(_store, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(schema, "backup", full)
    with pytest.raises(StoreError, match=r"could not be written to .*rescued.db: No space left") as caught:
        writing(path, path.unlink)
    assert caught.value.hint == "restore a backup"


def test_it_is_noticed_when_the_command_was_stopped(path):
    """The more important of two sentences is said."""

    def stopped():
        path.unlink()
        raise InterruptedRunError("stopped")

    with pytest.raises(StoreError, match="its results are in"):
        writing(path, lambda: None, stopped)


def test_an_error_of_ours_is_none_of_ownerships(path):
    def stopped():
        raise InterruptedRunError("stopped")

    with pytest.raises(InterruptedRunError):
        writing(path, lambda: None, stopped)
    assert protocols(path) == 2


def test_a_reader_in_the_middle_of_a_query_keeps_no_writer_waiting(path):
    """The log stays then, and nothing is lost."""
    writing(path, lambda: None)
    looking = schema.open_for_reading(path)
    with looking.engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM protocol").fetchone()
        with schema.writer(path, "ltsm sweep", NOW) as store:
            write.add_protocol(store, PAPER.changed(lr=0.5), NOW)
    looking.close()
    store = schema.open_for_reading(path)
    assert len(read.protocols(store)) == 3
    store.close()


def test_a_descriptor_that_is_gone_names_nothing(path):
    assert ownership._place((0, 0)) == ""
    assert claim.named(path) is None
    path.parent.mkdir()
    path.write_text("")
    found = path.stat()
    assert claim.named(path) == (found.st_dev, found.st_ino)
    with path.open() as file:
        assert claim.held(file.fileno()) == claim.named(path)
        assert ownership._place(claim.held(file.fileno())) == os.fspath(path)
        path.unlink()
        assert ownership._place(claim.held(file.fileno())) is None


def test_with_several_folders_gone_they_are_made_anew(path, tmp_path):
    """For the numbers, which nothing else has any more."""
    deep = tmp_path / "one" / "two" / "ltsm.db"
    with pytest.raises(StoreError, match="its results are in"):
        writing(deep, lambda: shutil.rmtree(tmp_path / "one"))
    assert protocols(deep.with_name("ltsm.rescued.db")) == 1

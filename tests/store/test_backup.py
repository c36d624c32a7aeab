"""A copy of a store, and what lies in its way."""

import resource

import pytest
from small import SMALL, execution

from ltsm.errors import StoreError
from ltsm.store import backup, read, schema


@pytest.fixture
def store(tmp_path):
    opened = schema.open_for_writing(tmp_path / "store" / "ltsm.db")
    execution(opened, SMALL.changed(seeds=(0,), hyperops=((4, 3),))).run()
    yield opened
    opened.close()


def weights_of(store):
    return next(run.final.path for run in read.runs(store) if run.final)


def test_a_foreign_file_in_the_way_is_no_part_of_the_copy(store, tmp_path, monkeypatch):
    """Taken out: the look at what is there already; the copy had somebody else's weights under our row."""
    monkeypatch.setattr(backup, "ATTEMPTS", 2)
    foreign = tmp_path / "copy" / weights_of(store)
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"somebody else's")
    with pytest.raises(StoreError, match="SHA-256 differs"):
        backup.copy(store, tmp_path / "copy" / "ltsm.db")
    assert foreign.read_bytes() == b"somebody else's"
    assert not (tmp_path / "copy" / "ltsm.db").exists()


def test_the_same_file_in_the_way_is_as_good(store, tmp_path):
    same = tmp_path / "copy" / weights_of(store)
    same.parent.mkdir(parents=True)
    same.write_bytes((store.folder / weights_of(store)).read_bytes())
    assert backup.copy(store, tmp_path / "copy" / "ltsm.db") > 0


def test_a_folder_that_cannot_be_made_is_a_sentence_with_the_cause(store, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write the copy .*: (Not a directory|File exists)\.\n"):
        backup.copy(store, tmp_path / "file" / "ltsm.db")


def test_a_full_disk_is_a_sentence_with_sqlites_cause(store, tmp_path):
    """SQLite's error has no number of the system's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(StoreError) as caught:
            backup.copy(store, tmp_path / "copy" / "ltsm.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.message.startswith("cannot write the copy ")
    assert caught.value.message.endswith((": disk I/O error.", ": database or disk is full."))
    assert list((tmp_path / "copy").iterdir()) == []

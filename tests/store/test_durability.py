"""The promise about power cuts: what a row names was flushed, renamed, and its folder flushed, before the row's commit.

A test cannot cut the power. It writes down in which order the program asks the system for these things.
"""

import os
from pathlib import Path

import pytest
from small import SMALL, execution
from sqlalchemy.engine.default import DefaultDialect

from ltsm.store import artifacts, schema

if not Path("/proc/self/fd").is_dir():
    pytest.skip("only Linux tells which file a descriptor is of", allow_module_level=True)


@pytest.fixture
def asked(monkeypatch):
    """What was asked for, in order: ("flushed", path), ("renamed", from, to), ("made", folder), ("commit",)."""
    found = []
    flush, replace, make, commit = os.fsync, Path.replace, Path.mkdir, DefaultDialect.do_commit

    def fsync(descriptor):
        found.append(("flushed", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        flush(descriptor)

    def replace_(self, target):
        found.append(("renamed", str(self.resolve()), str(Path(target).resolve())))
        return replace(self, target)

    def mkdir(self, *args, **kwargs):
        there = self.is_dir()
        make(self, *args, **kwargs)
        if not there:
            found.append(("made", str(self.resolve())))

    def do_commit(self, connection):
        found.append(("commit",))
        commit(self, connection)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace_)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(DefaultDialect, "do_commit", do_commit)
    return found


def test_files_and_folders_are_flushed_before_the_row_that_names_them(tmp_path, asked):
    """Taken out: `os.fsync` in `write_whole`; in `flush_folder`; the flush of the folders above a new one.

    After a power cut a row would have named an empty file, or none.
    """
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    del asked[:]
    execution(store, SMALL.changed(seeds=(0,))).run()
    store.close()
    renamed = [n for n, what in enumerate(asked) if what[0] == "renamed"]
    made = [n for n, what in enumerate(asked) if what[0] == "made"]
    assert len(renamed) > 5
    assert made
    for n in renamed:
        _, partial, target = asked[n]
        assert ("flushed", partial) in asked[:n], f"{target} was renamed before it was on the disk"
        assert ("flushed", str(Path(target).parent)) in until_commit(asked, n), f"{target}'s name was not"
    for n in made:
        folder = asked[n][1]
        assert ("flushed", str(Path(folder).parent)) in until_commit(asked, n), f"{folder}'s name was not"


def until_commit(asked, start):
    end = next(n for n in range(start, len(asked)) if asked[n] == ("commit",))
    return asked[start:end]


def test_a_file_that_could_not_be_flushed_takes_no_name(tmp_path, monkeypatch):
    """A disk that fails on fsync has not kept it, whatever write said."""

    def failing(_descriptor):
        raise OSError(5, "Input/output error")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output"):
        artifacts.write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

"""A disk that fills up: a sentence, exit code 3, the store as it was, and the same bits once there is space."""

import os
import subprocess
import sys
from functools import partial

import pytest
from small import results
from torture.counts import counted, tell
from torture.oracle import check_if_any, finish, refused
from torture.program import Program, counting, full_disk

from ltsm.store import schema


@pytest.fixture
def shim(context):
    if "LTSM_FULL_DISK" not in os.environ:
        pytest.skip("no C compiler, or no Linux, for the disk that fills up on command")


@counted("writes that fail")
def test_full_at_any_write(context, shim, tmp_path, undisturbed, count):
    """Every write, flush and enlargement of a file fails from the n-th on, SQLite's own among them.

    Taken out: turning OSError into StoreError in `artifacts.write`; a traceback ended the sweep.
    """
    program = Program(context, tmp_path / "whole")
    report = tmp_path / "writes"
    whole = program.sweep(prepare=partial(counting, program.store.parent, report))
    assert whole.ended() == 0, whole.words
    writes = int(report.read_text())
    assert writes > count
    for number in range(count):
        program = Program(context, tmp_path / str(number))
        after = number * writes // count
        run = program.sweep(prepare=partial(full_disk, after, program.store.parent))
        if run.ended():  # the last writes are SQLite's, into a file that it then drops
            words = refused(run, 3)
            assert "cannot write" in words, words
        check_if_any(program.store)
        finish(program, undisturbed)
    tell("writes that found the disk full", count)


TINY_DISK = """
import os, subprocess, sys
from pathlib import Path
folder, ltsm = sys.argv[1], sys.argv[2:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "none", folder + "/results"], check=True)
full = subprocess.run(ltsm, cwd=folder, capture_output=True, text=True)
print(full.returncode, full.stderr)
subprocess.run(["mount", "-o", "remount,size=16m", folder + "/results"], check=True)
again = subprocess.run(ltsm, cwd=folder, capture_output=True, text=True)
print(again.returncode, again.stderr)
subprocess.run(["cp", "-r", folder + "/results", folder + "/kept"], check=True)
"""


def test_a_small_file_system(ltsm, undisturbed):
    """A real one of 160 KiB, then enlarged."""
    (ltsm.folder / "results").mkdir()
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(ltsm.folder / "results")]
    try:
        subprocess.run(probe, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody mount")
    sweep = [sys.executable, "-m", "ltsm", "sweep", "--protocol", "small.toml", "--jobs", "1"]
    command = ["unshare", "-rm", sys.executable, "-c", TINY_DISK, str(ltsm.folder), *sweep]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert found.startswith("3 ")
    assert "cannot write" in found
    assert "Traceback" not in found
    assert "\n0 " in found, found
    assert results(ltsm.folder / "kept" / "ltsm.db") == undisturbed


def test_a_full_disk_leaves_no_half_copy(ltsm, shim):
    assert ltsm.sweep().ended() == 0
    copy = ltsm.folder / "copy"
    for after in (0, 3, 9, 20):
        run = ltsm.start("db", "backup", "copy/ltsm.db", prepare=partial(full_disk, after, copy))
        assert "cannot write" in refused(run, 3)
        assert not (copy / "ltsm.db").exists()
    assert ltsm.start("db", "backup", "copy/ltsm.db").ended() == 0, ltsm.words
    assert results(copy / "ltsm.db") == results(ltsm.store)


@counted("full disks under merges")
def test_full_at_any_write_of_a_merge(context, shim, tmp_path, undisturbed, count):
    """What came before is kept, and the same command goes on. Taken out: the sentence in `other._copied`; a traceback."""
    other, report = Program(context, tmp_path / "other"), tmp_path / "writes"
    assert other.sweep().ended() == 0, other.words
    program, merge = Program(context, tmp_path / "whole"), ("db", "merge", other.store)
    assert program.start(*merge, prepare=partial(counting, program.store.parent, report)).ended() == 0
    writes = int(report.read_text())
    assert writes > count
    for number in range(count):
        program = Program(context, tmp_path / str(number))
        after = number * writes // count
        run = program.start(*merge, prepare=partial(full_disk, after, program.store.parent))
        if run.ended():  # the last writes are SQLite's, into a file that it then drops
            words = refused(run, 3)
            assert "cannot write" in words or "cannot copy" in words, words
        check_if_any(program.store)
        assert program.start(*merge).ended() == 0, program.words
        assert results(program.store) == undisturbed
    tell("writes of merges that found the disk full", count)


def test_a_full_disk_leaves_an_old_store_as_it_was(ltsm, shim, kept):
    """The upgrade is one transaction."""
    path = kept("0001", ltsm.folder / "old")
    before = path.read_bytes()
    for after in range(0, 1000, 7):
        run = ltsm.start("db", "upgrade", "--store", path, prepare=partial(full_disk, after, path.parent))
        if run.ended() == 0:
            break
        refused(run, 3)
        assert schema._version_at(path, unchecked=False) == "0001"
    assert after > 20
    assert before
    schema.open_for_reading(path).close()

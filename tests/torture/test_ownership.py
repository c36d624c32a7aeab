"""What users do to a store while it is being written: delete its lock, rename it, replace it, delete it."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from small import results
from torture.oracle import check, refused
from torture.program import slow, wait_for

from ltsm.store import read, schema


def underway(program, *arguments):
    """A sweep that has committed a segment."""
    run = program.sweep(*arguments, prepare=slow)
    assert run.holds(program.store)
    wait_for(lambda: not run.running or recorded(program.store))
    return run


def recorded(path):
    """How many records a store has by now."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM metric").fetchone()[0]
    except sqlite3.Error:
        return 0


def rest(program, undisturbed):
    """The same command again ends with the same bits, and nothing is left to be said."""
    assert program.sweep().ended() == 0, program.words
    check(program.store)
    assert results(program.store) == undisturbed
    found = program.start("db", "check")
    assert found.ended() == 0, found.words


def test_the_locks_name_is_deleted(ltsm, undisturbed):
    """Another sweep comes in: the first one stops before its next commit, the second one ends with the same bits.

    Taken out: `owned.check` before commits; both wrote, and the second failed on a constraint.
    """
    first = underway(ltsm)
    ltsm.store.with_name("ltsm.db.lock").unlink()
    second = ltsm.sweep()
    assert "was deleted or replaced while this command wrote" in refused(first, 3)
    assert second.ended() == 0, second.words
    rest(ltsm, undisturbed)


def test_the_locks_name_is_deleted_and_nobody_comes(ltsm, undisturbed):
    first = underway(ltsm)
    ltsm.store.with_name("ltsm.db.lock").unlink()
    assert "another one may be writing there now" in refused(first, 3)
    rest(ltsm, undisturbed)


@pytest.mark.parametrize("what", ["results/ltsm.db", "results"])
def test_a_renamed_store_is_found_again(ltsm, undisturbed, what):
    """Taken out: the store's name in `trouble`; exit 0, "10 of 10 steps are in" a file that was not there."""
    first = underway(ltsm)
    elsewhere = ltsm.folder / "elsewhere"
    (ltsm.folder / what).rename(elsewhere)
    words = " ".join(refused(first, 3).split())
    now = elsewhere / "ltsm.db" if what == "results" else elsewhere
    assert f"was renamed to {now} while" in words
    assert what != "results" or not (ltsm.folder / "results").exists()
    assert now.read_bytes()[:6] == b"SQLite"
    elsewhere.rename(ltsm.folder / what)
    rest(ltsm, undisturbed)


def test_a_renamed_store_has_all_that_was_committed(ltsm, tmp_path):
    """The file alone, without its log. Taken out: `checkpoint`; the renamed file had no table."""
    first = underway(ltsm)
    elsewhere = ltsm.folder / "elsewhere.db"
    ltsm.store.rename(elsewhere)
    refused(first, 3)
    alone = shutil.copy(elsewhere, tmp_path / "alone.db")
    assert recorded(alone)


@pytest.mark.parametrize("companions", [True, False])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_deleted_store_is_written_out_beside(ltsm, undisturbed, companions, replaced):
    """Taken out: `_rescued`; hours of results ended with the process."""
    first = underway(ltsm)
    ltsm.store.unlink()
    if companions:
        for suffix in ("-wal", "-shm"):
            ltsm.store.with_name(f"ltsm.db{suffix}").unlink()
    if replaced:
        ltsm.store.write_bytes(b"")
    words = " ".join(refused(first, 3).split())
    rescued = ltsm.store.with_name("ltsm.rescued.db")
    assert f"its results are in {os.path.relpath(rescued, ltsm.folder)}" in words
    store = schema.open_for_reading(rescued)
    assert any(run.checkpoint or run.final for run in read.runs(store))
    store.close()
    rescued.rename(ltsm.store)
    rest(ltsm, undisturbed)


def test_with_its_folder_deleted_the_numbers_are_written_out(ltsm):
    """Its weights are gone with the folder, and a sweep that trains on finds no way back to them."""
    first = underway(ltsm)
    shutil.rmtree(ltsm.store.parent)
    refused(first, 3)
    store = schema.open_for_reading(ltsm.store.with_name("ltsm.rescued.db"))
    assert read.runs(store)
    store.close()


def test_deleted_after_the_last_commit_is_noticed_too(ltsm):
    """Taken out: the look at the block's end; "10 of 10 steps are in" nothing."""
    refused(ltsm.sweep(prepare=deleting), 3)
    assert "its results are in results/ltsm.rescued.db" in " ".join(ltsm.words.split())
    check(ltsm.store.with_name("ltsm.rescued.db"))


def deleting():
    from ltsm.cli import running

    carried_out = running.carried_out

    def then_deleted(experiment, *arguments, **options):
        outcome = carried_out(experiment, *arguments, **options)
        Path(experiment.store.path).unlink()
        return outcome

    running.carried_out = then_deleted


STUCK = {
    "finished, says interrupted": "UPDATE run SET state = 'interrupted', error = NULL WHERE kind = 'hyperop'",
    "a search, finished, says running": "UPDATE run SET state = 'running' WHERE kind = 'supermask'",
    "records and nothing to go on from": "UPDATE run SET state = 'interrupted', finished_at = NULL WHERE kind = 'hyperop'",
}


@pytest.mark.parametrize("state", STUCK)
def test_what_two_writers_left_is_named_and_mended(ltsm, undisturbed, state):
    """Taken out: `mend`; no resume could end such a run: "UNIQUE constraint failed", every time."""
    from torture.test_hostile import change

    assert ltsm.sweep().ended() == 0
    change(ltsm.store, STUCK[state])
    found = ltsm.start("db", "check")
    assert found.ended() == 3
    assert "stuck run: " in found.words
    assert "ltsm sweep" in found.words
    rest(ltsm, undisturbed)


def log_kept(program):
    """A sweep, killed so that its log is left."""
    run = underway(program)
    run.kill()
    assert program.store.with_name("ltsm.db-wal").stat().st_size > 0


@pytest.mark.parametrize("command", ["status", "report", "sweep"])
@pytest.mark.parametrize("deleted", ["log", "all but the database"])
def test_a_store_without_its_log_is_refused(ltsm, command, deleted):
    """Taken out: `companions.empty`; "is empty, ltsm sweep fills it", and a new sweep began beside the old weights."""
    log_kept(ltsm)
    for suffix in ("-wal",) if deleted == "log" else ("-wal", "-shm", ".lock"):
        ltsm.store.with_name(f"ltsm.db{suffix}").unlink()
    before = ltsm.store.read_bytes()
    run = ltsm.sweep() if command == "sweep" else ltsm.start(command)
    assert "its last changes were in its log ltsm.db-wal, which is not here" in " ".join(
        refused(run, 3).split()
    )
    assert ltsm.store.read_bytes() == before


@pytest.mark.parametrize("reader", [True, False])
@pytest.mark.parametrize("ends", ["done", "interrupted"])
def test_after_a_command_the_one_file_is_the_store(ltsm, tmp_path, undisturbed, ends, reader):
    """Also beside a reader, which keeps SQLite from doing it itself.

    Taken out: `checkpoint`; beside a dashboard a store of 49 kB had 2.2 MB in its log.
    """
    import signal

    assert ltsm.start("init").ended() == 0
    looking = sqlite3.connect(f"file:{ltsm.store}?mode=ro", uri=True) if reader else None
    if looking:
        looking.execute("SELECT count(*) FROM run").fetchall()
    run = underway(ltsm)
    if ends == "interrupted":
        run.signal(signal.SIGINT)
    assert run.ended() == (0 if ends == "done" else 130)
    log = ltsm.store.with_name("ltsm.db-wal")
    assert not log.exists() or log.stat().st_size == 0
    alone = tmp_path / "alone"
    shutil.copytree(ltsm.store.parent / "weights", alone / "weights")
    shutil.copy(ltsm.store, alone / "ltsm.db")
    check(alone / "ltsm.db")
    assert ltsm.sweep("--store", alone / "ltsm.db").ended() == 0, ltsm.words
    assert results(alone / "ltsm.db") == undisturbed
    if looking:
        looking.close()

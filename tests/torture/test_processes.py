"""Many processes at one store: one writes, any number reads, none is disturbed."""

import random
import sqlite3

import pytest
from small import results
from torture.counts import counted, tell
from torture.oracle import check, finish, refused
from torture.program import Program, slow, wait_for

from ltsm.store import claim, schema


@counted("rounds of eight sweeps", shards=2)
def test_of_eight_sweeps_one_runs_and_seven_say_so(context, tmp_path, undisturbed, count):
    """All eight at once; the holder is killed, and the next command has the store at once.

    Taken out: the lock in `claim._lock`; two of the eight wrote at the same time.
    """
    for number in range(count):
        program = Program(context, tmp_path / str(number))
        runs = [program.sweep(prepare=slow) for _ in range(8)]
        losers = [run for run in runs if not run.holds(program.store)]
        (holder,) = [run for run in runs if run not in losers]
        for run in losers:
            words = refused(run, 3)
            assert "is being written by ltsm sweep" in words, words
            assert f"(process {holder.pid} on " in words, words
        assert claim.holder(program.store).pid == holder.pid
        holder.kill()
        assert claim.holder(program.store) is None
        finish(program, undisturbed)
    tell("rounds of eight sweeps at once", count)


def test_with_wait_eight_sweeps_end_one_after_the_other(ltsm, undisturbed):
    runs = [ltsm.sweep("--wait") for _ in range(8)]
    assert [run.ended() for run in runs] == [0] * 8
    assert sum("nothing to do" in run.words for run in runs) == 7
    check(ltsm.store)
    assert results(ltsm.store) == undisturbed


@counted("rounds of sixteen openings", shards=2)
def test_sixteen_processes_open_a_fresh_store(context, tmp_path, count):
    """Past the claim, even: one migrates, the others find it done.

    Taken out: BEGIN IMMEDIATE; one that had begun by reading found the database locked.
    """
    for number in range(count):
        program = Program(context, tmp_path / str(number))
        go = program.folder / "go"
        runs = [program.call(open_store, str(program.store), str(go)) for _ in range(16)]
        assert all(run.said("ready") for run in runs)
        go.touch()
        assert [run.ended() for run in runs] == [0] * 16, [run.words for run in runs]
        schema.open_for_reading(program.store).close()
    tell("rounds of sixteen openings at once", count)


def open_store(path, go):
    from pathlib import Path

    from ltsm.store import schema

    print("ready", flush=True)
    wait_for(Path(go).exists)
    schema.open_for_writing(Path(path)).close()


@counted("sweeps with four readers")
def test_readers_and_a_backup_disturb_nothing(context, tmp_path, undisturbed, count):
    """Status, the dashboard's reads, a plain SQLite shell and backups, all the time, beside a sweep.

    Taken out: the busy timeout in `engine`; a reader said "database is locked". Without WAL alone they waited.
    """
    for number in range(count):
        program = Program(context, tmp_path / str(number))
        assert program.start("init").ended() == 0
        stop = program.folder / "stop"
        readers = [
            program.call(reading, str(program.store), str(stop))
            for reading in (report, dashboard, shell, backup)
        ]
        for reader in readers:
            reader.said("reading")
        try:
            run = program.sweep(prepare=slow)
            assert run.ended() == 0, run.words
        finally:
            stop.touch()
        for reader in readers:
            assert reader.ended() == 0, reader.words
            assert "locked" not in reader.words
        assert "lock" not in run.words
        assert results(program.store) == undisturbed
        assert_copies_are_whole(program)
    tell("sweeps beside four readers", count)


@pytest.mark.torture
def test_thirty_two_readers_disturb_nothing(ltsm, undisturbed):
    """And the log is brought into the file at the end, whoever still reads."""
    assert ltsm.start("init").ended() == 0
    stop = ltsm.folder / "stop"
    looks = (report, dashboard, shell, report)
    readers = [ltsm.call(look, str(ltsm.store), str(stop)) for _ in range(8) for look in looks]
    for reader in readers:
        reader.said("reading")
    try:
        run = ltsm.sweep(prepare=slow)
        assert run.ended(1_000) == 0, run.words
    finally:
        stop.touch()
    for reader in readers:
        assert reader.ended() == 0, reader.words
        assert "locked" not in reader.words
    assert "lock" not in run.words
    assert results(ltsm.store) == undisturbed


@pytest.mark.torture
def test_sixteen_sweeps_wait_for_each_other(ltsm, undisturbed):
    runs = [ltsm.sweep("--wait") for _ in range(16)]
    assert [run.ended(1_000) for run in runs] == [0] * 16
    assert sum("nothing to do" in run.words for run in runs) == 15
    check(ltsm.store)
    assert results(ltsm.store) == undisturbed


def assert_copies_are_whole(program):
    """Every backup is consistent; and from the last one the sweep goes on to the same bits."""
    copies = sorted((program.folder / "copies").glob("*/ltsm.db"), key=lambda path: int(path.parent.name))
    assert copies
    for path in copies:
        check(path)
    for path in {copies[0], copies[len(copies) // 2], copies[-1]}:
        assert program.sweep("--store", path).ended() == 0, program.words
        assert results(path) == results(program.store)


def until(stop, look):
    from pathlib import Path

    print("reading", flush=True)
    count = 0
    while not Path(stop).exists():
        look(count)
        count += 1
    assert count > 1


def report(path, stop):
    from pathlib import Path

    from ltsm.store import read, schema

    def look(_count):
        store = schema.open_for_reading(Path(path))
        for protocol in read.protocols(store):
            runs = read.runs(store, protocol.id)
            read.metrics(store, [run.id for run in runs])
            read.masks(store, protocol.id, bits=True)
            read.results(store, protocol.id)
        store.close()

    until(stop, look)


def dashboard(path, stop):
    from pathlib import Path

    from ltsm.dashboard.source import Source
    from ltsm.errors import LtsmError

    source = Source(Path(path))

    def look(_count):
        try:
            moment = source.look()
        except LtsmError as error:
            if "holds no runs" not in error.message:
                raise
            return
        if moment is not None:
            source.records(moment.runs)
            source.masks(moment, moment.runs)
            source.table(moment)

    until(stop, look)


def shell(path, stop):
    def look(_count):
        connection = sqlite3.connect(path, timeout=0.5)
        connection.execute("SELECT * FROM table_1").fetchall()
        connection.execute("SELECT count(*) FROM metric").fetchall()
        connection.close()

    until(stop, look)


def backup(path, stop):
    from pathlib import Path

    from ltsm.store import backup as copying
    from ltsm.store import schema

    def look(count):
        store = schema.open_for_reading(Path(path))
        copying.copy(store, Path(path).parents[1] / "copies" / str(count) / "ltsm.db")
        store.close()

    until(stop, look)


def test_a_moved_store_goes_on_where_it_lies(ltsm, undisturbed, tmp_path):
    run = ltsm.sweep()
    run.said("baseline done")
    run.kill()
    moved = tmp_path / "elsewhere"
    ltsm.store.parent.rename(moved)
    check(moved / "ltsm.db")
    assert ltsm.sweep("--store", moved / "ltsm.db").ended() == 0, ltsm.words
    assert results(moved / "ltsm.db") == undisturbed


def test_a_link_to_a_store_is_the_same_store(ltsm, undisturbed):
    """Two names of one file have one lock. Taken out: `resolve` in `engine.store_path`; both sweeps wrote."""
    assert ltsm.start("init").ended() == 0
    link = ltsm.folder / "link.db"
    link.symlink_to(ltsm.store)
    run = ltsm.sweep(prepare=slow)
    assert run.holds(ltsm.store)
    refused(ltsm.sweep("--store", link), 3)
    run.kill()
    assert ltsm.sweep("--store", link).ended() == 0, ltsm.words
    assert results(ltsm.store) == undisturbed
    assert not (ltsm.folder / "weights").exists()


@pytest.mark.parametrize("where", ["results/copy.db", "small.toml", "link"])
def test_a_backup_never_takes_anothers_place(ltsm, where):
    assert ltsm.sweep().ended() == 0
    (ltsm.folder / "link").symlink_to(ltsm.store)
    before = (ltsm.folder / "small.toml").read_bytes()
    refused(ltsm.start("db", "backup", where), 3)
    assert (ltsm.folder / "small.toml").read_bytes() == before
    check(ltsm.store)


def test_the_numbers_alone_can_be_copied(ltsm):
    assert ltsm.sweep().ended() == 0
    assert ltsm.start("db", "backup", "numbers/ltsm.db", "--no-weights").ended() == 0, ltsm.words
    assert ltsm.start("report", "--store", "numbers/ltsm.db").ended() == 0, ltsm.words
    assert (
        "is gone, as are files of"
        in (found := ltsm.start("db", "check", "--store", "numbers/ltsm.db"), found.ended())[0].words
    )


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_the_clock_and_its_zone_change_nothing(ltsm, undisturbed, zone):
    """A clock that runs backwards and jumps, another zone in every command, kills between."""
    draw = random.Random(zone)
    for _ in range(4):
        run = ltsm.sweep(prepare=backwards if draw.random() < 0.5 else zoned)
        run.within(draw.uniform(0.1, 0.4))
        run.kill()
    last = ltsm.sweep(prepare=backwards)
    assert last.ended() == 0, last.words
    check(ltsm.store)
    assert results(ltsm.store) == undisturbed


def backwards():
    from datetime import UTC, datetime, timedelta

    from ltsm.cli import running

    moments = iter(range(10**9))
    running.now = lambda: datetime(2030, 1, 1, tzinfo=UTC) - timedelta(days=next(moments))


def zoned():
    import os
    import time

    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()

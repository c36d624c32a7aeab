"""kill -9 and signals at any moment: nothing lost, nothing doubled, and the same bits in the end."""

import os
import random
import signal
import socket
import statistics
import time
from multiprocessing import forkserver

import pytest
from small import results
from torture.counts import counted, tell
from torture.oracle import check_if_any, finish
from torture.program import Program

from ltsm.store import read, schema

IN_A_STORE = 6
"""Kills of one sweep before it is left alone to end."""


def states(path):
    store = schema.open_for_reading(path)
    found = {run.state for run in read.runs(store)}
    store.close()
    return found


@pytest.fixture
def moment(context, tmp_path, undisturbed):
    """Draws how long to wait so that a sweep is probably still under way: as long as one takes here and now."""
    began = time.monotonic()
    assert Program(context, tmp_path / "timed").sweep().ended() == 0
    length = time.monotonic() - began
    return lambda draw: draw.uniform(0.0, length)


def test_the_trials_server_outlives_who_is_killed_while_asking(ltsm):
    """Taken out: `warm.received`; the server was gone, and nothing could be started."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(forkserver._forkserver._forkserver_address)
    assert ltsm.start("--version").ended() == 0


@counted("kills", shards=2)
def test_killed_at_any_moment_a_sweep_ends_with_the_same_bits(context, tmp_path, undisturbed, moment, count):
    """Taken out: writing the checkpoint before its row (`jobs._commit_segment`, row first); `check_if_any` found a
    row without its file.
    """
    draw, killed, rounds = random.Random(count), 0, 0
    while killed < count:
        program = Program(context, tmp_path / str(rounds))
        rounds += 1
        for _ in range(min(IN_A_STORE, count - killed)):
            run = program.sweep()
            if run.within(moment(draw)):
                assert run.ended() == 0, run.words
                break
            run.kill()
            killed += 1
            check_if_any(program.store)
        finish(program, undisturbed)
    tell("kills at random moments", killed)


SOON_S = 2.0
"""So long after a signal the program has ended; its segments are short here."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


@counted("signals in the driver")
def test_a_signal_stops_the_sweep_soon_and_costs_nothing(context, tmp_path, undisturbed, moment, count):
    """Ctrl-C, SIGTERM and SIGHUP at random moments, its start and its end among them; every other time a second one.

    Taken out: `signals.install` in `cli.main`; it was never ready for a signal. Taken out: `_hand` in there; a signal
    before the training ended it otherwise than with 130 or 143.
    """
    draw, sent, rounds, took = random.Random(count), 0, 0, []
    while sent < count:
        program = Program(context, tmp_path / str(rounds))
        rounds += 1
        for _ in range(min(IN_A_STORE, count - sent)):
            run, number = program.sweep(prepare=ready), draw.choice(list(CODES))
            assert run.said("ready"), run.words
            if run.within(moment(draw)):
                break
            run.signal(number)
            if twice := sent % 2:
                run.within(draw.uniform(0.0, 0.02))
                run.signal(number)
            sent += 1
            began = time.monotonic()
            # this machine may be busy with other tests: for all of them the limit is looser
            assert run.within(20), run.words
            took.append(time.monotonic() - began)
            assert run.ended() in {0, CODES[number]}, (number, run.words)
            check_if_any(program.store)
            if run.ended() and not twice and "segments that are under way" in run.words:
                assert "error: stopped; every finished segment is kept" in run.words
            assert "Traceback" not in run.words
        finish(program, undisturbed)
    assert statistics.median(took) < SOON_S
    tell("signals to the driver", sent)


def ready():
    """Tell when signals are in its own hands: before that they are Python's."""
    from ltsm.cli import signals

    install = signals.install

    def installed():
        install()
        print("ready", flush=True)

    signals.install = installed


def test_a_stopped_run_is_interrupted_and_not_running(ltsm):
    run = ltsm.sweep()
    run.said("baseline done")
    run.signal(signal.SIGTERM)
    assert run.ended() == 143
    assert states(ltsm.store) <= {"done", "interrupted", "pending"}


def test_what_is_ignored_stays_ignored(ltsm):
    """Under nohup a hangup stops nothing. Taken out: the look at SIG_IGN in `signals._handled_by`; it stopped."""
    run = ltsm.sweep(prepare=ignore_hangup)
    run.said("initial training done")
    run.signal(signal.SIGHUP)
    assert run.ended() == 0, run.words


def ignore_hangup():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@counted("signals in the workers")
def test_signals_to_workers_change_nothing(context, tmp_path, undisturbed, moment, count):
    """A worker leaves Ctrl-C and hangups to the driver; ended by SIGTERM it is started again, its run retried.

    Taken out: ignoring SIGHUP in `worker._serve`; the worker died of it and the second assertion failed.
    """
    draw, sent, rounds = random.Random(count), 0, 0
    while sent < count:
        program = Program(context, tmp_path / str(rounds))
        rounds += 1
        run, number = program.sweep(), draw.choice(list(CODES))
        run.within(moment(draw))
        sent += run.signal_worker(number)
        assert run.ended() == 0, run.words
        assert ("died of" in run.words) <= (number == signal.SIGTERM), run.words
        assert results(program.store) == undisturbed
    tell("signals to workers", sent)


@counted("worker deaths")
def test_a_killed_worker_costs_nothing(context, tmp_path, undisturbed, moment, count):
    """Taken out: the retry in `Execution._fail`; the sweep ended with exit code 1."""
    draw, killed, named, rounds = random.Random(count), 0, 0, 0
    while killed < count:
        program = Program(context, tmp_path / str(rounds))
        rounds += 1
        run = program.sweep()
        run.within(moment(draw))
        if run.signal_worker(signal.SIGKILL):
            killed += 1
        assert run.ended() == 0, run.words
        named += "died of signal SIGKILL, perhaps for want of memory" in run.words
        assert results(program.store) == undisturbed
    assert named > count / 2
    tell("killed workers", killed)


def test_a_run_whose_worker_dies_twice_fails_alone(ltsm, undisturbed):
    """Named with how it died; the others go on; the same command tries it again.

    Taken out: `active.retried`; the run was retried for ever.
    """
    run = ltsm.sweep("--keep-going", prepare=deadly)
    assert run.ended() == 1
    assert "hyperop (4, 3) failed: the worker process" in run.words
    assert "died of exit code 9" in run.words
    found = results(ltsm.store)
    assert found[0, "hyperop (4, 3)"][0] == "failed"
    assert sum(run[0] == "done" for run in found.values()) == len(found) - 1
    finish(ltsm, undisturbed)


def deadly():
    """Every worker that is to make this hyperop dies."""
    from ltsm.steps.first import first_state
    from ltsm.steps.worker import WorkerProcess

    submit = WorkerProcess.submit

    def made(fn, args):
        return args[1].hidden if fn is first_state else None

    def submitted(self, fn, /, *args):
        return submit(self, os._exit, 9) if made(fn, args) == (4, 3) else submit(self, fn, *args)

    WorkerProcess.submit = submitted


@pytest.fixture(scope="module")
def elsewhere(context, tmp_path_factory, undisturbed):
    """A store with the whole sweep."""
    program = Program(context, tmp_path_factory.mktemp("elsewhere"))
    assert program.sweep().ended() == 0, program.words
    yield program.store
    program.close()


@counted("kills of merges")
def test_killed_at_any_moment_a_merge_ends_with_the_same_bits(
    context, tmp_path, undisturbed, elsewhere, moment, count
):
    """Into what a killed sweep has left: every run is wholly what it was, or what it is in the other store.

    Taken out: copying files before rows in `merge._take`; `check_if_any` found a row without its file.
    """
    draw, killed, rounds, there = random.Random(count), 0, 0, elsewhere.read_bytes()
    merge, length = ("db", "merge", elsewhere), merging_takes(context, tmp_path, elsewhere)
    while killed < count:
        program = Program(context, tmp_path / str(rounds))
        rounds += 1
        sweep = program.sweep()
        sweep.within(moment(draw) / 2)
        sweep.kill()
        for _ in range(min(IN_A_STORE, count - killed)):
            run = program.start(*merge)
            if run.within(draw.uniform(0.0, length)):
                assert run.ended() == 0, run.words
                break
            run.kill()
            killed += 1
            check_if_any(program.store)
        last = program.start(*merge)
        assert last.ended() == 0, last.words
        check_if_any(program.store)
        assert results(program.store) == undisturbed
        assert elsewhere.read_bytes() == there
    tell("kills of merges", killed)


def merging_takes(context, folder, other):
    """How long a merge takes here and now."""
    program, began = Program(context, folder / "merged"), time.monotonic()
    assert program.start("db", "merge", other).ended() == 0, program.words
    return time.monotonic() - began

"""Nobody reads what the program says, or can: the sweep goes on, and Ctrl-C is heard."""

import os
import signal
import termios
import time
from pathlib import Path

import pytest
from small import results
from torture.oracle import check, check_if_any, finish
from torture.program import slow, wait_for


def closed_pipe():
    """As under `ltsm sweep 2>&1 | head -1`."""
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(reading)


def full():
    os.dup2(os.open("/dev/full", os.O_WRONLY), 2)


def blocked():
    """A pipe that is full and that nobody reads: a paused `less`, a terminal after Ctrl-S."""
    slow()
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    os.dup2(writing, 2)
    globals()["kept"] = reading


def stopped():
    """A terminal after Ctrl-S: the thread that draws the bars waits for it, and with it whoever would say something."""
    from ltsm.cli import say
    from ltsm.steps import jobs

    reading, writing = os.openpty()
    os.dup2(writing, 2)
    say.words.is_interactive = True  # Rich looked when it was imported
    globals()["kept"] = reading
    commit = jobs.Job.commit

    def committed(self, result):
        termios.tcflow(writing, termios.TCOOFF)
        time.sleep(0.5)  # a bar is drawn ten times a second
        Path("waiting").touch()
        return commit(self, result)

    jobs.Job.commit = committed


def test_words_that_nobody_reads_stop_no_sweep(ltsm, undisturbed):
    """A closed pipe. Taken out: `say.Words`; the sweep ended with exit code 1 at its first line."""
    assert ltsm.sweep(prepare=closed_pipe).ended() == 0
    assert results(ltsm.store) == undisturbed


def test_words_that_find_no_space_stop_no_sweep(ltsm, undisturbed):
    """2> on a full disk. Taken out: `say.Words`; exit code 1. Taken out: what `_silence` does; the same."""
    assert ltsm.sweep(prepare=full).ended() == 0
    assert results(ltsm.store) == undisturbed


@pytest.mark.parametrize("prepare", [blocked, stopped])
def test_ctrl_c_is_heard_while_words_wait_for_a_reader(ltsm, undisturbed, prepare):
    """Taken out: the exceptions caught in `signals`, or the timer in `signals._end`, which `stopped` needs;
    the second Ctrl-C did not end the program.
    """
    run = ltsm.sweep(prepare=prepare)
    assert run.holds(ltsm.store)
    time.sleep(1.0)
    if prepare is stopped:
        wait_for((ltsm.folder / "waiting").exists)
    run.signal(signal.SIGINT)
    run.within(0.2)
    run.signal(signal.SIGINT)
    assert run.within(10)
    assert run.ended() == 130
    check_if_any(ltsm.store)
    finish(ltsm, undisturbed)


def full_stdout():
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def test_a_report_that_finds_no_space_says_so(ltsm):
    """Taken out: `say._written`; a traceback."""
    assert ltsm.sweep().ended() == 0
    for command in (["report"], ["status"], ["status", "--json"], ["db", "check"]):
        run = ltsm.start(*command, prepare=full_stdout)
        assert run.ended() == 3, (command, run.words)
        assert "error: cannot write to stdout: No space left" in run.words, (command, run.words)
    check(ltsm.store)

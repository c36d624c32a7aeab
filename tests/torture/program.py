"""The program under test in processes forked from one that has imported it: kill, signal and look."""

import contextlib
import ctypes
import itertools
import os
import signal
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

from ltsm.store.claim import holder

TOML = """base = "paper"
name = "small"
dataset = "digits"
seeds = "0"
hidden = [12, 6]
initial_iterations = 400
iterations = 200
record_every = 10
lr = 0.01
threshold_step = 0.1
hyperops = [[12, 6], [4, 3]]
"""


GROUP_SIGNALS = (signal.SIGINT, signal.SIGHUP)


def serve(server, folder, arguments, words, prepare, function):
    """The life of a process: the program with these arguments, in this folder, its words in a file."""
    from ltsm import cli
    from ltsm.steps import worker

    # The workers are real processes too, and come from the same server.
    forkserver._forkserver._forkserver_address = server
    forkserver._forkserver.ensure_running = lambda: None
    original = worker.multiprocessing.get_context
    worker.multiprocessing.get_context = lambda _method: original("forkserver")
    started = worker.WorkerProcess._started

    def told(self):
        connection = started(self)
        Path("workers").open("a").write(f"{self.pid}\n")
        return connection

    worker.WorkerProcess._started = told
    os.setsid()
    os.chdir(folder)
    handle = os.open(words, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout = open(1, "w", closefd=False)
    sys.stderr = open(2, "w", closefd=False, buffering=1)
    import logging

    from ltsm.cli import say, signals

    logging.getLogger().handlers.clear()
    say.words._file = sys.stderr
    sys.argv = ["ltsm", *arguments]
    # Tests that run under nohup or behind `&` hand down signals that are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if prepare is not None:
        prepare()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)
    if function is not None:
        function(*arguments)
        return
    try:
        cli.main()
    finally:
        signals.ignore()  # as Python does it at its end, which a process of multiprocessing's never comes to


class Program:
    """Runs of the program in one folder."""

    def __init__(self, context, folder):
        self.folder = Path(folder)
        self.store = self.folder / "results" / "ltsm.db"
        self._context = context
        self._numbers = itertools.count()
        self._running = []
        self.folder.mkdir(exist_ok=True)
        (self.folder / "small.toml").write_text(TOML)

    def start(self, *arguments, prepare=None):
        """A process of the program under way."""
        return self._started(prepare, None, [str(argument) for argument in arguments])

    def call(self, function, *arguments):
        """A process that calls this, in the same surroundings."""
        return self._started(None, function, list(arguments))

    def _started(self, prepare, function, arguments):
        (self.folder / "workers").unlink(missing_ok=True)
        words = self.folder / f"words-{next(self._numbers)}"
        words.touch()
        process = self._context.Process(
            target=serve,
            args=(
                forkserver._forkserver._forkserver_address,
                str(self.folder),
                arguments,
                str(words),
                prepare,
                function,
            ),
        )
        process.start()
        found = Run(process, words)
        self._running.append(found)
        return found

    def sweep(self, *arguments, **more):
        """A small sweep under way."""
        return self.start("sweep", "--protocol", "small.toml", "--jobs", "1", *arguments, **more)

    @property
    def words(self):
        """What the last process said."""
        return self._running[-1].words if self._running else ""

    def close(self):
        for run in self._running:
            run.kill()


class Run:
    """One process of the program."""

    def __init__(self, process, words):
        self._process = process
        self._words = words
        self.pid = process.pid

    @property
    def words(self):
        return self._words.read_text(errors="replace")

    def ended(self, seconds=120):
        """Its exit code, once it has ended."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"still running after {seconds} s: {self.words}"
        return self._process.exitcode

    @property
    def running(self):
        return self._process.exitcode is None

    def said(self, *texts, seconds=60):
        """Wait until it has said one of these, or has ended; whether it said it."""
        return self._until(lambda: any(text in self.words for text in texts), seconds)

    def _until(self, true, seconds):
        end = time.monotonic() + seconds
        while self.running and not true():
            assert time.monotonic() < end, self.words
            time.sleep(0.002)
        return true()

    def holds(self, store, seconds=60):
        """Wait until it has ended, or writes to this store; whether it does."""
        return self._until(lambda: (found := holder(store)) is not None and found.pid == self.pid, seconds)

    def within(self, seconds):
        """Whether it ends by itself within this time."""
        self._process.join(seconds)
        return not self.running

    def signal(self, number):
        if self.running:
            with contextlib.suppress(ProcessLookupError):  # it may end at this moment
                os.kill(self.pid, number)

    def kill(self):
        if self.running:
            self._process.kill()
        self._process.join()

    def signal_worker(self, number):
        """Signal its newest worker, once it has one; whether there was one to signal."""
        there = self._words.with_name("workers")
        self._until(there.exists, 60)
        if not there.exists() or not self.running:
            return False
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(int(there.read_text().split()[-1]), number)
            return True
        return False


def slow():
    """Every segment takes a tenth of a second longer: long enough to be met while it runs."""
    from ltsm.steps import jobs

    commit = jobs.Job.commit

    def committed(self, result):
        time.sleep(0.1)
        return commit(self, result)

    jobs.Job.commit = committed


def full_disk(after, folder):
    """From the write number `after` on, this process's disk is full, as far as it holds `folder`."""
    shim = ctypes.CDLL(os.environ["LTSM_FULL_DISK"])
    shim.fail_writes(after, os.fsencode(str(folder)))


def counting(folder, report):
    """Count this process's writes below `folder`, and write their number to the file `report`."""
    shim = ctypes.CDLL(os.environ["LTSM_FULL_DISK"])
    shim.fail_writes(10**9, os.fsencode(str(folder)))
    from ltsm import cli

    original = cli.main

    def main():
        try:
            original()
        finally:
            Path(report).write_text(str(shim.writes()))

    cli.main = main


def wait_for(true, seconds=30):
    """Poll until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)

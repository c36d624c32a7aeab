"""Signals at the moments at which Python hands them from one to the other: its start and end are the program's too."""

import signal
import subprocess
import sys

import pytest

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}

AS_IN_A_TERMINAL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
"""Tests that run under nohup or behind `&` hand down signals that are ignored."""

AT_THE_LAST_WORD = """
import os, sys
from ltsm.cli import main, say
number, error = int(sys.argv.pop()), say.error
def last_word(words):
    error(words)
    os.kill(os.getpid(), number)
say.error = last_word
main()
"""

WHILE_PYTHON_LEAVES = """
import os, sys
import ltsm
from ltsm.cli import main
class Last:
    def __init__(self, number): self.number, self.pid, self.kill, self.write = number, os.getpid(), os.kill, os.write
    def __del__(self):
        self.write(1, b"cleared")
        self.kill(self.pid, self.number)
ltsm.last = Last(int(sys.argv.pop()))
main()
"""

TWICE = """
import os, sys, time
from ltsm.cli import main
from ltsm.store import engine
number = int(sys.argv.pop())
def twice(*_):
    try:
        os.kill(os.getpid(), number)
        time.sleep(5)
    finally:
        os.kill(os.getpid(), number)
        print("cleaned up")
engine.store_path = twice
main()
"""


def ended(code, number, *command):
    return subprocess.run(
        [sys.executable, "-c", AS_IN_A_TERMINAL + code, *command, str(int(number))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_one_after_the_last_word_ends_it_with_its_code(number, tmp_path):
    """Taken out: `signals.install` after its first use, as a context manager is; the exit code was the signal's."""
    found = ended(AT_THE_LAST_WORD, number, "status", "--store", str(tmp_path / "none.db"))
    assert found.returncode == CODES[number]
    assert found.stderr.startswith("error: ")
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("number", NUMBERS)
def test_one_while_python_leaves_changes_nothing(number):
    """Taken out: the `atexit.register` in `signals.install`; the exit code was the signal's."""
    found = ended(WHILE_PYTHON_LEAVES, number, "--version")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.endswith("cleared")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_second_one_interrupts_no_cleaning_up(number):
    """Taken out: the `ignore` in `signals._leave`; the second one left before the last line."""
    found = ended(TWICE, number, "status")
    assert (found.returncode, found.stdout, found.stderr) == (CODES[number], "cleaned up\n", "")

"""Ctrl-C, SIGTERM and SIGHUP: stop after the segment, or leave at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ltsm.cli import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
GRACE_S = 1.5
"""How long a program that leaves may clean up."""
WORDS_S = 0.2
"""How long its last words may take."""


def exit_code(number: int) -> int:
    """What a shell expects: 130 after Ctrl-C, 143 when told to end."""
    return 130 if number == signal.SIGINT else 143


@contextmanager
def leave_at_once() -> Iterator[None]:
    """While the block runs, a signal ends the program quietly, with the exit code of its kind."""

    def leave(number: int, _frame: FrameType | None) -> None:
        code = exit_code(number)
        # The exception cleans up; where it falls into an object's last moments Python says so, and drops it.
        sys.unraisablehook = lambda _fault: None
        last = threading.Timer(GRACE_S, _end, [code])
        last.daemon = True
        last.start()
        raise SystemExit(code)

    with _handled_by(leave):
        yield


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Turn a signal into the exit code to stop with, or 0; a second one ends the program where it stands.

    That is no worse than a power cut: what was committed stays, and the same command goes on from there.
    """
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if received:
            _end(received[0])
        received.append(exit_code(number))
        with suppress(
            RuntimeError
        ):  # it came while these words' stream was being written to, and waits for a reader
            say.note("stopping after the segments that are under way; once more to stop at once")

    with _handled_by(stop):
        yield lambda: received[0] if received else 0


def _end(code: int) -> None:
    # An exception could be raised anywhere here, in the middle of another's clean-up, and be swallowed there.
    for worker in multiprocessing.active_children():
        worker.kill()
    # A terminal or pipe that takes nothing now must not hold up the end.
    last = threading.Timer(WORDS_S, os._exit, [code])
    last.daemon = True
    last.start()
    with suppress(RuntimeError, OSError):
        say.words.show_cursor()
        sys.stderr.flush()
    os._exit(code)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Hand signals to `handler`; one that is ignored, as SIGHUP under nohup, stays ignored."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {n: signal.getsignal(n) for n in numbers}
    heard = [n for n in numbers if before[n] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])

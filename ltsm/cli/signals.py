"""Ctrl-C, SIGTERM and SIGHUP: stop after the segment, or leave at once."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

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


def install() -> None:
    """From now on a signal ends the program quietly, with the exit code of its kind, once and for all."""
    _hand(_leave)
    # Python gives handlers back just before it ends, and a late signal would then decide how. The first to be
    # registered is the last to be called: until then a signal still ends what may hang there.
    atexit.register(ignore)


def ignore() -> None:
    """Let nothing interrupt the end."""
    sys.unraisablehook = _report
    _hand(signal.SIG_IGN)


def _report(fault: Any) -> None:
    """Say what went wrong in an object's last moments; but not that a signal came at that very moment."""
    if not issubclass(fault.exc_type, SystemExit | KeyboardInterrupt):
        sys.__unraisablehook__(fault)


def _leave(number: int, _frame: FrameType | None) -> None:
    ignore()
    code = exit_code(number)
    last = threading.Timer(GRACE_S, _end, [code])
    last.daemon = True
    with suppress(RuntimeError):  # Python is ending, and starts no thread any more
        last.start()
    raise SystemExit(code)


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Turn a signal into the exit code to stop with, or 0; a second one ends the program where it stands.

    That is no worse than a power cut: what was committed stays, and the same command goes on from there.
    """
    from ltsm.cli import say

    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if received:
            _end(received[0])
        received.append(exit_code(number))
        # It may come while these words' stream is being written to, and waits for a reader.
        with suppress(RuntimeError):
            say.note("stopping after the segments that are under way; once more to stop at once")

    before = _hand(stop)
    try:
        yield lambda: received[0] if received else 0
    finally:
        for heard, handler in before.items():
            signal.signal(heard, handler)


def _end(code: int) -> None:
    # An exception could be raised anywhere here, in the middle of another's clean-up, and be swallowed there. Nor must
    # a terminal or pipe that takes nothing now hold up the end, or an import that is under way: none is made here.
    last = threading.Timer(WORDS_S, os._exit, [code])
    last.daemon = True
    last.start()
    with suppress(KeyError, AttributeError):  # not imported, or not wholly
        for worker in sys.modules["multiprocessing"].active_children():
            worker.kill()
    with suppress(KeyError, AttributeError, RuntimeError, OSError):
        sys.modules["ltsm.cli.say"].words.show_cursor()
        sys.stderr.flush()
    os._exit(code)


def _hand(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> dict[int, Any]:
    """Hand signals to `handler`, and return who had them; one that is ignored, as SIGHUP under nohup, stays ignored."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heard = {number: had for number, had in before.items() if had is not signal.SIG_IGN}
    for number in heard:
        signal.signal(number, handler)
    return heard

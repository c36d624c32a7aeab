"""stdin, stdout and stderr, and what libraries read of the environment, as the program needs them."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

INSTEAD = "backslashreplace"
"""How a character is written that an encoding lacks: `±` as `\\xb1` in ASCII."""


def prepare() -> None:
    """Write any character to stdout and stderr in any encoding; lead a stream that is closed to nowhere.

    Figures are files, whatever a notebook that started the program has chosen for its own.
    """
    os.environ["MPLBACKEND"] = "agg"
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = sys.stdout or _nowhere("w")
    sys.stderr = sys.stderr or _nowhere("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):  # another file was put under it
                stream.reconfigure(errors=INSTEAD)


def write_utf8(stream: TextIO) -> None:
    """From now on write UTF-8 to a file or a pipe; a terminal keeps its own encoding."""
    if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
        stream.reconfigure(encoding="utf-8", errors=INSTEAD)


def _nowhere(mode: str) -> TextIO:
    return Path(os.devnull).open(mode, encoding="utf-8")  # type: ignore[return-value]  # a text mode

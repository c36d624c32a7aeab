"""What the program says: the one owner of stdout (data) and stderr (words)."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from ltsm.notation import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleOptions, RenderableType

    from ltsm.errors import LtsmError

words = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
"""For people: progress, notes, errors. In a log a line stays a line."""


def data(text: str) -> None:
    """Write a document to stdout; a reader that closed the pipe early has had enough.

    What would steer a terminal is shown instead: stores and file names may come from anybody.
    """
    shown = visible(text.replace("\r\n", "\n"))
    sys.stdout.write(shown if shown.endswith("\n") else shown + "\n")
    sys.stdout.flush()


def table(renderable: RenderableType) -> None:
    """Write a table to stdout: coloured in a terminal, plain and unwrapped in a pipe."""
    terminal = sys.stdout.isatty()
    Console(highlight=False, width=None if terminal else 160).print(_Visible(renderable))


def as_json(value: Any) -> None:
    """Write one JSON document to stdout; NaN is no JSON and must not reach this."""
    data(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def note(text: str) -> None:
    """Say something to the person, on stderr; nothing in it is taken for markup."""
    words.print(Text(visible(text)))


def warn(text: str) -> None:
    """Say in red what must not be missed."""
    words.print(Text(visible(text), style="bold red"))


def error(problem: LtsmError) -> None:
    """Say what is wrong, and the next thing to type."""
    words.print(Text.assemble(("error: ", "bold red"), visible(problem.message)))
    if problem.hint:
        words.print(Text.assemble(("next:  ", "bold"), visible(problem.hint)))


def handler() -> logging.Handler:
    """Where the log goes: to stderr, a line a message."""
    found = logging.StreamHandler(sys.stderr)
    found.setFormatter(_VisibleFormatter("%(message)s"))
    return found


class _VisibleFormatter(logging.Formatter):
    """The log's lines with nothing in them that steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return visible(super().format(record))


@dataclass(frozen=True, slots=True)
class _Visible:
    """What Rich shows of `renderable`, its text made harmless; the colours are Rich's own and stay."""

    renderable: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield Segment(text, segment.style, segment.control)

"""What the program says: the one owner of stdout (data) and stderr (words)."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ltsm.cli.surroundings import write_utf8
from ltsm.errors import StoreError
from ltsm.notation import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import ConsoleOptions, RenderableType

    from ltsm.errors import LtsmError


class Words(Console):
    """A console whose listener may go: a closed pipe or terminal, or a full disk under a log, stops no sweep."""

    def print(self, *objects: Any, **manner: Any) -> None:
        """Say it, or from now on nothing."""
        try:
            super().print(*objects, **manner)
        except OSError:
            _silence(self.file)

    def on_broken_pipe(self) -> None:
        """The same; Rich would end the program."""
        _silence(self.file)


words = Words(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
"""For people: progress, notes, errors. In a log a line stays a line."""


def data(text: str) -> None:
    """Write a document to stdout; a reader that closed the pipe early has had enough.

    What would steer a terminal is shown instead: stores and file names may come from anybody.

    Raises:
        StoreError: the disk is full.
    """
    shown = visible(text.replace("\r\n", "\n"))
    with _written():
        sys.stdout.write(shown if shown.endswith("\n") else shown + "\n")
        sys.stdout.flush()


def document(text: str) -> None:
    """Write what has an encoding of its own, UTF-8, to stdout: the same bytes as to a file, in any locale.

    Raises:
        StoreError: the disk is full.
    """
    with _written():
        write_utf8(sys.stdout)
    data(text)


def pieces(texts: Iterable[str]) -> None:
    """Write a document to stdout as `document` does, piece by piece.

    Raises:
        StoreError: the disk is full.
    """
    with _written():
        write_utf8(sys.stdout)
        for text in texts:
            sys.stdout.write(visible(text))
        sys.stdout.flush()


def table(renderable: RenderableType) -> None:
    """Write a table to stdout: coloured in a terminal, plain and unwrapped in a pipe.

    No string in it is taken for markup or an emoji's name: protocols and files may have any name.

    Raises:
        StoreError: the disk is full.
    """
    terminal = sys.stdout.isatty()
    with _written():
        console = Console(markup=False, emoji=False, highlight=False, width=None if terminal else 160)
        console.print(_Visible(renderable))


def rows(found: Iterable[Iterable[RenderableType]], *headings: str, **how: Any) -> None:
    """Write rows under these headings to stdout, as `table` does; `how` the table looks is Rich's to know.

    Raises:
        StoreError: the disk is full.
    """
    made = Table(*headings, **how)
    for row in found:
        made.add_row(*row)
    table(made)


def as_json(schema: str, version: int, value: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout: which it is, in which version, and its values, in which there is no NaN.

    A version changes when a reader of the one before would misread it; what is only added changes nothing.
    """
    named = {"schema": schema, "version": version, **value}
    document(json.dumps(named, indent=2, ensure_ascii=False, allow_nan=False))


def note(text: str) -> None:
    """Say something to the person, on stderr; nothing in it is taken for markup."""
    words.print(Text(visible(text)))


def warn(text: str) -> None:
    """Say in red what must not be missed, also by who wants quiet."""
    quiet, words.quiet = words.quiet, False
    words.print(Text(visible(text), style="bold red"))
    words.quiet = quiet


def error(problem: LtsmError) -> None:
    """Say what is wrong, and the next thing to type."""
    words.quiet = False
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


@contextmanager
def _written() -> Iterator[None]:
    """What is written to stdout in the block is there after it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _silence(sys.stdout)
        raise StoreError(
            f"cannot write to stdout: {error.strerror}.", "make space, and type it again"
        ) from error


def _silence(stream: IO[str]) -> None:
    """Lead a stream that takes no more to nowhere, or Python tries its rest again at the end, and fails."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@dataclass(frozen=True, slots=True)
class _Visible:
    """What Rich shows of `renderable`, its text made harmless; the colours are Rich's own and stay."""

    renderable: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield Segment(text, segment.style, segment.control)

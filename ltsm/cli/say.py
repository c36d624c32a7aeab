"""What the program says: the one owner of stdout (data) and stderr (words)."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ltsm.errors import LtsmError

words = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
"""For people: progress, notes, errors. In a log a line stays a line."""


def data(text: str) -> None:
    """Write a document to stdout, as it is; a reader that closed the pipe early has had enough."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def table(renderable: RenderableType) -> None:
    """Write a table to stdout: coloured in a terminal, plain and unwrapped in a pipe."""
    terminal = sys.stdout.isatty()
    Console(highlight=False, width=None if terminal else 160).print(renderable)


def as_json(value: Any) -> None:
    """Write one JSON document to stdout; NaN is no JSON and must not reach this."""
    data(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def note(text: str) -> None:
    """Say something to the person, on stderr; nothing in it is taken for markup."""
    words.print(Text(text))


def warn(text: str) -> None:
    """Say in red what must not be missed."""
    words.print(Text(text, style="bold red"))


def error(problem: LtsmError) -> None:
    """Say what is wrong, and the next thing to type."""
    words.print(Text.assemble(("error: ", "bold red"), problem.message))
    if problem.hint:
        words.print(Text.assemble(("next:  ", "bold"), problem.hint))

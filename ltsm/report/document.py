"""The report's documents: one function a format, from an evaluation to its text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console

from ltsm.errors import StoreError
from ltsm.report import delimited, escape
from ltsm.report import terminal as rich_tables
from ltsm.report.table1 import table_1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rich.console import RenderableType

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Figure


def terminal(evaluation: Evaluation, *, against_paper: bool) -> RenderableType:
    """The tables for a terminal."""
    return rich_tables.table_1(table_1(evaluation), against_paper=against_paper)


def text(evaluation: Evaluation, against_paper: bool) -> str:
    """What a terminal of 160 columns shows, without its colours."""
    console = Console(file=io.StringIO(), width=160, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(terminal(evaluation, against_paper=against_paper))
    return captured.get()


def csv(evaluation: Evaluation, against_paper: bool) -> str:
    """Table 1 as comma-separated values."""
    return delimited.table_1(table_1(evaluation), against_paper=against_paper)


def captions(figures: Iterable[Figure]) -> str:
    """The captions of some figures as Markdown."""
    return "\n\n".join(f"**Figure {f.number}.** {escape.markdown(f.caption)}" for f in figures) + "\n"


def save(path: Path, content: bytes) -> None:
    """Write a document.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}.", "choose another file with -o") from None


WRITERS: dict[str, Callable[[Evaluation, bool], str]] = {"text": text, "csv": csv}

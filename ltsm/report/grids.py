"""Tables for terminals of any width: where one has no room its narrower forms stand for it, and no number is cut."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich import box
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, ConsoleOptions, RenderableType

LABEL = 12
"""Room enough for every word of a label: `[baseline]`, `Welch's test`."""
_LESS = "dim not bold"
_TITLE: dict[str, Any] = {"title_style": "bold", "title_justify": "left"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: its label, and its cells, of which each may have further lines, named by `parts`."""

    label: str
    cells: tuple[Text, ...]
    parts: tuple[str, ...] = ()
    group: str | None = None
    style: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as values: the first heading is the labels', the others the cells'."""

    headings: tuple[str, ...]
    entries: tuple[Entry, ...]
    title: str | None = None
    words: tuple[str, ...] = ()
    """The columns that are words and stand at the left."""
    label_width: int = LABEL
    groups_named: bool = False
    """Whether a line above each group names it, where no column does."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """The first form that fits: the first on one line a heading, the others as narrow as they go, else the last."""

    forms: tuple[Table, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The form for this console."""
        endless = options.update(max_width=10_000)  # a measure ends where the room does
        sizes = [Measurement.get(console, endless, form) for form in self.forms]
        needed = [sizes[0].maximum, *(size.minimum for size in sizes[1:])]
        fitting = (form for form, n in zip(self.forms, needed, strict=True) if n <= options.max_width)
        yield next(fitting, self.forms[-1])


def wide(grid: Grid) -> Table:
    """A line a row, as wide as it comes."""
    table = Table(box=box.SIMPLE_HEAD, title=grid.title, **_TITLE)
    for i, heading in enumerate(grid.headings):
        table.add_column(heading, justify="right" if i and heading not in grid.words else "left")
    for entry, begins in _grouped(grid):
        if begins:
            table.add_section()
        label = Text(entry.label)
        label.append("".join(f"\n  {part}" for part in entry.parts), style=_LESS)
        table.add_row(label, *entry.cells, style=entry.style)
    return table


def tight(grid: Grid) -> Table:
    """Cells as wide as what is in them, labels folded between words."""
    table = Table(box=box.SIMPLE_HEAD, title=grid.title, pad_edge=False, collapse_padding=True, **_TITLE)
    table.add_column(grid.headings[0], min_width=grid.label_width, overflow="fold")
    for i, heading in enumerate(grid.headings[1:]):
        # One column alone may shrink: Rich takes from the widest without asking what is in it.
        width = _longest(heading.split(), *(e.cells[i].plain.split("\n") for e in grid.entries))
        justify: Any = "left" if heading in grid.words else "right"
        table.add_column(heading, justify=justify, width=width, overflow="fold")
    for entry, begins in _grouped(grid):
        if begins:
            table.add_section()
        if grid.groups_named and begins and entry.group:
            table.add_row(Text(f"{entry.group}s", style="italic"))
        for name, *cells in _lines(entry):
            table.add_row(name, *cells, style=entry.style)
    return table


def stacked(grid: Grid) -> Table:
    """A heading and its number a line, row below row: for the narrowest terminals."""
    numbers = [line.plain for entry in grid.entries for cell in entry.cells for line in cell.split("\n")]
    table = Table(box=None, title=grid.title, show_header=False, pad_edge=False, **_TITLE)
    table.add_column(overflow="fold")
    table.add_column(justify="right", width=_longest(numbers), overflow="fold")
    for entry in grid.entries:
        table.add_row(Text(entry.label, style="bold"))
        for heading, cell in zip(grid.headings[1:], entry.cells, strict=True):
            for name, line in zip((heading, *entry.parts), cell.split("\n"), strict=True):
                indent = 2 if name == heading else 4
                table.add_row(Padding(Text(name), (0, 0, 0, indent)), line, style=entry.style)
    return table


def _grouped(grid: Grid) -> Iterator[tuple[Entry, bool]]:
    """Each entry, and whether it is the first of a group that is not the table's first."""
    for i, entry in enumerate(grid.entries):
        yield entry, i > 0 and entry.group != grid.entries[i - 1].group


def _lines(entry: Entry) -> Iterator[tuple[Text, ...]]:
    """The rows of an entry: its label, which may fold, with the first lines, then each part with its own."""
    if not entry.parts:
        yield Text(entry.label), *entry.cells
        return
    names = (Text(entry.label), *(Text(f"  {part}", style=_LESS) for part in entry.parts))
    yield from zip_longest(names, *(cell.split("\n") for cell in entry.cells), fillvalue=Text())


def _longest(*texts: Iterable[str]) -> int:
    return max((len(text) for part in texts for text in part), default=1)

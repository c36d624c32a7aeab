"""The report for a terminal: rich tables. One that has no room for a line a row is stacked; no number is cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ltsm.report.grids import Entry, Grid, of_comparison
from ltsm.report.paired import ENOUGH_PAIRS
from ltsm.report.words import MISSING, mean_and_spread, p_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, ConsoleOptions, RenderableType

    from ltsm.report import published_claims
    from ltsm.report.contents import Contents
    from ltsm.report.paper.comparison import Line
    from ltsm.report.paper.verify import Verification

LABEL = 12
"""Room enough for every word of a label: `[baseline]`, `Welch's test`."""
_LESS = "dim not bold"
_STYLES = {
    "reproduced": "green",
    "differs": "bold red",
    "not shown": "yellow",
    "not enough seeds": "yellow",
    "not run": "dim",
}
_TITLE: dict[str, Any] = {"title_style": "bold", "title_justify": "left"}


def report(found: Contents, *, against_paper: bool) -> RenderableType:
    """The table, the finding, and the paired comparisons."""
    table, *_ = found.grids(against_paper=against_paper)
    notes = [Text(note, style="red") for note in found.table.notes]
    finding = [Text(f"• {claim.sentence}") for claim in found.claims]
    tested = [c for c in found.comparisons if c.tested]
    compared = [part for c in tested for part in ("", Fitting(of_comparison(c)))]
    # What the differences are is said once, below the last.
    caption = [Text(of_comparison(c).caption) for c in tested[-1:]]
    if found.comparisons and not tested:
        seeds = max(pair.difference.n for c in found.comparisons for pair in c.pairs)
        caption = [
            Text(f"Groups are compared, paired by seed, from {ENOUGH_PAIRS} seeds on; here n = {seeds}.")
        ]
    return Group(Fitting(table, halves=True), Text(table.caption), *notes, "", *finding, *compared, *caption)


def verification(found: Verification) -> RenderableType:
    """One row for each published number, and a summary; that alone where nothing is compared."""
    if not found.lines:
        return Text(found.summary)
    headings = ("Published number", "ours, theirs", "difference", "mean (p: Welch, Holm)", "± (p: Holm)")
    entries = tuple(Entry(line.title, _cells(line)) for line in found.lines)
    return Group(Fitting(Grid("verify", "", headings, entries, words=(3, 4)), label=24), Text(found.summary))


def claims(found: published_claims.Verification) -> RenderableType:
    """One row for each published claim, and a summary; that alone where nothing is compared."""
    if not found.lines:
        return Text(found.summary)
    headings = ("Published claim", "published", "ours", "95% interval", "n", "verdict", "")
    entries = tuple(Entry(line.quantity, _claim_cells(line)) for line in found.lines)
    return Group(Fitting(Grid("verify", "", headings, entries, words=(5, 6)), label=30), Text(found.summary))


def _claim_cells(line: published_claims.Judged) -> tuple[tuple[str, ...], ...]:
    bound = {"equal": "", "ordering": "above 0"}.get(line.kind, f"{line.kind} ")
    published = bound if line.kind == "ordering" else f"{bound}{line.published:g}"
    if not line.ours.n:
        return ((published,), (MISSING,), (MISSING,), ("0",), (line.verdict,), (line.evidence,))
    interval = f"{line.interval.low:.1f} … {line.interval.high:.1f}" if line.ours.n > 1 else MISSING
    ours = mean_and_spread(line.ours, 1)
    return ((published,), (ours,), (interval,), (str(line.ours.n),), (line.verdict,), (line.evidence,))


def _cells(line: Line) -> tuple[tuple[str, ...], ...]:
    values = (line.text(line.ours), line.text(line.theirs))
    spread = (line.spread_verdict or MISSING, p_text(line.corrected_spread_p))
    return (values, (line.difference_text,), _judged(line.verdict, line.p_text), _judged(*spread))


def _judged(verdict: str, p: str) -> tuple[str, ...]:
    return (verdict,) if p == MISSING else (verdict, p)


@dataclass(frozen=True, slots=True)
class Fitting:
    """A grid with a line a row where the console has room for it, in two halves if need be, else with a line a number."""

    grid: Grid
    label: int = LABEL
    halves: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The form for this console."""
        endless = options.update(max_width=10_000)  # a measure ends where the room does
        for parts in ((self.grid,), _halves(self.grid))[: 1 + self.halves]:
            tables = [wide(part, self.label) for part in parts]
            if all(Measurement.get(console, endless, t).minimum <= options.max_width for t in tables):
                yield from tables
                return
        yield stacked(self.grid)


def _halves(grid: Grid) -> tuple[Grid, Grid]:
    """The first columns, and the others below them."""
    middle = len(grid.headings) // 2
    first = tuple(replace(entry, cells=entry.cells[:middle]) for entry in grid.entries)
    second = tuple(replace(entry, cells=entry.cells[middle:]) for entry in grid.entries)
    label, *columns = grid.headings
    return (
        replace(grid, headings=(label, *columns[:middle]), entries=first),
        replace(grid, headings=(label, *columns[middle:]), entries=second, title=""),
    )


def wide(grid: Grid, label: int = LABEL) -> Table:
    """A line a row: cells as wide as what is in them, labels folded between words, a line above each group."""
    table = Table(
        box=box.SIMPLE_HEAD, title=grid.title or None, pad_edge=False, collapse_padding=True, **_TITLE
    )
    table.add_column(grid.headings[0], min_width=label, overflow="fold")
    for i, heading in enumerate(grid.headings[1:]):
        # One column alone may shrink: Rich takes from the widest without asking what is in it.
        width = _longest(heading.split(), *(entry.cells[i] for entry in grid.entries))
        table.add_column(
            heading, justify="left" if i + 1 in grid.words else "right", width=width, overflow="fold"
        )
    for group, entries in groupby(grid.entries, lambda entry: entry.group):
        table.add_section()
        if grid.grouped and group != grid.entries[0].group:
            table.add_row(Text(f"{group}s" if group != MISSING else group, style="italic"))
        for entry in entries:
            name = Text("\n").join(
                [Text(entry.label), *(Text(f"  {part}", style=_LESS) for part in grid.parts)]
            )
            table.add_row(name, *map(_text, entry.cells), style="bold" if entry.bold else "")
    return table


def stacked(grid: Grid) -> Table:
    """A heading and its number a line, row below row: for narrow terminals."""
    table = Table(box=None, title=grid.title or None, show_header=False, pad_edge=False, **_TITLE)
    table.add_column(overflow="fold")
    width = _longest(*(cell for entry in grid.entries for cell in entry.cells))
    table.add_column(justify="right", width=width, overflow="fold")
    for entry in grid.entries:
        table.add_row(Text(entry.label, style="bold"))
        for heading, (first, *rest) in zip(grid.headings[1:], entry.cells, strict=True):
            table.add_row(Padding(heading, (0, 0, 0, 2)), Text(first, style=_STYLES.get(first, "")))
            for name, below in zip(grid.parts or ("",) * len(rest), rest, strict=True):
                table.add_row(Padding(name, (0, 0, 0, 4)), Text(below, style=_LESS))
    return table


def _text(cell: tuple[str, ...]) -> Text:
    first, *rest = cell
    return Text("\n").join(
        [Text(first, style=_STYLES.get(first, "")), *(Text(below, style=_LESS) for below in rest)]
    )


def _longest(*texts: Iterable[str]) -> int:
    return max((len(text) for part in texts for text in part), default=1)

"""The report for a terminal: rich tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from ltsm.report.contents import PAIRED_HEADINGS, paired_rows
from ltsm.report.table1 import COLUMNS
from ltsm.report.words import p_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ltsm.report.contents import Contents
    from ltsm.report.table1 import Row, Table
    from ltsm.report.verify import Verification

_STYLES = {"Lottery ticket": "bold"}
_TITLE: dict[str, Any] = {"title_style": "bold", "title_justify": "left"}


def report(found: Contents, *, against_paper: bool) -> RenderableType:
    """Table 1, the finding, and the ticket against every dense network."""
    finding = [Text(f"• {claim.sentence}") for claim in found.claims]
    paired = RichTable(box=box.SIMPLE_HEAD, title="Final validation loss, paired by seed", **_TITLE)
    for i, heading in enumerate(PAIRED_HEADINGS):
        paired.add_column(heading, justify="right" if i else "left")
    for row in paired_rows(found.pairs):
        paired.add_row(*map(Text, row))
    return Group(table_1(found.table, against_paper=against_paper), "", *finding, "", paired)


def table_1(table: Table, *, against_paper: bool) -> RenderableType:
    """Table 1; with the published value and p of Welch's test below each of our numbers if asked for."""
    grid = RichTable(box=box.SIMPLE_HEAD, title="Table 1", **_TITLE)
    grid.add_column("Label")
    grid.add_column("Category")
    for column in COLUMNS:
        grid.add_column(column.heading, justify="right")
    last = None
    for row in table.rows:
        if last is not None and row.category != last:
            grid.add_section()
        last = row.category
        grid.add_row(*_lines(table, row, against_paper=against_paper), style=_STYLES.get(row.label, ""))
    caption = Text("Table 1: " + table.caption)
    notes = [Text(note, style="red") for note in table.notes]
    return Group(grid, caption, *notes)


def _lines(table: Table, row: Row, *, against_paper: bool) -> list[Text]:
    label, category = Text(table.label(row)), Text(row.category or "–")
    cells = [Text(cell.text) for cell in row.cells]
    if against_paper:
        label.append("\n  published\n  Welch's test", style="dim not bold")
        for text, cell in zip(cells, row.cells, strict=True):
            text.append(f"\n{cell.published}\n{cell.agreement}", style="dim not bold")
    return [label, category, *cells]


def verification(found: Verification) -> RenderableType:
    """One line for each published number, and a summary."""
    grid = RichTable(box=box.SIMPLE_HEAD)
    grid.add_column("Published number", overflow="fold")
    for heading in ("ours", "theirs", "difference"):
        grid.add_column(heading, justify="right")
    for heading in ("Welch, Holm", "verdict", "±, Holm", "verdict"):
        grid.add_column(heading)
    for line in found.lines:
        grid.add_row(
            Text(line.title),
            line.text(line.ours),
            line.text(line.theirs),
            line.difference_text,
            line.p_text,
            _verdict(line.verdict),
            p_text(line.corrected_spread_p),
            _verdict(line.spread_verdict),
        )
    return Group(grid, Text(found.summary))


def _verdict(verdict: str | None) -> Text:
    styles = {"reproduced": "green", "differs": "bold red", "not enough seeds": "yellow"}
    return Text(verdict or "–", style=styles.get(verdict or "", ""))

"""The report for a terminal: rich tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from ltsm.report.contents import PAIRED_HEADINGS, paired_rows
from ltsm.report.grids import Entry, Fitting, Grid, stacked, tight, wide
from ltsm.report.paper.table_1 import COLUMNS
from ltsm.report.words import MISSING, p_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ltsm.report.paper.comparison import Line
    from ltsm.report.contents import Contents
    from ltsm.report.paper.table_1 import Row, Table
    from ltsm.report.paper.verify import Verification

_STYLES = {"Lottery ticket": "bold"}
_COMPARED = ("published", "Welch's test")
_TITLES = 24
"""The least room for a published number's title: below it would fold into a column of words."""


def report(found: Contents, *, against_paper: bool) -> RenderableType:
    """Table 1, the finding, and the ticket against every dense network."""
    finding = [Text(f"• {claim.sentence}") for claim in found.claims]
    rows = (Entry(label, tuple(map(Text, cells))) for label, *cells in paired_rows(found.pairs))
    paired = Grid(PAIRED_HEADINGS, tuple(rows), "Final validation loss, paired by seed")
    forms = Fitting((wide(paired), tight(paired), stacked(paired)))
    return Group(table_1(found.table, against_paper=against_paper), "", *finding, "", forms)


def table_1(table: Table, *, against_paper: bool) -> RenderableType:
    """Table 1; with the published value and p of Welch's test below each of our numbers if asked for."""
    numbers = tuple(column.heading for column in COLUMNS)
    rows = tuple(_entry(table, row, against_paper=against_paper) for row in table.rows)
    narrow = Grid(("Label", *numbers), rows, "Table 1", groups_named=True)
    named = tuple(
        Entry(e.label, (Text(e.group or MISSING), *e.cells), e.parts, e.group, e.style) for e in rows
    )
    full = Grid(("Label", "Category", *numbers), named, "Table 1", words=("Category",))
    forms = Fitting((wide(full), tight(full), tight(narrow), stacked(narrow)))
    caption = Text("Table 1: " + table.caption)
    notes = [Text(note, style="red") for note in table.notes]
    return Group(forms, caption, *notes)


def _entry(table: Table, row: Row, *, against_paper: bool) -> Entry:
    cells = tuple(Text(cell.text) for cell in row.cells)
    if against_paper:
        for text, cell in zip(cells, row.cells, strict=True):
            text.append(f"\n{cell.published}\n{cell.agreement}", style="dim not bold")
    parts = _COMPARED if against_paper else ()
    return Entry(table.label(row), cells, parts, row.category, _STYLES.get(row.label, ""))


def verification(found: Verification) -> RenderableType:
    """One line for each published number, and a summary; that alone where nothing is compared."""
    if not found.lines:
        return Text(found.summary)
    apart = Grid(
        ("Published number", "ours", "theirs", "difference", "Welch, Holm", "verdict", "±, Holm", "verdict"),
        tuple(Entry(line.title, _apart(line)) for line in found.lines),
        words=("Welch, Holm", "verdict", "±, Holm"),
        label_width=_TITLES,
    )
    together = Grid(
        ("Published number", "ours, theirs", "difference", "mean, ± (p: Holm)"),
        tuple(Entry(line.title, _together(line)) for line in found.lines),
        words=("mean, ± (p: Holm)",),
        label_width=_TITLES,
    )
    forms = Fitting((wide(apart), tight(apart), tight(together), stacked(apart)))
    return Group(forms, Text(found.summary))


def _apart(line: Line) -> tuple[Text, ...]:
    """A cell a value."""
    return (
        Text(line.text(line.ours)),
        Text(line.text(line.theirs)),
        Text(line.difference_text),
        Text(line.p_text),
        _verdict(line.verdict),
        Text(p_text(line.corrected_spread_p)),
        _verdict(line.spread_verdict),
    )


def _together(line: Line) -> tuple[Text, ...]:
    """Ours above theirs, and what is said of the mean above what is said of the spread."""
    ours, theirs, difference, p, verdict, spread_p, spread_verdict = _apart(line)
    return (
        Text("\n").join((ours, theirs)),
        difference,
        Text("\n").join((_with_p(verdict, p), _with_p(spread_verdict, spread_p))),
    )


def _with_p(verdict: Text, p: Text) -> Text:
    return verdict if p.plain == MISSING else Text(", ").join((verdict, p))


def _verdict(verdict: str | None) -> Text:
    styles = {"reproduced": "green", "differs": "bold red", "not enough seeds": "yellow"}
    return Text(verdict or MISSING, style=styles.get(verdict or "", ""))

"""Tables as text without any form: what every document prints, each in its own language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.report.paired import ENOUGH_PAIRS
from ltsm.report.words import MISSING, p_text, signed

if TYPE_CHECKING:
    from ltsm.report.paired import Comparison, Paired
    from ltsm.report.table import Table

Cell = tuple[str, ...]
"""A cell's text, and what stands below it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: its label, its cells, the group of rows that it is one of, and whether it stands out."""

    label: str
    cells: tuple[Cell, ...]
    group: str = ""
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: `name` for links, `headings` of which the first is the labels', and what the `parts` below a text are.

    `words` are the places of columns that are no numbers. Where `grouped`, each row says what group it is of.
    """

    name: str
    title: str
    headings: tuple[str, ...]
    entries: tuple[Entry, ...]
    caption: str = ""
    parts: tuple[str, ...] = ()
    words: tuple[int, ...] = ()
    grouped: bool = False


def of_table(table: Table, *, against_paper: bool) -> Grid:
    """A study's table; with the published value and p of Welch's test below each of our numbers if asked for."""
    entries = tuple(
        Entry(
            table.label(row),
            tuple((c.text, c.published, c.agreement) if against_paper else (c.text,) for c in row.cells),
            row.category or (MISSING if table.categories else ""),
            bold=i == 0,
        )
        for i, row in enumerate(table.rows)
    )
    below = (
        " Below each number the published one, and p of Welch's t-test between them; = or ≠ says whether exact sizes "
        "have the same printed digits."
    )
    return Grid(
        name="table",
        title=table.title,
        headings=("Label", *(column.heading for column in table.columns)),
        entries=entries,
        caption=table.caption + below * against_paper,
        parts=("published", "Welch's test") if against_paper else (),
        grouped=table.categories,
    )


def of_comparison(comparison: Comparison) -> Grid:
    """Paired differences."""
    better = "below 0 the first is lower"
    unit = f"{', in percentage points' * (comparison.column.unit == '%')}: {better}"
    return Grid(
        name=comparison.name,
        title=comparison.title,
        headings=(comparison.heading, "n", "Mean difference", "95% interval", "p", "p, Holm", "Lower"),
        entries=tuple(
            Entry(pair.label, tuple((c,) for c in _pair(comparison, pair))) for pair in comparison.pairs
        ),
        caption=(
            f"{comparison.column.heading}, mean difference over the n seeds that have both{unit}. Interval and p are of "
            f"one paired t-test: the interval leaves 0 out exactly when p < 0.05. “p, Holm” is corrected for the "
            f"comparisons of this table that were tested ({comparison.tested}), and is what the words go by; fewer than "
            f"{ENOUGH_PAIRS} pairs are not tested."
        ),
    )


def _pair(comparison: Comparison, pair: Paired) -> tuple[str, ...]:
    n, digits = pair.difference.n, comparison.column.digits
    if not pair.enough:
        return (str(n), "not enough seeds", *[MISSING] * 4)
    low, high = signed(pair.interval.low, digits), signed(pair.interval.high, digits)
    mean = signed(pair.difference.mean, digits)
    return (
        str(n),
        mean,
        f"{low} to {high}",
        p_text(pair.p),
        p_text(pair.corrected_p),
        f"{pair.lower} of {n}",
    )

"""What every document of the paper's evaluation says, computed once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ltsm.report.contents import Contents
from ltsm.report.evaluation import dataset_title
from ltsm.report.grids import Entry, Grid
from ltsm.report.paper import published
from ltsm.report.paper.finding import finding, paired
from ltsm.report.paper.table_1 import hidden, table_1
from ltsm.report.paper.text_numbers import TextNumber, text_numbers
from ltsm.report.statistics import summarise, welch
from ltsm.report.words import p_text

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation


def contents(evaluation: Evaluation) -> Contents:
    """Everything that a document says. The numbers of the text need the evaluation's records."""
    table = table_1(evaluation)
    compared = paired(evaluation, table)
    high = tuple(hidden(evaluation, row.group) for row in table.rows if row.category == "High performer")
    numbers = text_numbers(evaluation, table)
    if not published.comparable(evaluation.protocol):  # as in Table 1
        numbers = tuple(replace(number, theirs=summarise([])) for number in numbers)
    return Contents(
        evaluation=evaluation,
        title=f"Lottery tickets and hyperops on {dataset_title(evaluation.protocol)}",
        claims=finding(evaluation, compared, high),
        table=table,
        comparisons=(compared,),
        numbers=numbers,
        more=(_grid(numbers),),
    )


def _grid(numbers: tuple[TextNumber, ...]) -> Grid:
    """The numbers of the text as a table."""
    entries = [
        Entry(n.title, ((str(n.ours.n),), (n.text,), (n.published,), (p_text(welch(n.ours, n.theirs)),)))
        for n in numbers
    ]
    return Grid(
        name="numbers",
        title="Numbers of the text",
        headings=("Number", "n", "Ours", "Published", "Welch's test"),
        entries=tuple(entries),
        caption=(
            "Numbers of the paper's text, measured and published. The high performers' loss is taken over all their "
            "runs, networks and seeds together, because the published one is."
        ),
    )

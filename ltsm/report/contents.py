"""What every document says, computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ltsm.report.evaluation import dataset_title
from ltsm.report.paper.finding import Claim, finding
from ltsm.report.paired import Paired, paired
from ltsm.report.statistics import summarise, welch
from ltsm.report.paper.table_1 import COLUMNS, Table, table_1
from ltsm.report.paper.text_numbers import TextNumber, text_numbers
from ltsm.report.words import MISSING, p_text, signed

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Contents:
    """Table 1, the paired comparisons, the finding, and the numbers of the text."""

    evaluation: Evaluation
    table: Table
    pairs: tuple[Paired, ...]
    claims: tuple[Claim, ...]
    numbers: tuple[TextNumber, ...]

    @property
    def title(self) -> str:
        """The document's title."""
        return f"Lottery tickets and hyperops on {dataset_title(self.evaluation.protocol)}"

    @property
    def headings(self) -> tuple[str, ...]:
        """Table 1's columns."""
        return ("Label", "Category", *(column.heading for column in COLUMNS))


def contents(evaluation: Evaluation) -> Contents:
    """Everything that a document says. The numbers of the text need the evaluation's records."""
    table = table_1(evaluation)
    pairs = paired(evaluation, table)
    numbers = text_numbers(evaluation, table)
    if not evaluation.comparable:  # as in Table 1
        numbers = tuple(replace(number, theirs=summarise([])) for number in numbers)
    return Contents(evaluation, table, pairs, finding(evaluation, pairs), numbers)


PAIRED_HEADINGS = ("Ticket minus …", "n", "Mean difference", "95% interval", "Wilcoxon", "Ticket lower")
NUMBER_HEADINGS = ("Number", "n", "Ours", "Published", "Welch's test")


def paired_rows(pairs: tuple[Paired, ...]) -> list[tuple[str, ...]]:
    """The paired comparisons as text."""
    return [_paired_row(pair) for pair in pairs]


def _paired_row(pair: Paired) -> tuple[str, ...]:
    n = pair.difference.n
    if not pair.enough:
        return (pair.label, str(n), "not enough seeds", MISSING, MISSING, MISSING)
    interval = f"{signed(pair.interval.low)} to {signed(pair.interval.high)}"
    mean = signed(pair.difference.mean)
    return (pair.label, str(n), mean, interval, p_text(pair.p), f"{pair.lower} of {n}")


def number_rows(numbers: tuple[TextNumber, ...]) -> list[tuple[str, ...]]:
    """The numbers of the text as text."""
    return [
        (
            number.title,
            str(number.ours.n),
            number.text,
            number.published,
            p_text(welch(number.ours, number.theirs)),
        )
        for number in numbers
    ]

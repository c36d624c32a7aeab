"""The lines of `verify`: each published number beside ours, with what the tests say about the two alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ltsm.report.paper import published
from ltsm.report.paper.table_1 import COLUMNS, INITIAL
from ltsm.report.paper.text_numbers import text_numbers
from ltsm.report.statistics import (
    Summary,
    equal_spreads,
    extreme,
    summarise,
    welch,
)
from ltsm.report.words import mean_and_spread, p_text, signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table import Table

ENOUGH_SEEDS = 6
"""With fewer no published number is judged: Welch's test would miss all but the largest differences."""
AROUND, ONE_EPOCH = 5000.0, 1000
Verdict = Literal["reproduced", "differs", "not enough seeds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One published number: ours, theirs, and what the tests say. NaN and None where there is no such test.

    `p` and `spread_p` are as the tests give them, `corrected_p` and `corrected_spread_p` after Holm.
    """

    name: str
    title: str
    ours: Summary
    theirs: Summary
    digits: int
    unit: str = ""
    p: float = math.nan
    corrected_p: float = math.nan
    spread_p: float = math.nan
    corrected_spread_p: float = math.nan
    verdict: Verdict = "not enough seeds"
    spread_verdict: Verdict | None = None

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours.mean - self.theirs.mean

    @property
    def p_text(self) -> str:
        """The corrected p in words."""
        return p_text(self.corrected_p)

    @property
    def difference_text(self) -> str:
        """Ours minus theirs with its sign and the published number of digits."""
        return signed(self.difference, self.digits)

    def text(self, value: Summary) -> str:
        """One of the two values with the published number of digits."""
        return mean_and_spread(value, self.digits, self.unit)


def lines(evaluation: Evaluation, table: Table) -> list[Line]:
    """One for each published number, in the paper's order; none that a test has to decide is judged yet."""
    return [*_table_lines(evaluation, table), *_text_lines(evaluation, table)]


def _table_lines(evaluation: Evaluation, table: Table) -> Iterator[Line]:
    rows = {row.label: row for row in table.rows}
    for label, paper in published.table_1().items():
        row = rows.get(label)
        results = evaluation.finished(row.group) if row else []
        for column in COLUMNS:
            yield _line(
                f"table_1/{label}/{column.name}",
                f"{label}: {column.heading.lower()}",
                column.values(results),
                paper.cells[column.name],
                (column.digits, column.unit),
            )


def _text_lines(evaluation: Evaluation, table: Table) -> Iterator[Line]:
    for number in text_numbers(evaluation, table):
        form = (number.digits, number.unit)
        yield _line(f"text/{number.name}", number.title, number.values, number.theirs, form)
    yield _best_iterations([r.minimal_iteration for r in evaluation.finished(INITIAL)])
    accuracies = [100 * mask.val_accuracy for mask in evaluation.masks if mask.selected]
    least, greatest = published.text()["supermask_validation_accuracy_percent_range"]
    yield _extreme("Least", accuracies, least, 1)
    yield _extreme("Greatest", accuracies, greatest, -1)


def _line(name: str, title: str, values: Sequence[float], theirs: Summary, form: tuple[int, str]) -> Line:
    """A mean and its spread; a published number without one is exact, and so is ours."""
    digits, unit = form
    ours, exact = summarise(values), math.isnan(theirs.sd)
    ours = Summary(ours.n, ours.mean, math.nan) if exact else ours
    line = Line(name=name, title=title, ours=ours, theirs=theirs, digits=digits, unit=unit)
    if exact:
        same: Verdict = "reproduced" if line.text(ours) == line.text(theirs) else "differs"
        return dataclasses.replace(line, verdict=same) if ours.n else line
    if ours.n < ENOUGH_SEEDS:
        return dataclasses.replace(line, spread_verdict="not enough seeds")
    spread_p = equal_spreads(values, _nearest(theirs, ours.sd, digits))
    return dataclasses.replace(line, p=welch(ours, theirs), spread_p=spread_p)


def _nearest(theirs: Summary, sd: float, digits: int) -> Summary:
    """The published summary with the deviation nearest to ours among those that are printed so."""
    half = 0.5 * 10**-digits
    return Summary(theirs.n, theirs.mean, min(max(sd, theirs.sd - half), theirs.sd + half))


def _best_iterations(iterations: Sequence[float]) -> Line:
    """“Always around iteration 5000” is taken as: within one epoch of it, for every seed."""
    ours = summarise(iterations)
    verdict: Verdict = "not enough seeds"
    if ours.n >= ENOUGH_SEEDS:
        near = all(abs(i - AROUND) <= ONE_EPOCH for i in iterations)
        verdict = "reproduced" if near else "differs"
    return Line(
        name="text/iteration_of_minimal_validation_loss_initial_training",
        title="Initial training: every seed's minimum around iteration 5000",
        ours=ours,
        theirs=Summary(published.seeds(), AROUND, math.nan),
        digits=0,
        verdict=verdict,
    )


def _extreme(which: str, accuracies: Sequence[float], theirs: float, sign: int) -> Line:
    """The least (sign 1) or the greatest (sign −1) of the supermasks' accuracies."""
    ours, n = summarise(accuracies), published.seeds()
    name = "supermask_validation_accuracy_percent"
    p, found = math.nan, math.nan
    if ours.n >= ENOUGH_SEEDS:
        found = sign * min(sign * a for a in accuracies)
        spread = math.sqrt((ours.sd**2 + published.text_summary(name).sd ** 2) / 2)
        p = extreme(sign * found, ours.n, sign * theirs, n, spread)
    return Line(
        name=f"text/{name}_range/{which.lower()}",
        title=f"{which} accuracy of a supermask",
        ours=Summary(ours.n, found, math.nan),
        theirs=Summary(n, theirs, math.nan),
        digits=1,
        unit="%",
        p=p,
    )

"""Does a store reproduce the paper? One line for each published number.

**What is compared.** Every mean of Table 1 and of sections 3.3 to 3.5 by Welch's t-test between our seeds
and the published mean, deviation and n; every published deviation (±) by Shoemaker's F test and the bootstrap,
which know that one outlier in ten, or two clusters, are no other spread (`statistics.equal_spreads`); exact
sizes by their printed digits; “always around iteration 5000” as within one epoch of it, for every seed;
the least and the greatest accuracy by how far apart the extremes of two such samples lie. All p-values are
one family: Holm's correction keeps the chance of calling any reproduced number different below 5 %.

**What this can show.** A number that differs here would hardly do so by chance. With ten seeds against the
paper's ten and about 85 tests, a difference is found with 80 % probability only from 2.3 standard deviations
on (1.4 for a single test): `reproduced` means *not found to differ*, not *equal*. Published values are rounded:
a difference within half a unit of the last printed digit is none, and deviations printed as 0.001 stand for
0.0005 to 0.0015, of which the nearest to ours is taken. The t-test takes the values as roughly normal;
iterations are multiples of 100 with an end at 5000, and thresholds are skewed, so their p-values are rough.
Numbers of one run are not independent of each other; Holm's correction allows for that.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ltsm.report import published
from ltsm.report.plain import plain
from ltsm.report.statistics import (
    ENOUGH_SEEDS,
    Summary,
    equal_spreads,
    extreme,
    holm,
    summarise,
    welch,
)
from ltsm.report.table1 import COLUMNS, table_1
from ltsm.report.text_numbers import text_numbers
from ltsm.report.words import mean_and_spread, p_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table1 import Table

LEVEL = 0.05
"""The family's error rate."""
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
        difference = f"{self.difference:+z.{self.digits}f}".replace("-", "−")
        return "–" if math.isnan(self.difference) else difference

    def text(self, value: Summary) -> str:
        """One of the two values with the published number of digits."""
        return mean_and_spread(value, self.digits, self.unit)


@dataclass(frozen=True, slots=True)
class Verification:
    """All lines, and the settings in which the protocol is not the paper's."""

    lines: tuple[Line, ...]
    other_settings: tuple[str, ...]

    def count(self, verdict: Verdict) -> int:
        """How many numbers, and how many spreads, have this verdict."""
        return sum((line.verdict == verdict) + (line.spread_verdict == verdict) for line in self.lines)

    @property
    def summary(self) -> str:
        """The counts in words, and what the comparison can mean."""
        counts = [f"{self.count(v)} {v}" for v in ("reproduced", "differs", "not enough seeds")]
        spreads = sum(not math.isnan(line.theirs.sd) for line in self.lines)
        words = f"{len(self.lines)} published numbers and {spreads} spreads: {', '.join(counts)}."
        if self.other_settings:
            return f"{words} The protocol is not the paper's in: {', '.join(self.other_settings)}."
        return words

    @property
    def reproduced(self) -> bool:
        """Whether nothing differs and nothing is missing."""
        return not self.count("differs") and not self.count("not enough seeds")


def verify(evaluation: Evaluation) -> Verification:
    """Compare with the paper. Needs the evaluation's records."""
    table = table_1(evaluation)
    lines = [*_table_lines(evaluation, table), *_text_lines(evaluation, table)]
    corrected = holm([p for line in lines for p in (line.p, line.spread_p)])
    judged = [_judged(line, *corrected[2 * i : 2 * i + 2]) for i, line in enumerate(lines)]
    return Verification(tuple(judged), evaluation.other_settings)


def _table_lines(evaluation: Evaluation, table: Table) -> Iterator[Line]:
    rows = {row.label: row for row in table.rows}
    for label, paper in published.table_1().items():
        row = rows.get(label)
        results = evaluation.finished(row.kind, row.hidden) if row else []
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
    yield _best_iterations([r.minimal_iteration for r in evaluation.finished("initial")])
    accuracies = [100 * mask.val_accuracy for mask in evaluation.masks if mask.selected]
    least, greatest = published.text()["supermask_validation_accuracy_percent_range"]
    yield _extreme("Least", accuracies, least, 1)
    yield _extreme("Greatest", accuracies, greatest, -1)


def _line(name: str, title: str, values: Sequence[float], theirs: Summary, form: tuple[int, str]) -> Line:
    """A mean and its spread; a published number without one is exact, and so is ours."""
    digits, unit = form
    ours = summarise(values)
    if math.isnan(theirs.sd):
        ours = Summary(ours.n, ours.mean, math.nan)
        line = Line(name=name, title=title, ours=ours, theirs=theirs, digits=digits, unit=unit)
        same: Verdict = "reproduced" if line.text(ours) == line.text(theirs) else "differs"
        return dataclasses.replace(line, verdict=same) if ours.n else line
    enough = ours.n >= ENOUGH_SEEDS
    return Line(
        name=name,
        title=title,
        ours=ours,
        theirs=theirs,
        digits=digits,
        unit=unit,
        p=welch(ours, theirs) if enough else math.nan,
        spread_p=equal_spreads(values, _nearest(theirs, ours.sd, digits)) if enough else math.nan,
        spread_verdict=None if enough else "not enough seeds",
    )


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


def _judged(line: Line, p: float, spread_p: float) -> Line:
    """The line with its corrected p-values and the verdicts that follow from them."""
    changes: dict[str, object] = {"corrected_p": p, "corrected_spread_p": spread_p}
    if not math.isnan(p):
        changes["verdict"] = _verdict(p, line.difference, line.digits)
    if not math.isnan(spread_p):
        changes["spread_verdict"] = _verdict(spread_p, line.ours.sd - line.theirs.sd, line.digits)
    return dataclasses.replace(line, **changes)  # type: ignore[arg-type]  # names and types as above


def _verdict(p: float, difference: float, digits: int) -> Verdict:
    beyond_rounding = abs(difference) > 0.5 * 10**-digits
    return "differs" if p < LEVEL and beyond_rounding else "reproduced"


def as_json(found: Verification) -> dict[str, object]:
    """The verification as plain JSON values: the lines with the fields of `Line`, counts, and the answer."""
    verdicts: tuple[Verdict, ...] = ("reproduced", "differs", "not enough seeds")
    return {
        "schema": "ltsm-verify",
        "version": 1,
        "reproduced": found.reproduced,
        "level": LEVEL,
        "counts": {verdict: found.count(verdict) for verdict in verdicts},
        "other_settings": list(found.other_settings),
        "lines": [plain(line) | {"difference": plain(line.difference)} for line in found.lines],
    }

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

Results on other data than the paper's are not compared at all: they could neither agree with it nor differ from it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from ltsm.notation import plain
from ltsm.report.evaluation import dataset_title
from ltsm.report.paper import published
from ltsm.report.paper.comparison import Line, Verdict, lines
from ltsm.report.paper.table_1 import table_1
from ltsm.report.statistics import LEVEL, holm
from ltsm.store.values import FINISHED
from ltsm.studies import paper

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Verification:
    """All lines, the settings in which the protocol is not the paper's, and why there are no lines if there are none."""

    lines: tuple[Line, ...]
    other_settings: tuple[str, ...]
    nothing: str = ""

    @property
    def compared(self) -> bool:
        """Whether anything was compared."""
        return not self.nothing

    def count(self, verdict: Verdict) -> int:
        """How many numbers, and how many spreads, have this verdict."""
        return sum((line.verdict == verdict) + (line.spread_verdict == verdict) for line in self.lines)

    @property
    def summary(self) -> str:
        """The counts in words, and what the comparison can mean."""
        if self.nothing:
            return f"Nothing is compared: {self.nothing}"
        counts = [f"{self.count(v)} {v}" for v in get_args(Verdict)]
        spreads = sum(not math.isnan(line.theirs.sd) for line in self.lines)
        words = f"{len(self.lines)} published numbers and {spreads} spreads: {', '.join(counts)}."
        if self.other_settings:
            return f"{words} The protocol is not the paper's in: {', '.join(self.other_settings)}."
        return words

    @property
    def reproduced(self) -> bool:
        """Whether something was compared, nothing of it differs and nothing is missing."""
        return not (self.nothing or self.count("differs") or self.count("not enough seeds"))


def verify(evaluation: Evaluation) -> Verification:
    """Compare with the paper, if study and data are the paper's. Needs the evaluation's records."""
    other_settings = published.other_settings(evaluation.protocol)
    if evaluation.study.name != paper.NAME:
        nothing = f"the study {evaluation.study.name} has no published numbers; the paper's has."
        return Verification((), other_settings, nothing)
    if not published.comparable(evaluation.protocol):
        data = dataset_title(evaluation.protocol)
        nothing = f"the results are on {data}. The paper's are on MNIST, and no measure for them."
        return Verification((), other_settings, nothing)
    if not any(run.state in FINISHED for run in evaluation.runs):
        return Verification((), other_settings, "no run of the paper's is finished yet.")
    table = table_1(evaluation)
    found = lines(evaluation, table)
    corrected = holm([p for line in found for p in (line.p, line.spread_p)])
    judged = [_judged(line, *corrected[2 * i : 2 * i + 2]) for i, line in enumerate(found)]
    return Verification(tuple(judged), other_settings)


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
    """The verification as plain JSON values: the lines with the fields of `Line`, counts, and the answer.

    `reproduced` is null and `lines` is empty where nothing is compared; `summary` says why.
    """
    return {
        "reproduced": None if found.nothing else found.reproduced,
        "summary": found.summary,
        "level": LEVEL,
        "counts": {verdict: found.count(verdict) for verdict in get_args(Verdict)},
        "other_settings": list(found.other_settings),
        "lines": [plain(line) | {"difference": plain(line.difference)} for line in found.lines],
    }

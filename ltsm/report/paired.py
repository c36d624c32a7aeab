"""Groups against one of them, paired by seed: one method gives the estimate, its interval and its p.

The paired t-test: runs of one seed share the order of the data, and often their initial values or their mask, so a
pair's difference says more than two runs do. Every table's p-values are corrected together after Holm, and whatever
is said in words follows the corrected ones. The interval is each comparison's own: it leaves 0 out exactly when the
uncorrected p is below 0.05. A finding in words has a short name, an answer, and a sentence that is right about its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ltsm.report.statistics import LEVEL, Interval, Summary, holm, one_sample, summarise
from ltsm.report.words import p_text, signed
from ltsm.studies.names import title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table import Column

ENOUGH_PAIRS = 5
"""Of fewer differences the spread, which the t-test takes as it is found, is hardly known: from five on its own error is
below 40 %, and a mean of two deviations is found with a chance of nine in ten (of four: three in four)."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A group's number minus another's, over the seeds that have both.

    `interval` is the mean difference's own 95 % interval and `p` its own; `corrected_p` is after Holm over the table;
    `lower` and `higher` count the seeds with a difference below and above 0.
    """

    label: str
    difference: Summary
    interval: Interval
    p: float
    lower: int
    higher: int
    corrected_p: float

    @property
    def enough(self) -> bool:
        """Whether there are pairs enough for a claim."""
        return self.difference.n >= ENOUGH_PAIRS

    @property
    def direction(self) -> int:
        """−1 if the difference is shown to be below 0, 1 if above, 0 if neither."""
        if not self.enough or not self.corrected_p < LEVEL:
            return 0
        return -1 if self.difference.mean < 0 else 1

    def evidence(self, column: Column, of: int) -> str:
        """What a sentence says of it in brackets; `of` comparisons were corrected together."""
        low, high = (signed(v, column.digits) for v in (self.interval.low, self.interval.high))
        p = f"{p_text(self.corrected_p)}{f' corrected for {of} comparisons' if of > 1 else ''}"
        way, seeds = ("lower", self.lower) if self.difference.mean < 0 else ("higher", self.higher)
        return f"95% interval {low} to {high}; {p}; {way} for {seeds} of {self.difference.n} seeds"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table of differences of one number, corrected together; `heading` says what is subtracted from what."""

    name: str
    title: str
    heading: str
    column: Column
    pairs: tuple[Paired, ...]

    @property
    def tested(self) -> int:
        """How many comparisons were corrected together."""
        return sum(pair.corrected_p == pair.corrected_p for pair in self.pairs)


def against_reference(evaluation: Evaluation, column: Column) -> Comparison:
    """The study's reference minus each other group."""
    values = {
        group.label: in_units(evaluation.by_seed(group, column.result), column)
        for group in evaluation.study.groups
    }
    label = evaluation.study.reference
    reference = values.pop(label, {})
    pairs = holm_together([difference(title(other), reference, found) for other, found in values.items()])
    heading = f"{title(label)} minus …"
    return Comparison(column.name, f"{column.heading}, paired by seed", heading, column, pairs)


def in_units(values: Mapping[int, float], column: Column) -> dict[int, float]:
    """Numbers by seed in the column's printed units."""
    return {seed: column.scale * value for seed, value in values.items()}


def difference(label: str, first: Mapping[int, float], second: Mapping[int, float]) -> Paired:
    """The first minus the second over the seeds that have both, not corrected yet."""
    found = [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
    interval, p = one_sample(found)
    return Paired(
        label, summarise(found), interval, p, sum(d < 0 for d in found), sum(d > 0 for d in found), p
    )


def holm_together(pairs: Sequence[Paired]) -> tuple[Paired, ...]:
    """These comparisons with their p-values corrected together; those without pairs enough are not tested."""
    corrected = holm([pair.p if pair.enough else float("nan") for pair in pairs])
    return tuple(replace(pair, corrected_p=p) for pair, p in zip(pairs, corrected, strict=True))


Answer = Literal["yes", "no", "not shown", "not enough seeds"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: its short name, the answer to it, and a sentence."""

    name: str
    answer: Answer
    sentence: str


def not_enough(name: str, question: str, n: int, needed: int = ENOUGH_PAIRS) -> Claim:
    """Nothing is claimed."""
    sentence = f"Not enough seeds to say {question}: {n} finished, at least {needed} needed."
    return Claim(name, "not enough seeds", sentence)


def differences(reference: str, comparison: Comparison) -> Claim:
    """From which groups the reference differs: is it shown to, from any of them?"""
    what = comparison.column.heading.lower()
    tested = [pair for pair in comparison.pairs if pair.enough]
    name = f"{comparison.name}_differs"
    if not tested:
        most = max(pair.difference.n for pair in comparison.pairs)
        return not_enough(name, f"in whose {what} {reference} differs from the others", most)
    found = {d: [pair.label for pair in tested if pair.direction == d] for d in (-1, 1, 0)}
    verbs = {
        -1: "is lower than that of",
        1: "is higher than that of",
        0: "is not shown to differ from that of",
    }
    said = "; it ".join(f"{verbs[d]} {_listed(labels)}" for d, labels in found.items() if labels)
    corrected = (
        f" (paired by seed; p corrected for {comparison.tested} comparisons)" if comparison.tested > 1 else ""
    )
    answer: Answer = "yes" if found[-1] or found[1] else "not shown"
    return Claim(name, answer, f"{reference}: its {what} {said}{corrected}.")


def _listed(labels: list[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"

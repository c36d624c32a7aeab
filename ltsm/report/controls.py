"""The study `controls`: what of the ticket's advantage is the mask, what the signs, what the values.

The way from the dense network to the ticket in three steps, of which each changes one thing: masked, with values drawn
afresh (the mask); given the initial signs (the signs); given the initial values (the values). The steps add up to the
whole, over the seeds that have all four networks. Beside them: the ticket against a random mask of as many parameters
in every layer on the same initial values, which says whether it matters *what* is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ltsm.report.paired import Claim, Comparison, difference, holm_together, in_units, not_enough
from ltsm.report.table import FINAL_LOSS, UNTRAINED_ACCURACY, Column
from ltsm.report.words import signed
from ltsm.studies.controls import DENSE, NAME, RANDOM_MASK, REDRAWN, SAME_SIGNS, TICKET

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.paired import Answer, Paired

__all__ = ["NAME", "finding", "parts"]


class Part(NamedTuple):
    """What changes from the second network to the first, and what is said of it."""

    name: str
    label: str
    first: str
    second: str
    subject: str


ADVANTAGE = Part(
    "advantage",
    "all of it",
    TICKET,
    DENSE,
    "The ticket's {} {} the dense network's from the same initial values",
)
STEPS = (
    Part("mask", "the mask", REDRAWN, DENSE, "The mask: with values drawn afresh, the masked network's {} {} the dense one's"),
    Part("signs", "the signs", SAME_SIGNS, REDRAWN, "The signs: with fresh values of the initial signs, its {} {} with ones of any signs"),
    Part("values", "the values", TICKET, SAME_SIGNS, "The values: with the initial values, its {} {} with fresh ones of the same signs"),
)  # fmt: skip
RANDOM = Part("random_mask", "what is kept", TICKET, RANDOM_MASK, "What is kept: the ticket's {} {} that of a random mask on the same initial values")  # fmt: skip


def parts(evaluation: Evaluation) -> tuple[Comparison, ...]:
    """The ticket's advantage and its parts, in final loss and in untrained accuracy."""
    return tuple(_parts(evaluation, column) for column in (FINAL_LOSS, UNTRAINED_ACCURACY))


def _parts(evaluation: Evaluation, column: Column) -> Comparison:
    groups = {group.label: group for group in evaluation.study.groups}
    values = {
        label: in_units(evaluation.by_seed(groups[label], column.result), column)
        for label in (TICKET, DENSE, REDRAWN, SAME_SIGNS, RANDOM_MASK)
    }
    # The same seeds in every step, else they would not add up.
    seeds = set.intersection(*(set(values[label]) for label in (TICKET, DENSE, REDRAWN, SAME_SIGNS)))
    common = {label: {s: v for s, v in found.items() if s in seeds} for label, found in values.items()}
    pairs = [
        difference(_label(part), common[part.first], common[part.second]) for part in (ADVANTAGE, *STEPS)
    ]
    pairs.append(difference(_label(RANDOM), values[RANDOM.first], values[RANDOM.second]))
    title = f"What the ticket's advantage is made of: {column.heading.lower()}"
    return Comparison(f"parts_of_{column.name}", title, "Part", column, holm_together(pairs))


def _label(part: Part) -> str:
    return f"{part.label}: {part.first} − {part.second}"


def finding(found: tuple[Comparison, ...]) -> tuple[Claim, ...]:
    """Is each part shown to be there? `yes` if it makes the network better, `no` if worse."""
    return tuple(
        _claim(comparison, part, pair)
        for comparison in found
        for part, pair in zip((ADVANTAGE, *STEPS, RANDOM), comparison.pairs, strict=True)
    )


def _claim(comparison: Comparison, part: Part, pair: Paired) -> Claim:
    column = comparison.column
    name, what = f"{part.name}_in_{column.name}", column.heading.lower()
    if not pair.enough:
        return not_enough(name, f"what is due to {part.label} in {what}", pair.difference.n)
    verb = {-1: "is lower than", 0: "is not shown to be other than", 1: "is higher than"}[pair.direction]
    better = 1 if column == UNTRAINED_ACCURACY else -1
    answer: Answer = "not shown" if not pair.direction else "yes" if pair.direction == better else "no"
    mean = signed(pair.difference.mean, column.digits) + " percentage points" * (column.unit == "%")
    evidence = pair.evidence(column, comparison.tested)
    return Claim(name, answer, f"{part.subject.format(what, verb)}: {mean} ({evidence}).")

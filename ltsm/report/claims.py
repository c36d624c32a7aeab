"""Findings in words: a short name, an answer, and a sentence that is right about its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ltsm.report.paired import ENOUGH_PAIRS

if TYPE_CHECKING:
    from ltsm.report.paired import Comparison

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

"""The finding in words, computed from the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.report.paired import HIGH_PERFORMERS
from ltsm.report.statistics import ENOUGH_SEEDS, bootstrap, summarise
from ltsm.report.paper.table_1 import COLUMNS
from ltsm.report.words import p_text, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.paired import Paired


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the paper: its short name, the answer (yes, no, not shown, not enough seeds), a sentence."""

    name: str
    answer: str
    sentence: str


NOT_ENOUGH = "not enough seeds"
MOST_NAMES = 9
"""How many networks a sentence can name; the paper has ten, of which one at least is no high performer."""


def finding(evaluation: Evaluation, pairs: Sequence[Paired]) -> tuple[Claim, ...]:
    """Is the ticket smaller, is its loss lower than the baseline's and the high performers', did t vary."""
    baseline = next((pair for pair in pairs if "[baseline]" in pair.label), None)
    high = next(pair for pair in pairs if pair.label == HIGH_PERFORMERS)
    claims = [_smaller(evaluation)]
    if baseline is not None:
        claims.append(_lower("lower_loss_than_baseline", "the baseline architecture's", baseline))
    claims += [_lower("lower_loss_than_high_performers", _mean_of(high), high)]
    return (*claims, _threshold(evaluation))


def _mean_of(high: Paired) -> str:
    """Which networks the group is made of: it is computed, and may be another than the paper's."""
    names = [f"({', '.join(map(str, hidden))})" for hidden in high.others]
    if not 1 < len(names) <= MOST_NAMES:
        return (
            "the high performers' mean" if len(names) != 1 else f"that of the only high performer, {names[0]}"
        )
    return f"the mean of the high performers {', '.join(names[:-1])} and {names[-1]}"


def _smaller(evaluation: Evaluation) -> Claim:
    column = COLUMNS[0]
    sizes = column.values(evaluation.finished("ticket"))
    if len(sizes) < ENOUGH_SEEDS:
        return _not_enough("smaller", "whether the lottery ticket is smaller", len(sizes))
    size, interval = summarise(sizes), bootstrap(sizes)
    smaller = interval.high < 100  # noqa: PLR2004 - per cent
    points = f"it is smaller, by {100 - size.mean:.1f} percentage points"
    sentence = (
        f"Over {size.n} seeds the lottery ticket keeps {column.text(size)} of the baseline's parameters "
        f"(95% interval of the mean {interval.low:.1f}% to {interval.high:.1f}%): "
        + (points if smaller else "it is not shown to be smaller")
        + "."
    )
    return Claim("smaller", "yes" if smaller else "not shown", sentence)


def _lower(name: str, other: str, pair: Paired) -> Claim:
    n = pair.difference.n
    if not pair.enough:
        return _not_enough(name, f"whether the ticket's loss is lower than {other}", n)
    verb = {-1: "is lower than", 0: "is not shown to differ from", 1: "is higher than"}[pair.direction]
    mean, low, high = (signed(v) for v in (pair.difference.mean, pair.interval.low, pair.interval.high))
    sentence = (
        f"Its final validation loss {verb} {other}: paired over {n} seeds the mean difference is {mean} "
        f"(95% interval {low} to {high}; Wilcoxon {p_text(pair.p)}; lower for {pair.lower} of {n} seeds)."
    )
    return Claim(name, {-1: "yes", 0: "not shown", 1: "no"}[pair.direction], sentence)


def _threshold(evaluation: Evaluation) -> Claim:
    chosen = [mask.threshold for mask in evaluation.masks if mask.selected]
    if len(chosen) < 2:  # noqa: PLR2004 - one threshold cannot vary
        return _not_enough("threshold_varied", "whether the selected threshold varies", len(chosen), needed=2)
    if len(set(chosen)) == 1:
        sentence = f"The selected threshold was {chosen[0]:g} for every one of {len(chosen)} seeds."
        return Claim("threshold_varied", "no", sentence)
    t = summarise(chosen)
    sentence = (
        f"The selected threshold varied between seeds: {t.mean:.3f} ± {t.sd:.3f}, "
        f"from {min(chosen):g} to {max(chosen):g} over {t.n} seeds."
    )
    return Claim("threshold_varied", "yes", sentence)


def _not_enough(name: str, question: str, n: int, needed: int = ENOUGH_SEEDS) -> Claim:
    return Claim(
        name, NOT_ENOUGH, f"Not enough seeds to say {question}: {n} finished, at least {needed} needed."
    )

"""What every document of the paper's evaluation says, computed once, with the paper's own claims tested.

The ticket is compared with every dense network, paired by seed. Two networks of one seed share the data's order but not
their initial values, so a pair is worth little more than two runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ltsm.report.contents import Contents
from ltsm.report.evaluation import dataset_title
from ltsm.report.grids import Entry, Grid
from ltsm.report.paired import ENOUGH_PAIRS, Claim, Comparison, difference, holm_together, not_enough
from ltsm.report.paper import published
from ltsm.report.paper.table_1 import LOTTERY_TICKET, TICKET, hidden, is_baseline, label, of_category, table_1
from ltsm.report.paper.text_numbers import TextNumber, text_numbers
from ltsm.report.statistics import one_sample, summarise, welch
from ltsm.report.table import FINAL_LOSS, SIZE
from ltsm.report.words import p_text, signed
from ltsm.studies.names import sizes

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.paired import Answer, Paired
    from ltsm.report.table import Table

HIGH_PERFORMERS = "High performers"
MOST_NAMES = 9
"""How many networks a sentence can name; the paper has ten, of which one at least is no high performer."""


def paired(evaluation: Evaluation, table: Table) -> Comparison:
    """The ticket against each dense network in the table's order, last against the high performers' mean."""
    ticket = evaluation.by_seed(TICKET, FINAL_LOSS.result)
    groups = {row.label: row.group for row in table.rows if row.label != LOTTERY_TICKET}
    groups[HIGH_PERFORMERS] = of_category(table, "High performer")
    pairs = [difference(name, ticket, evaluation.by_seed(g, FINAL_LOSS.result)) for name, g in groups.items()]
    title = "Final validation loss, paired by seed"
    return Comparison("paired", title, "Ticket minus …", FINAL_LOSS, holm_together(pairs))


def finding(
    evaluation: Evaluation, compared: Comparison, high: tuple[tuple[int, ...], ...]
) -> tuple[Claim, ...]:
    """Is the ticket smaller, is its loss lower than the baseline's and the high performers', did t vary.

    `high` are the hidden layers of the networks that are high performers.
    """
    pairs = {pair.label: pair for pair in compared.pairs}
    claims = [_smaller(evaluation)]
    for group in evaluation.study.groups:
        if is_baseline(evaluation, group):
            pair = pairs[label(evaluation, group)]
            claims.append(_lower("lower_loss_than_baseline", "the baseline architecture's", compared, pair))
    claims.append(_lower("lower_loss_than_high_performers", _mean_of(high), compared, pairs[HIGH_PERFORMERS]))
    return (*claims, _threshold(evaluation))


def _mean_of(high: tuple[tuple[int, ...], ...]) -> str:
    """Which networks the group is made of: it is computed, and may be another than the paper's."""
    names = [sizes(hidden) for hidden in high]
    if not 1 < len(names) <= MOST_NAMES:
        return (
            "the high performers' mean" if len(names) != 1 else f"that of the only high performer, {names[0]}"
        )
    return f"the mean of the high performers {', '.join(names[:-1])} and {names[-1]}"


def _smaller(evaluation: Evaluation) -> Claim:
    found = SIZE.values(evaluation.finished(TICKET))
    if len(found) < ENOUGH_PAIRS:
        return not_enough("smaller", "whether the lottery ticket is smaller", len(found))
    size, (interval, p) = summarise(found), one_sample(found, null=100)
    smaller = p < 0.05 and size.mean < 100  # noqa: PLR2004 - the interval's level, and per cent
    points = f"it is smaller, by {100 - size.mean:.1f} percentage points"
    sentence = (
        f"Over {size.n} seeds the lottery ticket keeps {SIZE.text(size)} of the baseline's parameters "
        f"(95% interval of the mean {interval.low:.1f}% to {interval.high:.1f}%): "
        + (points if smaller else "it is not shown to be smaller")
        + "."
    )
    return Claim("smaller", "yes" if smaller else "not shown", sentence)


def _lower(name: str, other: str, compared: Comparison, pair: Paired) -> Claim:
    n = pair.difference.n
    if not pair.enough:
        return not_enough(name, f"whether the ticket's loss is lower than {other}", n)
    verb = {-1: "is lower than", 0: "is not shown to differ from", 1: "is higher than"}[pair.direction]
    sentence = (
        f"Its final validation loss {verb} {other}: paired over {n} seeds the mean difference is "
        f"{signed(pair.difference.mean)} ({pair.evidence(compared.column, compared.tested)})."
    )
    answers: dict[int, Answer] = {-1: "yes", 0: "not shown", 1: "no"}
    return Claim(name, answers[pair.direction], sentence)


def _threshold(evaluation: Evaluation) -> Claim:
    chosen = [mask.amount for mask in evaluation.masks if mask.selected]
    if len(chosen) < 2:  # noqa: PLR2004 - one threshold cannot vary
        return not_enough("threshold_varied", "whether the selected threshold varies", len(chosen), needed=2)
    if len(set(chosen)) == 1:
        sentence = f"The selected threshold was {chosen[0]:g} for every one of {len(chosen)} seeds."
        return Claim("threshold_varied", "no", sentence)
    t = summarise(chosen)
    sentence = (
        f"The selected threshold varied between seeds: {t.mean:.3f} ± {t.sd:.3f}, "
        f"from {min(chosen):g} to {max(chosen):g} over {t.n} seeds."
    )
    return Claim("threshold_varied", "yes", sentence)


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

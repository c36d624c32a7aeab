"""The published claims on iterative pruning (Frankle and Carbin, 2019), beside a store's seeds.

They hold for one protocol and for the study as it is without options: a network counts for a claim only if its recipe is
that one's.

A ratio is that of two means over seeds, as it is published; its interval is that of its linearised values, one a seed
(the delta method), which takes the spread of both into account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.protocol import FRANKLE
from ltsm.report.paired import in_units
from ltsm.report.published_claims import Verification, published, value
from ltsm.report.statistics import summarise
from ltsm.report.table import FINAL_TEST, ITERATION, KEPT, MINIMAL_TEST
from ltsm.studies.iterative import NAME, REINITIALISED, TICKET, level, study, ticket
from ltsm.studies.study import Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table import Column

    BySeed = Mapping[int, float]

RUN = f"ltsm sweep {NAME}"
DENSE, SEVENTH, NINTH, FIFTEENTH = (ticket(number) for number in (0, 7, 9, 15))
REDRAWN = f"{REINITIALISED} 7"


def verify(evaluation: Evaluation) -> Verification:
    """Compare with what is published, if the protocol is the published one."""
    document = published("frankle-carbin")
    source = str(document["source"]).partition(":")[0]
    if evaluation.protocol.fingerprint != FRANKLE.fingerprint:
        return Verification(source, (), f"it is published for the protocol {FRANKLE.name}, and no other one.")
    found = dict(_found(evaluation))
    lines = tuple(value(claim, found[claim["id"]], RUN) for claim in document["claims"])
    return Verification(source, lines)


def _found(evaluation: Evaluation) -> Iterator[tuple[str, list[float]]]:
    """Each claim's numbers, one a seed; none where a network of it is missing."""
    size, early, minimal, final = (
        _numbers(evaluation, column) for column in (KEPT, ITERATION, MINIMAL_TEST, FINAL_TEST)
    )
    yield "size-21.1", [*size[SEVENTH].values()]
    yield "faster-21.1", [100 * (1 - r) for r in ratio(early[SEVENTH], early[DENSE])]
    yield "better-13.5", _minus(minimal[NINTH], minimal[DENSE])
    yield "back-3.6", _minus(minimal[FIFTEENTH], minimal[DENSE])
    yield "reinit-slower-21", ratio(early[REDRAWN], early[SEVENTH])
    yield "reinit-worse-21", _minus(minimal[SEVENTH], minimal[REDRAWN])
    differences = [_minus(of, final[DENSE]) for name, of in final.items() if _is_pruned(name)]
    # The round that is best on the test images, as the published one is.
    yield "end-better", max(differences, key=lambda d: summarise(d).mean if d else float("-inf"))


def _numbers(evaluation: Evaluation, column: Column) -> dict[str, BySeed]:
    """A number, in printed units, of each recipe of the study without options, by its name there."""
    found: dict[str, BySeed] = {}
    for name, fingerprint in study(FRANKLE).fingerprints().items():
        ours = evaluation.study.name_of(fingerprint)
        values = evaluation.by_seed(Group(name, (ours,)), column.result) if ours else {}
        found[name] = in_units(values, column)
    return found


def ratio(first: BySeed, second: BySeed) -> list[float]:
    """Values, one a seed that both have, whose mean is the ratio of the two means, and whose spread is its own."""
    seeds = sorted(first.keys() & second.keys())
    above, below = (summarise([of[seed] for seed in seeds]).mean for of in (first, second))
    if not below:
        return []
    return [above / below + (first[s] - above / below * second[s]) / below for s in seeds]


def _minus(first: BySeed, second: BySeed) -> list[float]:
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def _is_pruned(name: str) -> bool:
    kind, number = level(name)
    return kind == TICKET and number > 0

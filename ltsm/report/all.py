"""What is said of a study: the paper's own tables, figures and words for the paper's, the general ones for every other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ltsm.report import contents as general
from ltsm.report import criteria, criteria_claims, iterative, learned
from ltsm.report import table as general_table
from ltsm.report.figures import groups
from ltsm.report.measure import LOSS
from ltsm.report.paper import contents as of_the_paper
from ltsm.report.paper import figures as of_networks
from ltsm.report.paper import masks, published
from ltsm.report.paper.table_1 import table_1
from ltsm.studies import paper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ltsm.protocol import Protocol
    from ltsm.report.contents import Contents
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Figure
    from ltsm.report.measure import Measure
    from ltsm.report.paper.published import PublishedMask
    from ltsm.report.published_claims import Verification
    from ltsm.report.table import Table
    from ltsm.studies.study import Study


@dataclass(frozen=True, slots=True)
class _Report:
    table: Callable[[Evaluation], Table]
    figures: Mapping[int, Callable[[Evaluation, Table], Figure | None]]
    contents: Callable[[Evaluation], Contents]


_OF_THE_PAPER = {
    1: of_networks.initial_training,
    2: of_networks.retraining,
    3: masks.sizes_by_threshold,
    4: masks.accuracies_by_threshold,
    5: of_networks.tickets_and_hyperops,
    6: of_networks.relative_sizes,
    7: of_networks.trade_off,
    8: masks.what_is_left,
}
"""1 to 6 are the paper's, 7 and 8 go beyond it."""
_GENERAL = _Report(general_table.table, groups.FIGURES, general.contents)
_OF: dict[str, _Report] = {
    paper.NAME: _Report(table_1, _OF_THE_PAPER, of_the_paper.contents),
    criteria.NAME: replace(_GENERAL, figures=criteria.FIGURES),
    iterative.NAME: _Report(iterative.table, iterative.FIGURES, iterative.contents),
    learned.NAME: _Report(learned.table, learned.FIGURES, learned.contents),
}
VERIFY: dict[str, Callable[[Evaluation], Verification]] = {
    criteria.NAME: criteria_claims.verify,
    iterative.NAME: iterative.verify,
    learned.NAME: learned.verify,
}
"""Studies of which claims are published, beside the paper's own."""


def table(evaluation: Evaluation, measure: Measure = LOSS) -> Table:
    """The study's table of what is finished. Needs the records that `evaluation.cut_short` names."""
    found = _OF.get(evaluation.study.name, _GENERAL).table(evaluation)
    return found if measure == LOSS else general.table_of_accuracies(evaluation, found)


def contents(evaluation: Evaluation, measure: Measure = LOSS) -> Contents:
    """Everything that a document says. The numbers of the paper's text need all records."""
    report = _OF.get(evaluation.study.name, _GENERAL)
    if measure == LOSS:
        return report.contents(evaluation)
    return general.contents_by_accuracy(evaluation, report.table(evaluation))


def figures(evaluation: Evaluation, measure: Measure = LOSS) -> tuple[Figure, ...]:
    """The figures that there is something to draw for. Needs all records, and the paper's 8 the masks' bits."""
    report = _OF.get(evaluation.study.name, _GENERAL)
    rows = replace(report.table(evaluation), measure=measure)
    made = {n: make(evaluation, rows) for n, make in report.figures.items()}
    return tuple(replace(figure, number=n) for n, figure in made.items() if figure is not None)


def published_mask(study: Study, protocol: Protocol, recipe: str) -> PublishedMask | None:
    """What is published of a recipe's masks: of the paper's supermask, in whatever study, on the paper's data."""
    known = paper.study(protocol).fingerprints()[paper.SUPERMASK] == study.fingerprints()[recipe]
    return published.supermask() if known and published.comparable(protocol) else None

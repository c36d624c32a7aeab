"""What is said of a study: the paper's own tables, figures and words for the paper's, the general ones for every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.report import contents as general
from ltsm.report import table as general_table
from ltsm.report.figures import groups
from ltsm.report.paper import contents as of_the_paper
from ltsm.report.paper import figures as figures_of_the_paper
from ltsm.report.paper import published
from ltsm.report.paper.table_1 import table_1
from ltsm.studies import paper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ltsm.protocol import Protocol
    from ltsm.report.contents import Contents
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Figure
    from ltsm.report.paper.published import PublishedMask
    from ltsm.report.table import Table
    from ltsm.studies.study import Study


@dataclass(frozen=True, slots=True)
class _Report:
    table: Callable[[Evaluation], Table]
    figures: Mapping[int, Callable[[Evaluation, Table], Figure]]
    contents: Callable[[Evaluation], Contents]


_GENERAL = _Report(general_table.table, groups.FIGURES, general.contents)
_OF: dict[str, _Report] = {
    paper.NAME: _Report(table_1, figures_of_the_paper.FIGURES, of_the_paper.contents),
}


def table(evaluation: Evaluation) -> Table:
    """The study's table of what is finished. Needs the records that `evaluation.cut_short` names."""
    return _of(evaluation.study.name).table(evaluation)


def contents(evaluation: Evaluation) -> Contents:
    """Everything that a document says. The numbers of the paper's text need all records."""
    return _of(evaluation.study.name).contents(evaluation)


def figure_numbers(study: str) -> tuple[int, ...]:
    """The numbers of the figures that a study of this name can have."""
    return tuple(_of(study).figures)


def figures(evaluation: Evaluation, numbers: Iterable[int] | None = None) -> tuple[Figure, ...]:
    """These figures, or all that there is something to draw for. Needs all records, and the paper's 8 the masks' bits."""
    made = _of(evaluation.study.name).figures
    found = table(evaluation)
    return tuple(made[number](evaluation, found) for number in (made if numbers is None else numbers))


def published_mask(study: Study, protocol: Protocol, recipe: str) -> PublishedMask | None:
    """What is published of a recipe's masks: of the paper's supermask, in whatever study, on the paper's data."""
    known = paper.study(protocol).fingerprints()[paper.SUPERMASK] == study.fingerprints()[recipe]
    return published.supermask() if known and published.comparable(protocol) else None


def _of(study: str) -> _Report:
    return _OF.get(study, _GENERAL)

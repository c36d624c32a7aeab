"""What is said of a study: the paper's own tables, figures and words for the paper's, the general ones for every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.report import table as general
from ltsm.report.paper import published
from ltsm.report.paper.table_1 import table_1
from ltsm.studies import paper

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.protocol import Protocol
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.paper.published import PublishedMask
    from ltsm.report.table import Table
    from ltsm.studies.study import Study

_TABLES: dict[str, Callable[[Evaluation], Table]] = {paper.NAME: table_1}


def table(evaluation: Evaluation) -> Table:
    """The study's table of what is finished. Needs the records that `evaluation.cut_short` names."""
    return _TABLES.get(evaluation.study.name, general.table)(evaluation)


def published_mask(study: Study, protocol: Protocol, recipe: str) -> PublishedMask | None:
    """What is published of a recipe's masks: of the paper's supermask, in whatever study, on the paper's data."""
    known = paper.study(protocol).fingerprints()[paper.SUPERMASK] == study.fingerprints()[recipe]
    return published.supermask() if known and published.comparable(protocol) else None

"""What is said of a study: the paper's own tables, figures and words for the paper's, the general ones for every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.report import table as general
from ltsm.report.paper.table_1 import table_1
from ltsm.studies import paper

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table import Table

_TABLES: dict[str, Callable[[Evaluation], Table]] = {paper.NAME: table_1}


def table(evaluation: Evaluation) -> Table:
    """The study's table of what is finished. Needs the records that `evaluation.cut_short` names."""
    return _TABLES.get(evaluation.study.name, general.table)(evaluation)

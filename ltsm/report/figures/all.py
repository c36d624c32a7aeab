"""Every figure by its number: 1 to 6 are the paper's, 7 and 8 go beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.report.figures import curves, masks, sizes
from ltsm.report.paper.table_1 import table_1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Figure
    from ltsm.report.paper.table_1 import Table

FIGURES: dict[int, Callable[[Evaluation, Table], Figure]] = {
    1: curves.initial_training,
    2: curves.retraining,
    3: masks.sizes_by_threshold,
    4: masks.accuracies_by_threshold,
    5: curves.tickets_and_hyperops,
    6: sizes.relative_sizes,
    7: sizes.trade_off,
    8: masks.what_is_left,
}


def figures(evaluation: Evaluation, numbers: Iterable[int] = tuple(FIGURES)) -> tuple[Figure, ...]:
    """These figures. Needs the evaluation's records, and for figure 8 the supermasks' bits."""
    table = table_1(evaluation)
    return tuple(FIGURES[number](evaluation, table) for number in numbers)

"""The paper's own claims, tested: the ticket against every dense network, paired by seed.

Two networks of one seed share the data's order but not their initial values, so a pair is worth little more than two runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.report.paired import Comparison, difference, holm_together
from ltsm.report.paper.table_1 import LOTTERY_TICKET, TICKET
from ltsm.report.table import FINAL_LOSS
from ltsm.studies.study import Group

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table import Table

HIGH_PERFORMERS = "High performers"


def paired(evaluation: Evaluation, table: Table) -> Comparison:
    """The ticket against each dense network in the table's order, last against the high performers' mean."""
    ticket = evaluation.by_seed(TICKET, FINAL_LOSS.result)
    groups = {row.label: row.group for row in table.rows if row.label != LOTTERY_TICKET}
    groups[HIGH_PERFORMERS] = of_category(table, "High performer")
    pairs = [difference(name, ticket, evaluation.by_seed(g, FINAL_LOSS.result)) for name, g in groups.items()]
    title = "Final validation loss, paired by seed"
    return Comparison("paired", title, "Ticket minus …", FINAL_LOSS, holm_together(pairs))


def of_category(table: Table, category: str) -> Group:
    """The networks of one kind as one group."""
    return Group(
        category, tuple(name for row in table.rows if row.category == category for name in row.group.recipes)
    )

"""Any study by its accuracies in place of its losses: `--measure accuracy`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ltsm.report.claims import differences
from ltsm.report.contents import Contents
from ltsm.report.evaluation import dataset_title
from ltsm.report.measure import ACCURACY
from ltsm.report.paired import against_reference
from ltsm.report.table import FINAL_ACCURACY, SIZE, TESTED, UNTRAINED_ACCURACY, row
from ltsm.studies.names import title

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.table import Table

COLUMNS: Final = (SIZE, UNTRAINED_ACCURACY, FINAL_ACCURACY)


def table(evaluation: Evaluation, by_loss: Table) -> Table:
    """The rows of the study's own table with their accuracies, those on the test set where there is one."""
    rows = [row(evaluation, r.group, (*COLUMNS, *TESTED), r.label, r.category) for r in by_loss.rows]
    tested = {cell.column for r in rows for cell in r.cells if cell.column in TESTED and cell.ours.n}
    columns = (*COLUMNS, *(column for column in TESTED if column in tested))
    cut = (replace(r, cells=tuple(c for c in r.cells if c.column in columns)) for r in rows)
    return replace(by_loss, columns=columns, rows=tuple(cut), measure=ACCURACY)


def contents(evaluation: Evaluation, by_loss: Table) -> Contents:
    """That table, and its accuracies compared, paired by seed: the study's reference minus each other group."""
    found, reference = table(evaluation, by_loss), title(evaluation.study.reference)
    compared = [
        against_reference(evaluation, column, reference, column.name)
        for column in found.columns
        if column != SIZE
    ]
    comparisons = tuple(c for c in compared if c.pairs)
    words = f"{title(evaluation.study.title)}, by accuracy, on {dataset_title(evaluation.protocol)}"
    claims = tuple(differences(reference, c) for c in comparisons)
    return Contents(evaluation, words, claims, found, comparisons)

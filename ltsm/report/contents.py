"""What every document of a study says, computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ltsm.report import controls
from ltsm.report.evaluation import dataset_title
from ltsm.report.grids import Grid, of_comparison, of_table
from ltsm.report.measure import ACCURACY
from ltsm.report.paired import Claim, Comparison, against_reference, differences
from ltsm.report.table import (
    FINAL_ACCURACY,
    FINAL_LOSS,
    KEPT,
    SIZE,
    TESTED,
    UNTRAINED_ACCURACY,
    UNTRAINED_TEST,
    Table,
    row,
    table,
)
from ltsm.studies.names import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.paper.text_numbers import TextNumber
    from ltsm.report.table import Column

SIZES: Final = (SIZE, KEPT)
ACCURACIES: Final = (UNTRAINED_ACCURACY, FINAL_ACCURACY)


@dataclass(frozen=True, slots=True)
class Contents:
    """The title, the finding, the table, the paired comparisons, and the numbers of the text where there is one."""

    evaluation: Evaluation
    title: str
    claims: tuple[Claim, ...]
    table: Table
    comparisons: tuple[Comparison, ...]
    numbers: tuple[TextNumber, ...] = ()
    more: tuple[Grid, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said below the table."""
        return self.table.notes

    def grids(self, *, against_paper: bool) -> tuple[Grid, ...]:
        """Its tables in order, as text."""
        shown = against_paper and self.table.compared
        return (of_table(self.table, against_paper=shown), *map(of_comparison, self.comparisons), *self.more)


def contents(
    evaluation: Evaluation,
    make: Callable[[Evaluation], Table] = table,
    compared: Sequence[Column] = (FINAL_LOSS, UNTRAINED_ACCURACY, UNTRAINED_TEST),
) -> Contents:
    """Everything that a document says of a study that has no words of its own, or has those of `controls`.

    Args:
        evaluation: what there is.
        make: its table.
        compared: in which of the table's columns the reference is compared with each other group.
    """
    study = evaluation.study
    rows = make(evaluation)
    claims, comparisons = _compared(evaluation, [column for column in compared if column in rows.columns])
    if study.name == controls.NAME:
        parts = controls.parts(evaluation)
        claims, comparisons = controls.finding(parts), (*parts, *comparisons)
    data = dataset_title(evaluation.protocol)
    return Contents(evaluation, f"{title(study.title)}, on {data}", claims, rows, comparisons)


def table_of_accuracies(evaluation: Evaluation, by_loss: Table) -> Table:
    """The rows of the study's own table with their accuracies, those on the test set where there is one."""
    always = (*(column for column in by_loss.columns if column in SIZES), *ACCURACIES)
    rows = [row(evaluation, r.group, (*always, *TESTED), r.label, r.category) for r in by_loss.rows]
    tested = {cell.column for r in rows for cell in r.cells if cell.column in TESTED and cell.ours.n}
    columns = (*always, *(column for column in TESTED if column in tested))
    cut = (replace(r, cells=tuple(c for c in r.cells if c.column in columns)) for r in rows)
    return replace(by_loss, columns=columns, rows=tuple(cut), measure=ACCURACY)


def contents_by_accuracy(evaluation: Evaluation, by_loss: Table) -> Contents:
    """That table, and its accuracies compared: what any study's document says with `--measure accuracy`."""
    found = table_of_accuracies(evaluation, by_loss)
    claims, comparisons = _compared(evaluation, [c for c in found.columns if c not in SIZES])
    words = f"{title(evaluation.study.title)}, by accuracy, on {dataset_title(evaluation.protocol)}"
    return Contents(evaluation, words, claims, found, comparisons)


def _compared(
    evaluation: Evaluation, columns: Iterable[Column]
) -> tuple[tuple[Claim, ...], tuple[Comparison, ...]]:
    """The study's reference minus each other group in these columns, paired by seed, and in words.

    A reference that trains nothing has no final numbers, however many of its runs have ended.
    """
    own = [group for group in evaluation.study.groups if group.label == evaluation.study.reference]
    ended = any(evaluation.whole(group) for group in own)
    had = [c for c in columns if not ended or any(evaluation.by_seed(group, c.result) for group in own)]
    found = (against_reference(evaluation, column) for column in had)
    comparisons = tuple(comparison for comparison in found if comparison.pairs)
    reference = title(evaluation.study.reference)
    return tuple(differences(reference, comparison) for comparison in comparisons), comparisons

"""What every document of a study says, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.report import controls
from ltsm.report.claims import Claim, differences
from ltsm.report.evaluation import dataset_title
from ltsm.report.grids import Grid, of_comparison, of_table
from ltsm.report.paired import Comparison, against_reference
from ltsm.report.table import FINAL_LOSS, UNTRAINED_ACCURACY, UNTRAINED_TEST, Table, table
from ltsm.studies.names import title

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.paper.text_numbers import TextNumber


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


def contents(evaluation: Evaluation) -> Contents:
    """Everything that a document says of a study that has no words of its own, or has those of `controls`."""
    study = evaluation.study
    reference = title(study.reference)
    rows = table(evaluation)
    compared = tuple(
        against_reference(evaluation, column, reference, column.name)
        for column in (FINAL_LOSS, UNTRAINED_ACCURACY, UNTRAINED_TEST)
        if column in rows.columns
    )
    comparisons = tuple(c for c in compared if c.pairs)
    claims = tuple(differences(reference, c) for c in comparisons)
    if study.name == controls.NAME:
        parts = controls.parts(evaluation)
        claims, comparisons = controls.finding(parts), (*parts, *comparisons)
    data = dataset_title(evaluation.protocol)
    return Contents(evaluation, f"{title(study.title)}, on {data}", claims, rows, comparisons)

"""The table of any study as values: a row for each of its groups, mean ± deviation over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ltsm.report.evaluation import dataset_title
from ltsm.report.measure import LOSS, Measure
from ltsm.report.statistics import Summary, summarise, welch
from ltsm.report.words import MISSING, mean_and_spread, p_text, seeds_text
from ltsm.studies.names import run_name, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.store.values import ResultRow
    from ltsm.studies.study import Group


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers: the result it shows, its name for programs, and how it is printed."""

    result: str
    name: str
    heading: str
    digits: int
    unit: str = ""

    @property
    def scale(self) -> float:
        """What its results, which are shares where it is in percent, are multiplied by."""
        return 100 if self.unit == "%" else 1

    def values(self, results: Sequence[ResultRow]) -> list[float]:
        """The results' numbers in printed units."""
        return [self.scale * float(getattr(r, self.result)) for r in results]

    def text(self, value: Summary) -> str:
        """`38.7% ± 17.9`, `0.091 ± 0.007`; without ± where there is no spread to print."""
        return mean_and_spread(value, self.digits, self.unit)


SIZE = Column("relative_size", "relative_size_percent", "Relative size", 1, "%")
KEPT = Column("kept_share", "weights_kept_percent", "Weights kept", 1, "%")
UNTRAINED_ACCURACY = Column(
    "untrained_val_accuracy", "untrained_validation_accuracy_percent", "Untrained validation accuracy", 1, "%"
)
UNTRAINED_LOSS = Column("untrained_val_loss", "untrained_validation_loss", "Untrained validation loss", 3)
FINAL_LOSS = Column("final_val_loss", "final_validation_loss", "Final validation loss", 3)
MINIMAL_LOSS = Column("minimal_val_loss", "minimal_validation_loss", "Minimal validation loss", 3)
ITERATION = Column(
    "minimal_iteration", "iteration_of_minimal_validation_loss", "Iteration of minimal validation loss", 1
)
FINAL_ACCURACY = Column(
    "final_val_accuracy", "final_validation_accuracy_percent", "Final validation accuracy", 2, "%"
)
UNTRAINED_TEST = Column(
    "untrained_test_accuracy", "untrained_test_accuracy_percent", "Untrained test accuracy", 1, "%"
)
MINIMAL_TEST = Column(
    "minimal_test_accuracy", "test_accuracy_at_the_minimum_percent", "Test accuracy at the minimum", 2, "%"
)
FINAL_TEST = Column("final_test_accuracy", "final_test_accuracy_percent", "Final test accuracy", 2, "%")
ACHIEVED = Column("achieved_val_accuracy", "validation_accuracy_percent", "Validation accuracy", 2, "%")
ACHIEVED_TEST = Column("achieved_test_accuracy", "test_accuracy_percent", "Test accuracy", 2, "%")
"""Of a network as its run ends, whether or not its weights were trained."""
SAMPLED = Column(
    "sampled_val_accuracy", "drawn_masks_validation_accuracy_percent", "Of drawn masks, validation", 2, "%"
)
SAMPLED_TEST = Column(
    "sampled_test_accuracy", "drawn_masks_test_accuracy_percent", "Of drawn masks, test", 2, "%"
)
TESTED = (UNTRAINED_TEST, MINIMAL_TEST, FINAL_TEST)
"""Shown where there is a test set."""
_EXACT = 1e-9
COLUMNS = (SIZE, UNTRAINED_ACCURACY, UNTRAINED_LOSS, FINAL_LOSS, MINIMAL_LOSS, ITERATION, FINAL_ACCURACY)


@dataclass(frozen=True, slots=True)
class Cell:
    """Our number and a published one (None where there is none)."""

    column: Column
    ours: Summary
    theirs: Summary | None = None

    @property
    def p(self) -> float:
        """Of Welch's test between them; NaN where there is nothing to test: exact sizes, missing spreads."""
        return math.nan if self.theirs is None else welch(self.ours, self.theirs)

    @property
    def text(self) -> str:
        """Our number as it is printed."""
        return self.column.text(self.ours)

    @property
    def published(self) -> str:
        """The published number as it is printed."""
        return MISSING if self.theirs is None else self.column.text(self.theirs)

    @property
    def agreement(self) -> str:
        """P of Welch's test in words; for exact numbers whether the printed digits are the same."""
        if self.theirs is None or math.isnan(self.ours.mean):
            return MISSING
        if math.isnan(self.p):
            exact = math.isnan(self.theirs.sd)
            return ("=" if self.text == self.published else "≠") if exact else "not enough seeds"
        return p_text(self.p)


@dataclass(frozen=True, slots=True)
class Row:
    """One group over all seeds. `n` counts the seeds behind its means, `diverged` names those left out."""

    group: Group
    label: str
    category: str | None
    n: int
    diverged: tuple[int, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A study's table: its rows in order, its caption, what has to be said below it, and which curves go with it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    seeds: int
    caption: str
    notes: tuple[str, ...]
    measure: Measure = LOSS

    @property
    def compared(self) -> bool:
        """Whether any number stands beside a published one."""
        return any(cell.theirs is not None for row in self.rows for cell in row.cells)

    @property
    def categories(self) -> bool:
        """Whether its rows are of several kinds."""
        return any(row.category for row in self.rows)

    def label(self, row: Row) -> str:
        """The row's label, with its n where that is not the table's."""
        return row.label if row.n == self.seeds else f"{row.label} (n = {row.n})"


def table(evaluation: Evaluation, columns: Sequence[Column] = (*COLUMNS, *TESTED)) -> Table:
    """The table of everything that is finished: of these columns those in which a group has a number.

    Needs the records that `cut_short` names. Nothing is tested without a test set, and where nothing is trained nothing
    ends.
    """
    every = tuple(row(evaluation, group, columns) for group in evaluation.study.groups)
    filled = {cell.column for r in every for cell in r.cells if cell.ours.n}
    columns = tuple(c for c in columns if c in filled) or tuple(c for c in columns if c not in TESTED)
    rows = tuple(replace(r, cells=tuple(c for c in r.cells if c.column in columns)) for r in every)
    return Table(
        title=f"Study {evaluation.study.name}",
        columns=columns,
        rows=rows,
        seeds=len(evaluation.seeds),
        caption=_caption(evaluation, rows, columns),
        notes=tuple(notes(evaluation, rows)),
    )


def row(
    evaluation: Evaluation,
    group: Group,
    columns: Sequence[Column],
    label: str = "",
    category: str | None = None,
    published: Mapping[str, Summary] | None = None,
) -> Row:
    """A group's row; `published` numbers by the columns' names."""
    return Row(
        group=group,
        label=label or title(group.label),
        category=category,
        n=len(evaluation.whole(group)),
        diverged=tuple(dict.fromkeys(r.seed for r in evaluation.diverged(group))),
        cells=tuple(Cell(c, summary(evaluation, group, c), (published or {}).get(c.name)) for c in columns),
    )


def summary(evaluation: Evaluation, group: Group, column: Column) -> Summary:
    """Mean and deviation over seeds of one number of a group, in printed units; a size that is set is exact."""
    found = summarise(column.scale * v for v in evaluation.by_seed(group, column.result).values())
    exact = column in {SIZE, KEPT} and found.sd < _EXACT
    return Summary(found.n, found.mean, math.nan) if exact else found


def sample(evaluation: Evaluation, rows: Sequence[Row]) -> list[str]:
    """What a caption says of means and deviations."""
    n = len(evaluation.seeds)
    title_ = dataset_title(evaluation.protocol)
    sentences = [f"Mean ± sample standard deviation over n = {n} seed{'s' * (n != 1)}; data: {title_}."]
    if any(row.n != n for row in rows):
        sentences.append("Rows with an n of their own have fewer finished runs.")
    if n == 1:
        sentences.append("One seed has no deviation.")
    return sentences


def notes(evaluation: Evaluation, rows: Sequence[Row]) -> Iterator[str]:
    """What has to be said of runs that diverged, failed or are missing, and of the order of the images."""
    for r in rows:
        if r.diverged:
            yield f"{r.label} diverged for {seeds_text(r.diverged)}: left out of its means."
    # Whatever the groups are made from: a minimum before it diverged may be one to stop at.
    own = {name for group in evaluation.study.groups for name in group.recipes}
    diverged = [r for r in evaluation.results if r.state == "diverged"]
    for name in evaluation.study.recipes:
        seeds = [r.seed for r in diverged if r.recipe == name]
        if seeds and name not in own:
            yield f"{title(name)} diverged for {seeds_text(seeds)}."
    for run in evaluation.runs:
        if run.state == "failed":
            yield f"{title(run_name(run.recipe, run.seed))} failed{f': {run.error}' if run.error else ''}."
    missing = [r.label for r in rows if not r.n and not r.diverged]
    if missing and evaluation.runs:
        yield f"No run is finished of: {', '.join(missing)}."
    if not evaluation.runs:
        others = (
            f"; it has runs of other studies: {', '.join(evaluation.others)}" if evaluation.others else ""
        )
        yield f"The store has no run of the study {evaluation.study.name} yet{others}."
    if evaluation.protocol.order == "shuffled":
        yield "The training images were reshuffled every epoch; the paper's are taken in file order."


def _caption(evaluation: Evaluation, rows: Sequence[Row], columns: Sequence[Column]) -> str:
    study = evaluation.study
    sentences = [f"{title(study.title)}."]
    if UNTRAINED_ACCURACY in columns:
        sentences.append("Each network untrained, and at the end of its training.")
    sentences += [
        f"“{title(g.label)}” is measured at iteration {g.until} of {' and '.join(g.recipes)}."
        for g in study.groups
        if g.until is not None
    ]
    return " ".join([*sentences, *sample(evaluation, rows)])

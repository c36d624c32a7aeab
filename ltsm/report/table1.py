"""Table 1 as values: rows, groups, order and number format as in the paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.report import published
from ltsm.report.evaluation import dataset_title, run_name
from ltsm.report.groups import CATEGORIES, groups
from ltsm.report.statistics import Summary, summarise, welch
from ltsm.report.words import MISSING, mean_and_spread, p_text, seeds_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.protocol import Kind
    from ltsm.report.evaluation import Evaluation
    from ltsm.store.values import ResultRow


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers: the result it shows, its name in `published.json`, and how it is printed."""

    result: str
    name: str
    heading: str
    scale: float
    digits: int
    unit: str = ""

    def values(self, results: Sequence[ResultRow]) -> list[float]:
        """The results' numbers in printed units."""
        return [self.scale * float(getattr(r, self.result)) for r in results]

    def text(self, value: Summary) -> str:
        """`38.7% ± 17.9`, `0.091 ± 0.007`; without ± where there is no spread to print."""
        return mean_and_spread(value, self.digits, self.unit)


COLUMNS = (
    Column("relative_size", "relative_size_percent", "Relative size", 100, 1, "%"),
    Column("final_val_loss", "final_validation_loss", "Final validation loss", 1, 3),
    Column("minimal_val_loss", "minimal_validation_loss", "Minimal validation loss", 1, 3),
    Column(
        "minimal_iteration",
        "iteration_of_minimal_validation_loss",
        "Iteration of minimal validation loss",
        1,
        1,
    ),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """Our number and the published one (None where the paper has none)."""

    column: Column
    ours: Summary
    theirs: Summary | None

    @property
    def p(self) -> float:
        """Of Welch's test between them; NaN where there is nothing to test: exact sizes, missing spreads."""
        return math.nan if self.theirs is None else welch(self.ours, self.theirs)

    @property
    def text(self) -> str:
        """Our number as the paper would print it."""
        return self.column.text(self.ours)

    @property
    def published(self) -> str:
        """The published number as the paper prints it."""
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
    """One network over all seeds. `n` counts the runs behind its means, `diverged` names the seeds left out."""

    label: str
    kind: Kind
    hidden: tuple[int, ...]
    category: str | None
    n: int
    diverged: tuple[int, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Table 1: its rows in the paper's order, its caption, and what has to be said below it."""

    rows: tuple[Row, ...]
    seeds: int
    caption: str
    notes: tuple[str, ...]

    @property
    def compared(self) -> bool:
        """Whether any number stands beside a published one."""
        return any(cell.theirs is not None for row in self.rows for cell in row.cells)

    def label(self, row: Row) -> str:
        """The row's label, with its n where that is not the table's."""
        return row.label if row.n == self.seeds else f"{row.label} (n = {row.n})"


def table_1(evaluation: Evaluation) -> Table:
    """The table of everything that is finished."""
    rows = [_row(evaluation, "ticket", evaluation.protocol.hidden, "Lottery ticket")]
    losses = {
        hidden: summarise(r.final_val_loss for r in evaluation.finished("hyperop", hidden)).mean
        for hidden in evaluation.hyperops
    }
    group = groups({hidden: loss for hidden, loss in losses.items() if math.isfinite(loss)})
    rows += [_row(evaluation, "hyperop", hidden, group.get(hidden)) for hidden in evaluation.hyperops]
    rows.sort(key=lambda row: _place(row, evaluation.protocol.hidden))
    return Table(
        tuple(rows), len(evaluation.seeds), _caption(evaluation, rows), tuple(_notes(evaluation, rows))
    )


def _row(evaluation: Evaluation, kind: Kind, hidden: tuple[int, ...], category: str | None) -> Row:
    results = evaluation.finished(kind, hidden)
    label = run_name(kind, hidden, evaluation.protocol.hidden)
    paper = published.table_1().get(label) if evaluation.comparable else None
    cells = tuple(_cell(column, kind, results, paper) for column in COLUMNS)
    diverged = tuple(r.seed for r in evaluation.diverged(kind, hidden))
    return Row(label, kind, hidden, category, len(results), diverged, cells)


def _cell(
    column: Column, kind: Kind, results: Sequence[ResultRow], paper: published.PublishedRow | None
) -> Cell:
    ours = summarise(column.values(results))
    if kind == "hyperop" and column.result == "relative_size":
        ours = Summary(ours.n, ours.mean, math.nan)  # a dense network's size is exact
    return Cell(column, ours, None if paper is None else paper.cells[column.name])


def _place(row: Row, baseline: tuple[int, ...]) -> tuple[int, int, bool, tuple[int, ...]]:
    """The paper's order: the ticket, then group by group; what the paper does not have comes last in its group."""
    order = ("Lottery ticket", *CATEGORIES, None)
    known = list(published.table_1())
    place = known.index(row.label) if row.label in known else len(known)
    return order.index(row.category), place, row.hidden != baseline, row.hidden


def _caption(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    p, n = evaluation.protocol, len(evaluation.seeds)
    letters = ", ".join("abcdefghijklmnopqrstuvwxyz"[: len(p.hidden)]) if len(p.hidden) <= len("abc") else "…"
    sentences = [
        "Comparison of performance and size between the lottery tickets and the hyperoptimized networks.",
        f"“Hyperop ({letters})” is a dense network with hidden layers of these sizes.",
        f"All networks were trained for {p.iterations} iterations.",
        f"Mean ± sample standard deviation over n = {n} seed{'s' * (n != 1)}; data: {dataset_title(p)}.",
    ]
    if any(row.n != n for row in rows):
        sentences.append("Rows with an n of their own have fewer finished runs.")
    if n == 1:
        sentences.append("One seed has no deviation.")
    return " ".join(sentences)


def _notes(evaluation: Evaluation, rows: Sequence[Row]) -> list[str]:
    baseline = evaluation.protocol.hidden
    notes = [
        f"{row.label} diverged for {seeds_text(row.diverged)}: left out of its means."
        for row in rows
        if row.diverged
    ]
    for kind in ("initial", "baseline"):
        # A minimum before that is one to stop at: such a seed may well have a ticket.
        if seeds := [r.seed for r in evaluation.diverged(kind)]:
            notes += [f"{run_name(kind, baseline, baseline)} diverged for {seeds_text(seeds)}."]
    if seeds := [r.seed for r in evaluation.trained("initial") if r.minimal_iteration == 0]:
        notes.append(
            f"Initial training never improved on the untrained network for {seeds_text(seeds)}: the masks follow the initial weights alone."
        )
    failed = [r for r in evaluation.runs if r.state == "failed"]
    notes += [f"{run_name(r.kind, r.hidden, baseline)} of seed {r.seed} failed." for r in failed]
    missing = [row.label for row in rows if not row.n and not row.diverged]
    if missing and evaluation.runs:
        notes.append(f"No run is finished of: {', '.join(missing)}.")
    if other := evaluation.other_settings:
        notes.append(f"The protocol is not the paper's in: {', '.join(other)}.")
    if evaluation.protocol.order == "shuffled":
        notes.append("The training images were reshuffled every epoch; the paper's are taken in file order.")
    if not evaluation.runs:
        notes.append("The store holds no runs yet: ltsm sweep fills it.")
    return notes

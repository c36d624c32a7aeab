"""Several protocols side by side: one study's rows under each, and what changes from the first to every other.

A difference is over the seeds that both have, as everywhere in the reports: seeds share the order of the data, and
networks of the same layers their initial values. Where no seed is shared it is the difference of two means, by Welch's
t-test. What was tested in a table is corrected together after Holm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final

from ltsm.notation import format_seeds
from ltsm.report import all as reports
from ltsm.report import provenance
from ltsm.report.paired import ENOUGH_PAIRS, Claim, difference, holm_together, in_units
from ltsm.report.statistics import Interval, Summary, two_sample
from ltsm.report.table import Row, notes, summary
from ltsm.studies.names import title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.measure import Measure
    from ltsm.report.paired import Answer, Paired
    from ltsm.report.table import Column, Table

_ALWAYS_OTHER: Final = ("name",)


@dataclass(frozen=True, slots=True)
class Side:
    """A protocol of a store: its letter and what it is called here, its evaluation, and the study's table under it."""

    letter: str
    name: str
    evaluation: Evaluation
    table: Table

    @property
    def heading(self) -> str:
        """`B: smoke lr=0.003`."""
        return f"{self.letter}: {self.name}"

    def row(self, label: str) -> Row | None:
        """The row of that label; None where there is none."""
        return next((row for row in self.table.rows if row.label == label), None)


@dataclass(frozen=True, slots=True)
class Versus:
    """A row under a later side minus the same row under the first; over shared seeds if `paired`, else of two means."""

    found: Paired
    paired: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its mean and deviation under each side (n is 0 where it is not finished), and the differences."""

    label: str
    sides: tuple[Summary, ...]
    versus: tuple[Versus, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One column of the study's table, under every side."""

    column: Column
    lines: tuple[Line, ...]

    @property
    def tested(self) -> int:
        """How many differences were corrected together."""
        return sum(not math.isnan(v.found.corrected_p) for line in self.lines for v in line.versus)


@dataclass(frozen=True)
class Compared:
    """A study under several protocols: the settings that are not the same, and each column of its table."""

    sides: tuple[Side, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    parts: tuple[Part, ...]
    measure: Measure

    @property
    def title(self) -> str:
        """What it is."""
        study = self.sides[0].evaluation.study
        return f"{title(study.title)}: {', '.join(side.heading for side in self.sides)}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said of each side's runs."""
        return tuple(
            f"{side.letter}: {note}"
            for side in self.sides
            for note in notes(side.evaluation, side.table.rows)
        )

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """For each column and each later side what is shown to differ; one sentence where nothing could be tested."""
        found = tuple(claim for part in self.parts for claim in _claims(self, part))
        return found or (self._not_enough(),)

    def _not_enough(self) -> Claim:
        lines = [line for part in self.parts for line in part.lines]
        most = max((v.found.difference.n for line in lines for v in line.versus), default=0)
        sentence = f"Not enough seeds to say what differs: {most} in common, at least {ENOUGH_PAIRS} needed."
        return Claim("differences", "not enough seeds", sentence)


def compare(sides: Sequence[tuple[str, Evaluation]], measure: Measure) -> Compared:
    """The study of the first, under all of these; needs the records that `evaluation.cut_short` names."""
    found = tuple(
        Side(letter, name, of, reports.table(of, measure))
        for letter, (name, of) in zip(ascii_uppercase, sides, strict=False)
    )
    columns = [column for side in found for column in side.table.columns]
    labels = [row.label for side in found for row in side.table.rows]
    parts = (_part(found, column, [*dict.fromkeys(labels)]) for column in dict.fromkeys(columns))
    return Compared(found, tuple(_settings(found)), tuple(parts), measure)


def _settings(sides: Sequence[Side]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The settings, and the seeds, that are not the same everywhere."""
    every = [
        dict(provenance.settings(side.evaluation)) | {"seeds run": format_seeds(side.evaluation.seeds)}
        for side in sides
    ]
    for name in dict.fromkeys(name for settings in every for name in settings):
        values = tuple(settings.get(name, "") for settings in every)
        if name not in _ALWAYS_OTHER and len(set(values)) > 1:
            yield name, values


def _part(sides: Sequence[Side], column: Column, labels: Sequence[str]) -> Part:
    lines = [_line(sides, column, label) for label in labels]
    pairs = iter(holm_together([v.found for line in lines for v in line.versus]))
    return Part(
        column,
        tuple(
            replace(line, versus=tuple(replace(v, found=next(pairs)) for v in line.versus)) for line in lines
        ),
    )


def _line(sides: Sequence[Side], column: Column, label: str) -> Line:
    rows = [side.row(label) for side in sides]
    values = [
        in_units(side.evaluation.by_seed(row.group, column.result), column) if row else {}
        for side, row in zip(sides, rows, strict=True)
    ]
    means = tuple(
        summary(side.evaluation, row.group, column) if row else Summary(0, math.nan, math.nan)
        for side, row in zip(sides, rows, strict=True)
    )
    first, *others = range(len(sides))
    versus = tuple(_versus(values[i], values[first], (means[i], means[first])) for i in others)
    return Line(label, means, versus)


def _versus(ours: dict[int, float], base: dict[int, float], means: tuple[Summary, Summary]) -> Versus:
    """Over the seeds that both have; of the two means where they have none in common."""
    pairs = difference("", ours, base)
    if all(mean.n and math.isnan(mean.sd) and mean.n > 1 for mean in means):  # exact: a dense network's size
        return Versus(replace(pairs, interval=Interval(math.nan, math.nan), p=math.nan), paired=True)
    if pairs.difference.n or not (ours and base):
        return Versus(pairs, paired=True)
    interval, p = two_sample(*means)
    n = min(summary.n for summary in means)
    between = Summary(n, means[0].mean - means[1].mean, math.nan)
    return Versus(replace(pairs, difference=between, interval=interval, p=p), paired=False)


def _claims(compared: Compared, part: Part) -> Iterator[Claim]:
    base = compared.sides[0].letter
    for i, side in enumerate(compared.sides[1:]):
        found = {line.label: line.versus[i].found for line in part.lines}
        tested = {label: pair for label, pair in found.items() if not math.isnan(pair.corrected_p)}
        if not tested:
            continue
        ways = {-1: "lower for", 1: "higher for", 0: "not shown to differ for"}
        labels = {way: [label for label, pair in tested.items() if pair.direction == way] for way in ways}
        said = "; ".join(f"{ways[way]} {', '.join(of)}" for way, of in labels.items() if of)
        answer: Answer = "yes" if labels[-1] or labels[1] else "not shown"
        corrected = f" (p corrected for {part.tested} differences)" * (part.tested > 1)
        sentence = f"{part.column.heading} under {side.letter} beside {base}: {said}{corrected}."
        yield Claim(f"{part.column.name}_of_{side.letter}", answer, sentence)

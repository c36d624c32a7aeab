"""The study `iterative`: how early, and how well, networks train round by round, against how much they keep.

Its published claims (Frankle and Carbin, 2019) hold for one protocol and for the study as it is without options: a
network counts for a claim only if its recipe is that one's. A ratio is that of two means over seeds, as it is published;
its interval is that of its linearised values, one a seed (the delta method), which takes the spread of both into account.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ltsm.protocol import FRANKLE
from ltsm.report import contents as general
from ltsm.report import table as general_table
from ltsm.report.bands import band
from ltsm.report.figures.curves import areas_first, curve_band, curves_panel, layers
from ltsm.report.figures.groups import STYLES
from ltsm.report.figures.values import Axis, Figure, Panel, Points, limits
from ltsm.report.figures.values import Band as Area
from ltsm.report.paired import in_units
from ltsm.report.published_claims import Verification, published, value
from ltsm.report.statistics import summarise
from ltsm.report.table import (
    FINAL_ACCURACY,
    FINAL_LOSS,
    FINAL_TEST,
    ITERATION,
    KEPT,
    MINIMAL_LOSS,
    MINIMAL_TEST,
)
from ltsm.report.words import averaged, left_out, nothing_yet
from ltsm.studies.iterative import NAME, ONE_SHOT, REINITIALISED, TICKET, level, study, ticket
from ltsm.studies.study import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ltsm.report.contents import Contents
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer, Style
    from ltsm.report.table import Column, Row, Table

    BySeed = Mapping[int, float]

__all__ = ["FIGURES", "NAME", "contents", "table", "verify"]

TESTED = (KEPT, ITERATION, MINIMAL_TEST, FINAL_TEST)
UNTESTED = (KEPT, ITERATION, MINIMAL_LOSS, FINAL_LOSS, FINAL_ACCURACY)
"""The table's columns where there is a test set, and where there is none."""
LABELS = {TICKET: NAME, REINITIALISED: "reinitialised", ONE_SHOT: "one-shot"}
DRAWN = (0, 3, 7, 9, 15, 20)
"""The rounds whose training is drawn: the dense network's, and those that are published."""
_ONE_LOG_STEP = 0.04
_A_LINE = 3


class _Series(NamedTuple):
    """One kind of network: what it is called, how it looks, and its groups, from the largest to the smallest."""

    label: str
    style: Style
    groups: list[Group]


def table(evaluation: Evaluation) -> Table:
    """A row for each round and control."""
    return general_table.table(evaluation, _columns(evaluation))


def contents(evaluation: Evaluation) -> Contents:
    """The table, and the dense network against each other one in all that the table has but size."""
    return general.contents(evaluation, table, _columns(evaluation)[1:])


def by_size(evaluation: Evaluation, _table: Table, number: int, column: Column, what: str) -> Figure | None:
    """A number of each network against its size; none where no run has it."""
    drawn = areas_first(layer for one in _series(evaluation) for layer in _drawn(evaluation, one, column))
    if not drawn:
        return None
    areas = [v for layer in drawn if isinstance(layer, Area) for v in (*layer.low, *layer.high)]
    points = [layer for layer in drawn if isinstance(layer, Points)]
    sizes = [x for layer in points for x in layer.x]
    unit = f" ({column.unit})" * bool(column.unit)
    panel = Panel(
        Axis(
            "Weights kept (%)", min(sizes) * (1 - _ONE_LOG_STEP), max(sizes) * (1 + _ONE_LOG_STEP), log=True
        ),
        Axis(f"{column.heading}{unit}", *limits((*areas, *(v for layer in points for v in _reach(layer))))),
        tuple(drawn),
    )
    caption = (
        f"{what} against the share of the weights that are kept, round by round: {averaged(evaluation)}"
        f"{left_out(evaluation, *evaluation.study.groups)}"
    )
    return Figure(number, f"{column.heading} by size", caption, (panel,))


def training(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 4: how the networks of chosen rounds train."""
    rows = [row for row in table.rows if _is_drawn(row)]
    found = [(row, curve_band(evaluation, row.group, table.measure)) for row in rows]
    named = [(curve, f"{row.group.label}: {row.cells[0].text}") for row, curve in found if len(curve.x)]
    drawn = ((curve, STYLES[i % len(STYLES)], name) for i, (curve, name) in enumerate(named))
    groups = evaluation.study.groups
    missing = nothing_yet(evaluation, f"run of the study {NAME}", *groups)
    panel, beyond = curves_panel(drawn, missing, table.measure, floor=0)
    what = table.measure.label
    caption = f"The {what.lower()} during training, of chosen rounds: {averaged(evaluation)} {beyond}".strip()
    return Figure(4, f"{what} during training", caption + left_out(evaluation, *groups), (panel,))


FIGURES: dict[int, Callable[[Evaluation, Table], Figure | None]] = {
    1: partial(by_size, number=1, column=ITERATION, what="The iteration of minimal validation loss"),
    2: partial(by_size, number=2, column=MINIMAL_TEST, what="The test accuracy at that iteration"),
    3: partial(by_size, number=3, column=FINAL_TEST, what="The test accuracy at the end of the training"),
    4: training,
}


def _columns(evaluation: Evaluation) -> tuple[Column, ...]:
    return UNTESTED if evaluation.protocol.held_out is None else TESTED


def _series(evaluation: Evaluation) -> list[_Series]:
    """The kinds that the study has; their groups from the dense network on."""
    groups = {kind: [g for g in evaluation.study.groups if level(g.label)[0] == kind] for kind in LABELS}
    return [
        _Series(label, STYLES[i], groups[kind])
        for i, (kind, label) in enumerate(LABELS.items())
        if groups[kind]
    ]


def _drawn(evaluation: Evaluation, series: _Series, column: Column) -> list[Layer]:
    """A number's mean and deviation over seeds against size: a band, or of few rounds markers alone."""
    seeds: dict[int, list[tuple[float, float]]] = {}
    for group in reversed(series.groups):
        sizes = evaluation.by_seed(group, KEPT.result)
        for seed, number in evaluation.by_seed(group, column.result).items():
            seeds.setdefault(seed, []).append((round(100 * sizes[seed], 6), column.scale * number))
    found = band(seeds.values())
    x, mean = tuple(found.x.tolist()), tuple(found.mean.tolist())
    if len(x) < _A_LINE:  # a line between two controls would say what nobody measured
        error = tuple(np.nan_to_num(found.deviation).tolist())
        return [Points(x, mean, series.style, series.label, y_error=error)] if x else []
    return [*layers(found, series.style, series.label), Points(x, mean, series.style, small=True)]


def _reach(points: Points) -> Iterator[float]:
    """Markers, and the ends of their bars."""
    for y, error in zip(points.y, points.y_error or (0.0,) * len(points.y), strict=True):
        yield from (y - error, y + error)


def _is_drawn(row: Row) -> bool:
    kind, number = level(row.group.label)
    return kind == TICKET and number in DRAWN


RUN = f"ltsm sweep {NAME}"
DENSE, SEVENTH, NINTH, FIFTEENTH = (ticket(number) for number in (0, 7, 9, 15))
REDRAWN = f"{REINITIALISED} 7"


def verify(evaluation: Evaluation) -> Verification:
    """Compare with what is published, if the protocol is the published one."""
    document = published("frankle-carbin")
    source = str(document["source"]).partition(":")[0]
    if evaluation.protocol.fingerprint != FRANKLE.fingerprint:
        return Verification(source, (), f"it is published for the protocol {FRANKLE.name}, and no other one.")
    found = dict(_found(evaluation))
    lines = tuple(value(claim, found[claim["id"]], RUN) for claim in document["claims"])
    return Verification(source, lines)


def _found(evaluation: Evaluation) -> Iterator[tuple[str, list[float]]]:
    """Each claim's numbers, one a seed; none where a network of it is missing."""
    size, early, minimal, final = (
        _numbers(evaluation, column) for column in (KEPT, ITERATION, MINIMAL_TEST, FINAL_TEST)
    )
    yield "size-21.1", [*size[SEVENTH].values()]
    yield "faster-21.1", [100 * (1 - r) for r in ratio(early[SEVENTH], early[DENSE])]
    yield "better-13.5", _minus(minimal[NINTH], minimal[DENSE])
    yield "back-3.6", _minus(minimal[FIFTEENTH], minimal[DENSE])
    yield "reinit-slower-21", ratio(early[REDRAWN], early[SEVENTH])
    yield "reinit-worse-21", _minus(minimal[SEVENTH], minimal[REDRAWN])
    differences = [_minus(of, final[DENSE]) for name, of in final.items() if _is_pruned(name)]
    # The round that is best on the test images, as the published one is.
    yield "end-better", max(differences, key=lambda d: summarise(d).mean if d else float("-inf"))


def _numbers(evaluation: Evaluation, column: Column) -> dict[str, BySeed]:
    """A number, in printed units, of each recipe of the study without options, by its name there."""
    found: dict[str, BySeed] = {}
    for name, fingerprint in study(FRANKLE).fingerprints().items():
        ours = evaluation.study.name_of(fingerprint)
        values = evaluation.by_seed(Group(name, (ours,)), column.result) if ours else {}
        found[name] = in_units(values, column)
    return found


def ratio(first: BySeed, second: BySeed) -> list[float]:
    """Values, one a seed that both have, whose mean is the ratio of the two means, and whose spread is its own."""
    seeds = sorted(first.keys() & second.keys())
    above, below = (summarise([of[seed] for seed in seeds]).mean for of in (first, second))
    if not below:
        return []
    return [above / below + (first[s] - above / below * second[s]) / below for s in seeds]


def _minus(first: BySeed, second: BySeed) -> list[float]:
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def _is_pruned(name: str) -> bool:
    kind, number = level(name)
    return kind == TICKET and number > 0

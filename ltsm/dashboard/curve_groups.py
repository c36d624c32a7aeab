"""Which runs belong together on the curves screen, what is known of each group, and all of it as a panel."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import islice
from math import isnan, nan
from typing import TYPE_CHECKING, Final, NamedTuple

from ltsm.dashboard.pins import of_group
from ltsm.dashboard.widgets.view import settled_axes
from ltsm.report.bands import Band, band, smoothed
from ltsm.report.figures.curves import layers as layers_of
from ltsm.report.figures.curves import seed_curve
from ltsm.report.figures.values import Curve, Panel
from ltsm.report.statistics import Summary, summarise
from ltsm.studies.names import title
from ltsm.studies.study import Group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ltsm.dashboard.legend import Selection
    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.pins import Pin
    from ltsm.dashboard.source import Source
    from ltsm.report.figures.values import Layer, Style
    from ltsm.store.values import RunRow
    from ltsm.studies.recipe import Recipe
    from ltsm.studies.study import Study

    Points = list[tuple[float, float]]

MEASURES: Final = {
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "train_loss": "training loss",
    "density": "share of weights kept",
    "sampled_accuracy": "accuracy of drawn masks",
}
"""Columns of a record that can be drawn, in the order of the key that goes through them."""
_OF_MASKS: Final = ("density", "sampled_accuracy")
"""Those that only a mask has that is trained."""
MOST_SEEDS: Final = 50
"""So many single curves of a group can be told apart, at the very most."""


SMOOTHED: Final = (1, 5, 15)
"""Over how many records a curve may be smoothed, in the order of the key that goes through them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A group of the study, a single recipe or what is pinned, its runs, and the published minimal validation loss."""

    group: Group
    runs: tuple[RunRow, ...]
    published: float | None = None
    pin: Pin | None = None

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return self.pin.key if self.pin else self.group.label

    @property
    def name(self) -> str:
        """As a list calls it."""
        return self.pin.name if self.pin else title(self.group.label)

    @property
    def started(self) -> int:
        """How many of its runs have something to draw."""
        return sum(run.iteration > 0 for run in self.runs)


class Asked(NamedTuple):
    """What is to be drawn: these lines, by key, of this column of a record, smoothed over so many records."""

    keys: Sequence[str]
    measure: str = "val_loss"
    pins: tuple[Pin, ...] = ()
    records: int = 1


def measures(recipes: Iterable[Recipe]) -> list[str]:
    """What can be drawn of runs of these recipes."""
    trained = any(recipe.trains == "mask" for recipe in recipes)
    return [name for name in MEASURES if trained or name not in _OF_MASKS]


class Curves(NamedTuple):
    """A group's band and each seed's curve, as they were recorded, and both as they are drawn, smoothed or not."""

    band: Band
    seeds: Mapping[int, Points]
    drawn_band: Band
    drawn_seeds: Mapping[int, Points]


@dataclass(frozen=True, slots=True)
class Drawing:
    """All lines of the list, and what is drawn of some, by key."""

    lines: tuple[Line, ...] = ()
    curves: Mapping[str, Curves] = field(default_factory=dict)

    def shows_the_same(self, other: Drawing) -> bool:
        """Whether the same curves are drawn."""
        return self.curves.keys() == other.curves.keys() and all(
            curves is other.curves[key] for key, curves in self.curves.items()
        )


def drawing(source: Source, moment: Moment, asked: Asked) -> Drawing:
    """Read what these groups need; for a worker thread."""
    found = lines(moment, asked.pins)
    return Drawing(
        found, {line.key: _curves(source, line, asked) for line in found if line.key in asked.keys}
    )


def lines(moment: Moment, pins: Sequence[Pin] = ()) -> tuple[Line, ...]:
    """What is pinned of others, which is to be in sight, then the study's groups, then what else it trains."""
    published = _published(moment)
    own = (
        Line(
            group,
            tuple(run for run in moment.runs if run.recipe in group.recipes),
            published.get(group.label),
        )
        for group in _groups(moment.study)
    )
    pinned = (
        Line(Group(pin.label, (pin.label,), pin.until), pin.runs(moment), pin=pin)
        for pin in of_others(moment, pins)
    )
    return (*pinned, *own)


def of_others(moment: Moment, pins: Sequence[Pin]) -> list[Pin]:
    """Those that are no group of what is shown, which has a line for each of its own."""
    own = {of_group(moment, group) for group in _groups(moment.study)}
    return [pin for pin in pins if pin not in own]


def _groups(study: Study) -> tuple[Group, ...]:
    grouped = {name for group in study.groups if group.until is None for name in group.recipes}
    trained = [name for name, recipe in study.recipes.items() if recipe.trains != "nothing"]
    return (*study.groups, *(Group(name, (name,)) for name in trained if name not in grouped))


def _published(moment: Moment) -> dict[str, float]:
    """The published minimal validation losses, by group: as they stand in a table of which nothing has ended.

    That of what has ended takes a second and a hundred megabytes of ten thousand seeds.
    """
    # These wait for SQLAlchemy, which the first paint need not: see `Dashboard.stores`.
    from ltsm.report import all as reports
    from ltsm.report.evaluation import Evaluation

    nothing = Evaluation(protocol=moment.protocol, study=moment.study, runs=(), records={})
    return {
        row.group.label: cell.theirs.mean
        for row in reports.table(nothing).rows
        for cell in row.cells
        if cell.column.result == "minimal_val_loss" and cell.theirs is not None
    }


def _curves(source: Source, line: Line, asked: Asked) -> Curves:
    """A group's curves: the very same ones as long as none of its runs changes, so that nobody draws them again."""
    runs = [run for run in line.runs if run.iteration]
    source = source.of(line.pin.path) if line.pin else source

    def made() -> Curves:
        seeds = _seeds(line.group, runs, source.points(runs, asked.measure))
        return curves_of(seeds, asked.records)

    stamp = (line.group, tuple((run.id, run.updated_at) for run in runs))
    return source.kept.one(("curves", line.key, asked.measure, asked.records), stamp, made)


def curves_of(seeds: Mapping[int, Points], records: int = 1) -> Curves:
    """The curves of these seeds, drawn over so many records."""
    found = band(seeds.values())
    if records == 1:
        return Curves(found, seeds, found, seeds)
    drawn = {seed: smoothed(points, records) for seed, points in seeds.items()}
    return Curves(found, seeds, band(drawn.values()), drawn)


def _seeds(group: Group, runs: Sequence[RunRow], points: Mapping[int, Points]) -> dict[int, Points]:
    """Each seed's points, as far as the group goes, averaged where it has several recipes; seeds without any left out."""
    seeds: dict[int, list[Points]] = {}
    for run in runs:
        of_run = points[run.id]
        if group.until is not None:
            of_run = [point for point in of_run if point[0] <= group.until]
        if of_run:
            seeds.setdefault(run.seed, []).append(of_run)
    return {seed: seed_curve(curves) for seed, curves in seeds.items()}


def difference(curves: Curves, base: Curves, x: float | None) -> Summary:
    """The first minus the second at a recorded x, or at the last record of each: over the seeds that both have there.

    Where they have no seed in common, of the two means, without a deviation.
    """
    ours, theirs = ({seed: _at(points, x) for seed, points in of.seeds.items()} for of in (curves, base))
    found = [
        value - other for seed, value in ours.items() if not isnan(value - (other := theirs.get(seed, nan)))
    ]
    if found:
        return summarise(found)
    means = (summarise(v for v in of.values() if not isnan(v)).mean for of in (ours, theirs))
    return Summary(0, next(means) - next(means), nan)


def _at(points: Points, x: float | None) -> float:
    """The value recorded there, or last; NaN where nothing was."""
    if x is None:
        return points[-1][1]
    i = bisect_left(points, (x,))
    return points[i][1] if i < len(points) and points[i][0] == x else nan


def panel(drawn: Drawing, selection: Selection, asked: Asked, *, single: bool) -> Panel:
    """The selected groups as areas and lines, the published minimum of each as a dashed line across."""
    measure = asked.measure
    shown = [line for line in drawn.lines if line.key in drawn.curves and selection.tag(line.key)]
    layers: list[Layer] = []
    for line in shown:
        style, tag = selection.style(line.key), selection.tag(line.key)
        curves = drawn.curves[line.key]
        layers += (
            _single(curves.drawn_seeds, style, tag) if single else layers_of(curves.drawn_band, style, tag)
        )
    x, y = settled_axes(layers, "iteration", MEASURES[measure], settles=True)
    levels = [
        Curve((x.low, x.high), (line.published, line.published), selection.style(line.key), dashed=True)
        for line in shown
        if measure == "val_loss" and line.published is not None
    ]
    if levels:
        x, y = settled_axes([*levels, *layers], "iteration", MEASURES[measure], settles=True)
    what = "single seeds" if single else "mean ± s.d. over seeds"
    dashed = " · dashed: published minimum" * bool(levels)
    smooth = f" · smoothed over {asked.records} records" * (asked.records > 1)
    return Panel(x, y, (*levels, *layers), title=f"{MEASURES[measure]} · {what}{smooth}{dashed}")


def _single(seeds: Mapping[int, Points], style: Style, tag: str) -> list[Layer]:
    """A line for each seed, the first with the letter."""
    columns = [tuple(zip(*points, strict=True)) for points in islice(seeds.values(), MOST_SEEDS)]
    return [Curve(x, y, style, tag * (i == 0)) for i, (x, y) in enumerate(columns)]

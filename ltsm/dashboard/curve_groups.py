"""Which runs belong together on the curves screen, what is known of each group, and all of it as a panel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ltsm.dashboard.widgets.view import settled_axes
from ltsm.report.bands import Band, band
from ltsm.report.figures.curves import layers as layers_of
from ltsm.report.figures.curves import seed_curve
from ltsm.report.figures.values import Curve, Panel
from ltsm.studies.names import title
from ltsm.studies.study import Group

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.selection import Selection
    from ltsm.dashboard.source import Source
    from ltsm.report.figures.values import Layer, Style
    from ltsm.report.table import Table
    from ltsm.store.values import Metric, RunRow
    from ltsm.studies.recipe import Recipe

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


@dataclass(frozen=True, slots=True)
class Line:
    """A group of the study or a single recipe, its runs, and the published minimal validation loss."""

    group: Group
    runs: tuple[RunRow, ...]
    published: float | None

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return self.group.label

    @property
    def name(self) -> str:
        """As a list calls it."""
        return title(self.group.label)

    @property
    def started(self) -> int:
        """How many of its runs have something to draw."""
        return sum(run.iteration > 0 for run in self.runs)


def measures(recipes: Iterable[Recipe]) -> list[str]:
    """What can be drawn of runs of these recipes."""
    trained = any(recipe.trains == "mask" for recipe in recipes)
    return [name for name in MEASURES if trained or name not in _OF_MASKS]


class Curves(NamedTuple):
    """What is drawn of a group: the band, and the curves of single seeds."""

    band: Band
    seeds: Sequence[Points]


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


def drawing(source: Source, moment: Moment, keys: Collection[str], measure: str) -> Drawing:
    """Read what these groups need; for a worker thread."""
    found = lines(moment, source.table(moment))
    return Drawing(found, {line.key: _curves(source, line, measure) for line in found if line.key in keys})


def lines(moment: Moment, table: Table | None = None) -> tuple[Line, ...]:
    """The study's groups, then what else it trains."""
    study, published = moment.study, _published(table)
    grouped = {name for group in study.groups if group.until is None for name in group.recipes}
    trained = [name for name, recipe in study.recipes.items() if recipe.trains != "nothing"]
    others = (Group(name, (name,)) for name in trained if name not in grouped)
    return tuple(
        Line(
            group,
            tuple(run for run in moment.runs if run.recipe in group.recipes),
            published.get(group.label),
        )
        for group in (*study.groups, *others)
    )


def _published(table: Table | None) -> dict[str, float]:
    """The published minimal validation losses, by group."""
    return {
        row.group.label: cell.theirs.mean
        for row in (table.rows if table else ())
        for cell in row.cells
        if cell.column.result == "minimal_val_loss" and cell.theirs is not None
    }


def _curves(source: Source, line: Line, measure: str) -> Curves:
    """A group's curves: the very same ones as long as none of its runs changes, so that nobody draws them again."""
    runs = [run for run in line.runs if run.iteration]

    def made() -> Curves:
        seeds = _seeds(line.group, runs, source.records(runs), measure)
        return Curves(band(seeds), seeds[:MOST_SEEDS])

    stamp = (line.group, tuple((run.id, run.updated_at) for run in runs))
    found: Curves = source.kept.one(("curves", line.key, measure), stamp, made)
    return found


def _seeds(
    group: Group, runs: Sequence[RunRow], records: Mapping[int, Sequence[Metric]], measure: str
) -> list[Points]:
    """Each seed's points, as far as the group goes, averaged where it has several recipes; seeds without any left out."""
    seeds: dict[int, list[Points]] = {}
    for run in runs:
        seen = (r for r in records[run.id] if group.until is None or r.iteration <= group.until)
        if points := [(float(record.iteration), float(getattr(record, measure))) for record in seen]:
            seeds.setdefault(run.seed, []).append(points)
    return list(map(seed_curve, seeds.values()))


def panel(drawn: Drawing, selection: Selection, measure: str, *, single: bool) -> Panel:
    """The selected groups as areas and lines, the published minimum of each as a dashed line across."""
    shown = [line for line in drawn.lines if line.key in drawn.curves and selection.tag(line.key)]
    layers: list[Layer] = []
    for line in shown:
        style, tag = selection.style(line.key), selection.tag(line.key)
        curves = drawn.curves[line.key]
        layers += _single(curves.seeds, style, tag) if single else layers_of(curves.band, style, tag)
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
    return Panel(x, y, (*levels, *layers), title=f"{MEASURES[measure]} · {what}{dashed}")


def _single(seeds: Sequence[Points], style: Style, tag: str) -> list[Layer]:
    """A line for each seed, the first with the letter."""
    columns = [tuple(zip(*points, strict=True)) for points in seeds]
    return [Curve(x, y, style, tag * (i == 0)) for i, (x, y) in enumerate(columns)]

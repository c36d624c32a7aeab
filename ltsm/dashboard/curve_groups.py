"""Which runs belong together on the curves screen, and what is known of each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from ltsm.report.bands import Band, band
from ltsm.dashboard.words import sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.source import Source
    from ltsm.report.table1 import Table
    from ltsm.store.values import Metric, RunRow

    Points = list[tuple[float, float]]

MEASURES: Final = {
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "train_loss": "training loss",
}
"""Columns of a record that can be drawn, in the order of the key that goes through them."""
MOST_SEEDS: Final = 50
"""So many single curves of a group can be told apart, at the very most."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that are drawn as one curve with a band; `published` is the paper's minimal validation loss."""

    key: str
    name: str
    runs: tuple[RunRow, ...]
    published: float | None

    @property
    def started(self) -> int:
        """How many of its runs have something to draw."""
        return sum(run.iteration > 0 for run in self.runs)


class Lines(NamedTuple):
    """What is drawn of a group: the band, and the curves of single seeds."""

    band: Band
    seeds: Sequence[Points]


@dataclass(frozen=True, slots=True)
class Drawing:
    """All groups; of those that are drawn, by key, the band and the curves of the single seeds."""

    groups: tuple[Group, ...]
    bands: Mapping[str, Band]
    seeds: Mapping[str, Sequence[Points]]

    def shows_the_same(self, other: Drawing) -> bool:
        """Whether the same curves are drawn."""
        return self.bands.keys() == other.bands.keys() and all(
            band is other.bands[key] for key, band in self.bands.items()
        )


def drawing(source: Source, moment: Moment, keys: Collection[str], measure: str) -> Drawing:
    """Read what these groups need; for a worker thread."""
    found = groups(moment, source.table_1(moment))
    drawn = [(group, _lines(source, group, measure)) for group in found if group.key in keys]
    return Drawing(
        tuple(found),
        {group.key: lines.band for group, lines in drawn},
        {group.key: lines.seeds for group, lines in drawn},
    )


def followed(moment: Moment, keys: Collection[str]) -> object:
    """What the curves of single kinds and architectures follow from: while it is the same, so are they."""
    return keys, tuple(
        (run.id, run.updated_at)
        for run in moment.runs
        if run.iteration and (run.kind if run.kind != "hyperop" else f"hyperop {sizes(run.hidden)}") in keys
    )


def _lines(source: Source, group: Group, measure: str) -> Lines:
    """A group's curves: the very same ones as long as none of its runs changes, so that nobody draws them again."""
    runs = [run for run in group.runs if run.iteration]
    key = (measure, tuple((run.id, run.updated_at) for run in runs))
    known = source.curves.get(group.key)
    if known is None or known[0] != key:
        seeds = _seeds(group, source.records(runs), measure)
        known = source.curves[group.key] = (key, Lines(band(seeds), seeds[:MOST_SEEDS]))
    return known[1]


def _seeds(group: Group, records: Mapping[int, Sequence[Metric]], measure: str) -> list[Points]:
    """Each run's points; runs without any are left out."""
    return [
        [(record.iteration, getattr(record, measure)) for record in records[run.id]]
        for run in group.runs
        if records.get(run.id)
    ]


def groups(moment: Moment, table: Table | None = None) -> list[Group]:
    """The three kinds of training, the groups of dense networks once there are any, and each dense network."""
    runs, baseline = moment.runs, moment.protocol.hidden
    published = _published(table)

    def chosen(key: str, name: str, wanted: Callable[[RunRow], bool]) -> Group:
        return Group(key, name, tuple(filter(wanted, runs)), published.get(key))

    found = [
        chosen("initial", "Initial training", lambda run: run.kind == "initial"),
        chosen("baseline", "Baseline", lambda run: run.kind == "baseline"),
        chosen("ticket", "Lottery ticket", lambda run: run.kind == "ticket"),
    ]
    for category, members in _categories(table).items():
        found.append(chosen(category, f"{category}s", _dense(members)))
    stored = (run.hidden for run in runs if run.kind == "hyperop")
    for hidden in dict.fromkeys([*moment.protocol.hyperops, *stored]):
        name = f"{sizes(hidden)}{' baseline' if hidden == baseline else ''}"
        found.append(chosen(f"hyperop {sizes(hidden)}", name, _dense({hidden})))
    return found


def _dense(hidden: Collection[tuple[int, ...]]) -> Callable[[RunRow], bool]:
    return lambda run: run.kind == "hyperop" and run.hidden in hidden


def _categories(table: Table | None) -> dict[str, set[tuple[int, ...]]]:
    found: dict[str, set[tuple[int, ...]]] = {}
    for row in table.rows if table else ():
        if row.kind == "hyperop" and row.category is not None:
            found.setdefault(row.category, set()).add(row.hidden)
    return found


def _published(table: Table | None) -> dict[str, float]:
    """The paper's minimal validation losses, by group."""
    return {
        "ticket" if row.kind == "ticket" else f"hyperop {sizes(row.hidden)}": cell.theirs.mean
        for row in (table.rows if table else ())
        for cell in row.cells
        if cell.column.result == "minimal_val_loss" and cell.theirs is not None
    }

"""The masked networks of all seeds, by threshold, and the lines that the supermask screen lists."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, NamedTuple

from ltsm.report.bands import Band, band

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.source import Source
    from ltsm.store.values import MaskRow

ALL, PAPER = -1, -2
"""In place of a seed: the mean over all, and the published one."""
_PUBLISHED = (
    "selected_threshold",
    "supermask_relative_size_percent",
    "supermask_validation_accuracy_percent",
)


class Spread(NamedTuple):
    """A mean and its sample standard deviation; NaN where there is none."""

    mean: float
    deviation: float = nan


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the list: of one seed, of all, or of the paper; sizes and accuracies in percent."""

    seed: int
    threshold: Spread
    size: Spread
    accuracy: Spread
    layers: tuple[Spread, ...] = ()

    @property
    def name(self) -> str:
        """As the list calls it."""
        return {ALL: "all seeds", PAPER: "paper"}.get(self.seed, f"seed {self.seed}")


@dataclass(frozen=True, slots=True)
class Masks:
    """Every seed's masked networks by threshold, those selected, their bands in percent, and the paper's line."""

    seeds: Mapping[int, Sequence[MaskRow]]
    selected: Sequence[MaskRow]
    size: Band
    accuracy: Band
    paper: Line | None


def masks(source: Source, moment: Moment) -> Masks:
    """Read them; for a worker thread."""
    seeds: dict[int, list[MaskRow]] = defaultdict(list)
    for mask in source.masks(moment):
        seeds[mask.seed].append(mask)
    return Masks(
        dict(seeds),
        [mask for seed in seeds.values() for mask in seed if mask.selected],
        band([(mask.threshold, 100 * mask.relative_size) for mask in seed] for seed in seeds.values()),
        band([(mask.threshold, 100 * mask.val_accuracy) for mask in seed] for seed in seeds.values()),
        _paper(),
    )


def lines(found: Masks, at: float | None) -> list[Line]:
    """The mean, the paper and every seed: of each seed's choice, or of one threshold for all."""
    chosen = [mask for seed in found.seeds.values() if (mask := _pick(seed, at)) is not None]
    if not chosen:
        return []
    seeds = [_line(mask.seed, [mask]) for mask in chosen]
    paper = [found.paper] if found.paper is not None and at is None else []
    return [_line(ALL, chosen), *paper, *seeds]


def _pick(seed: Sequence[MaskRow], at: float | None) -> MaskRow | None:
    return next((m for m in seed if (m.selected if at is None else abs(m.threshold - at) < 1e-9)), None)  # noqa: PLR2004


def _line(seed: int, masks: Sequence[MaskRow]) -> Line:
    return Line(
        seed,
        _spread(mask.threshold for mask in masks),
        _spread(100 * mask.relative_size for mask in masks),
        _spread(100 * mask.val_accuracy for mask in masks),
        tuple(_spread(sizes) for sizes in zip(*(mask.layer_sizes for mask in masks), strict=True)),
    )


def _spread(values: Iterable[float]) -> Spread:
    found = list(values)
    if len(found) == 1:
        return Spread(found[0])
    over = band([[(0.0, value)] for value in found])
    return Spread(float(over.mean[0]), float(over.deviation[0]))


def _paper() -> Line:
    # Only worker threads need the report, which brings the store along.
    from ltsm.report.published import text_summary  # noqa: PLC0415

    threshold, size, accuracy = (
        Spread(summary.mean, summary.sd) for summary in map(text_summary, _PUBLISHED)
    )
    return Line(PAPER, threshold, size, accuracy)

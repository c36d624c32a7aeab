"""The masks of a recipe over all seeds, by amount, and the lines that the masks screen lists."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Final

from ltsm.dashboard.widgets.view import settled_axes
from ltsm.report.bands import Band, band
from ltsm.report.figures.curves import layers as layers_of
from ltsm.report.figures.values import Curve, Panel, Points, Shade, Style
from ltsm.report.statistics import Summary, summarise
from ltsm.studies.names import kind
from ltsm.studies.recipe import Masking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.source import Source
    from ltsm.report.figures.values import Layer
    from ltsm.report.paper.published import PublishedMask
    from ltsm.store.values import MaskRow
    from ltsm.studies.recipe import Recipe
    from ltsm.studies.study import Study

ALL, PAPER = -1, -2
"""In place of a seed: the mean over all, and the published one."""
ALL_STYLE: Final[Style] = "first"
SEED_STYLE: Final[Style] = "fifth"
_DIGITS = 6


SHOWN: Final[dict[str, tuple[str, Callable[[MaskRow], float]]]] = {
    "size": ("relative size, %", lambda mask: 100 * mask.relative_size),
    "accuracy": ("untrained accuracy, %", lambda mask: 100 * mask.val_accuracy),
}
"""What is drawn of a mask, each with its title."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the list: of one seed, of all, or published; sizes and accuracies in percent."""

    seed: int
    amount: Summary
    size: Summary
    accuracy: Summary
    layers: tuple[Summary, ...] = ()

    @property
    def name(self) -> str:
        """As the list calls it."""
        return {ALL: "all seeds", PAPER: "paper"}.get(self.seed, f"seed {self.seed}")


@dataclass(frozen=True, slots=True)
class Masked:
    """Every seed's masked networks of one recipe, by amount, their bands in percent, and what is published."""

    recipe: str
    made_by: Recipe
    seeds: Mapping[int, Sequence[MaskRow]]
    bands: Mapping[str, Band]
    published: PublishedMask | None

    @property
    def is_line(self) -> bool:
        """Whether seeds have several masks; a line through what each has one of would join what does not belong together."""
        return any(len(masks) > 1 for masks in self.seeds.values())

    @property
    def by(self) -> str:
        """What an amount is: a threshold or a fraction."""
        return next((mask.amount_by for masks in self.seeds.values() for mask in masks), "threshold")


def makers(moment: Moment) -> list[str]:
    """What masks are looked at: a recipe's, or those of all recipes of one kind; first those that there are."""
    made = {_together(moment.study, run.recipe) for run in moment.runs if run.id in moment.masks}
    found = [_together(moment.study, n) for n, recipe in moment.study.recipes.items() if recipe.makes_mask]
    return sorted(dict.fromkeys(found), key=lambda name: name not in made)


def _together(study: Study, recipe: str) -> str:
    """The kind of a recipe that makes a single mask as others of its kind do, such as rounds; else its own name."""
    same = {n: r.mask for n, r in study.recipes.items() if kind(n) == kind(recipe)}
    alike = [n for n, mask in same.items() if isinstance(mask, Masking) and len(mask.amounts) == 1]
    return kind(recipe) if recipe in alike and len(alike) > 1 else recipe


def masked(source: Source, moment: Moment, recipe: str) -> Masked:
    """Read them; for a worker thread."""
    # Only worker threads need the report, which brings the store along.
    from ltsm.report import all as reports

    study = moment.study
    runs = [run for run in moment.runs if _together(study, run.recipe) == recipe]
    found = source.masks(moment, runs)
    if recipe not in study.recipes:
        found = {run: [_by_size(mask) for mask in masks] for run, masks in found.items()}
    first = next(name for name in study.recipes if _together(study, name) == recipe)
    return Masked(
        recipe,
        study.recipes[first],
        {
            seed: [mask for run in runs if run.seed == seed for mask in found.get(run.id, ())]
            for seed in dict.fromkeys(run.seed for run in runs if run.id in found)
        },
        {
            name: band([(mask.amount, value(mask)) for mask in masks] for masks in found.values())
            for name, (_, value) in SHOWN.items()
        },
        reports.published_mask(study, moment.protocol, first),
    )


def _by_size(mask: MaskRow) -> MaskRow:
    """The mask with its size as its amount: what tells those of several recipes apart."""
    return mask._replace(amount=round(mask.relative_size, _DIGITS), amount_by="relative size")


def lines(found: Masked, at: float | None) -> list[Line]:
    """The mean, what is published and every seed: of each seed's choice, or of one amount for all."""
    chosen = [mask for seed in found.seeds.values() if (mask := _pick(seed, at)) is not None]
    if not chosen:
        return []
    published = [Line(PAPER, *found.published[:3])] if found.published is not None and at is None else []
    return [_line(ALL, chosen), *published, *(_line(mask.seed, [mask]) for mask in chosen)]


def _pick(seed: Sequence[MaskRow], at: float | None) -> MaskRow | None:
    return next((m for m in seed if (m.selected if at is None else abs(m.amount - at) < 1e-9)), None)  # noqa: PLR2004


def _line(seed: int, chosen: Sequence[MaskRow]) -> Line:
    size, accuracy = (_summary([value(mask) for mask in chosen]) for _, value in SHOWN.values())
    layers = zip(*(mask.layer_sizes for mask in chosen), strict=True)
    return Line(
        seed, _summary([mask.amount for mask in chosen]), size, accuracy, tuple(map(_summary, layers))
    )


def _summary(values: Sequence[float]) -> Summary:
    return summarise(values) if len(values) > 1 else Summary(1, float(values[0]), nan)


def panel(found: Masked, what: str, seed: int, reading: str) -> Panel:
    """One number of the masks against the amount: the band of all seeds, one of them, and what each chose."""
    title, value = SHOWN[what]
    chosen = [mask for masks in found.seeds.values() for mask in masks if mask.selected]
    layers: list[Layer] = [
        *(layers_of(found.bands[what], ALL_STYLE, "") if found.is_line else ()),
        Curve(*_points(found.seeds.get(seed, ()), value), SEED_STYLE),
        Points(*_points([mask for mask in chosen if mask.seed != seed], value), "third", small=True),
        Points(*_points([mask for mask in chosen if mask.seed == seed], value), SEED_STYLE),
    ]
    x, y = settled_axes(layers, found.by, title, settles=False)
    title = f"{title}{reading}" if reading else f"{found.recipe} · {title}"
    return Panel(x, y, (*considered(found), *layers), title=title)


def _points(
    masks: Sequence[MaskRow], value: Callable[[MaskRow], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(mask.amount for mask in masks), tuple(map(value, masks))


def considered(found: Masked) -> list[Shade]:
    """The amounts that may be chosen, half a step further on either side."""
    masking = found.made_by.mask
    if not isinstance(masking, Masking) or masking.choose is None:
        return []
    steps = [abs(b - a) for a, b in zip(masking.amounts, masking.amounts[1:], strict=False)]
    half = min(steps, default=0.0) / 2
    return [Shade(masking.choose[0] - half, masking.choose[1] + half, "considered")]

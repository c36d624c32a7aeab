"""The study `criteria`: accuracy without training against size, one curve a criterion."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from ltsm.report.bands import band
from ltsm.report.evaluation import dataset_title
from ltsm.report.figures.curves import layers
from ltsm.report.figures.groups import AMOUNTS, STYLES, curves, searches
from ltsm.report.figures.values import Axis, Curve, Figure, Level, Panel, limits
from ltsm.report.words import averaged
from ltsm.studies.criteria import CONSTANT, INITIAL, NAME, SAME_SIGN
from ltsm.studies.recipe import Masking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ltsm.report.bands import Band
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer
    from ltsm.report.table import Table
    from ltsm.store.values import MaskRow
    from ltsm.studies.recipe import Recipe

__all__ = ["NAME", "accuracy_by_size", "layers_by_size", "training"]

_PER_CENT = 100
_ONE_LOG_STEP = 0.02


def accuracy_by_size(evaluation: Evaluation, _table: Table) -> Figure | None:
    """Figure 1: a panel for each thing that kept weights become; none without searches."""
    found = _by_action(evaluation)
    if not found:
        return None
    tested = all(not math.isnan(m.test_accuracy) for masks in searches(evaluation).values() for m in masks)
    what = "test" if tested else "validation"
    panels = tuple(
        _panel(evaluation, kept, masks, what, named=i == 0) for i, (kept, masks) in enumerate(found.items())
    )
    seeds = {mask.seed for masks in searches(evaluation).values() for mask in masks}
    caption = (
        f"The {what} accuracy of untrained masked networks against how much is kept, by criterion: "
        f"{averaged(evaluation, len(seeds))} "
        "A size is the share of what a mask may prune. Curves are named once, for all panels."
    )
    return Figure(1, "Accuracy without training, by criterion and size", caption, panels)


def layers_by_size(evaluation: Evaluation, _table: Table) -> Figure | None:
    """Figure 2: what each layer keeps, of the reference's criterion or, without it, of the first."""
    found = searches(evaluation)
    name = SAME_SIGN if SAME_SIGN in found else next(iter(found), "")
    sizes = evaluation.layer_sizes
    if not name or not sizes:
        return None
    masks, recipe = found[name], evaluation.study.recipes[name]
    drawn: list[Layer] = []
    for layer in range(len(sizes)):
        share = _curve(evaluation, recipe, masks, partial(_layer_share, evaluation, recipe, layer))
        drawn += layers(share, STYLES[layer % len(STYLES)], f"layer {layer + 1}", floor=0)
    panel = Panel(_axis(evaluation, recipe, masks), Axis("Kept of the layer (%)", 0, 105), tuple(drawn))
    caption = (
        f"The share of each layer that the masks of {name} keep; data: {dataset_title(evaluation.protocol)}."
    )
    return Figure(2, "What each layer keeps", caption, (panel,))


def training(evaluation: Evaluation, table: Table) -> Figure | None:
    """Figure 3: how tickets train; none where none is asked for."""
    names = {name for group in evaluation.study.groups for name in group.recipes}
    trained = any(evaluation.study.recipes[name].trains != "nothing" for name in names)
    return curves(evaluation, table) if trained else None


FIGURES = {1: accuracy_by_size, 2: layers_by_size, 3: training}


def _by_action(evaluation: Evaluation) -> dict[str, dict[str, list[MaskRow]]]:
    """The searches' masks by what kept weights become, then by recipe."""
    found: dict[str, dict[str, list[MaskRow]]] = defaultdict(dict)
    for name, masks in searches(evaluation).items():
        found[evaluation.study.recipes[name].kept][name] = masks
    return found


def _panel(
    evaluation: Evaluation, kept: str, found: Mapping[str, list[MaskRow]], what: str, *, named: bool
) -> Panel:
    drawn: list[Layer] = []
    recipes = evaluation.study.recipes
    for i, (name, masks) in enumerate(found.items()):
        recipe = recipes[name]
        curve = _curve(evaluation, recipe, masks, _accuracy(what))
        label = recipe.mask.criterion if named and isinstance(recipe.mask, Masking) else ""
        made = layers(curve, STYLES[i % len(STYLES)], label, floor=0)
        drawn += map(_dashed, made) if i >= len(STYLES) else made
    if classes := evaluation.classes:
        drawn.append(Level(_PER_CENT / classes, "chance" if named else ""))
    drawn.sort(key=lambda layer: isinstance(layer, Curve))
    first = next(iter(found))
    axis = _axis(evaluation, recipes[first], [m for masks in found.values() for m in masks])
    title = {INITIAL: "initial values", CONSTANT: "signed constants"}.get(kept, kept)
    return Panel(axis, Axis(f"{what.title()} accuracy (%), {title}", 0, 100), tuple(drawn))


def _dashed(layer: Layer) -> Layer:
    """The second nine criteria's curves: there are no more styles."""
    return replace(layer, dashed=True) if isinstance(layer, Curve) else layer


def _accuracy(what: str) -> Callable[[MaskRow], float]:
    return lambda mask: _PER_CENT * (mask.test_accuracy if what == "test" else mask.val_accuracy)


def _curve(
    evaluation: Evaluation, recipe: Recipe, masks: Iterable[MaskRow], number: Callable[[MaskRow], float]
) -> Band:
    """A number against the size, or against the threshold where sizes differ between seeds."""
    by_size = _by_fraction(recipe)
    seeds: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for mask in masks:
        x = round(_share(evaluation, recipe, mask), 6) if by_size else mask.amount
        seeds[mask.seed].append((x, number(mask)))
    return band(seeds.values())


def _axis(evaluation: Evaluation, recipe: Recipe, masks: Iterable[MaskRow]) -> Axis:
    if not _by_fraction(recipe):
        return Axis(AMOUNTS["threshold"], *limits(tuple(m.amount for m in masks), 0))
    sizes = [_share(evaluation, recipe, mask) for mask in masks]
    return Axis(
        "Kept (%)", max(min(sizes) * (1 - _ONE_LOG_STEP), 1e-3), max(sizes) * (1 + _ONE_LOG_STEP), log=True
    )


def _by_fraction(recipe: Recipe) -> bool:
    return isinstance(recipe.mask, Masking) and recipe.mask.by == "fraction"


def _share(evaluation: Evaluation, recipe: Recipe, mask: MaskRow) -> float:
    """What a mask keeps in per cent of what it covers."""
    return _PER_CENT * evaluation.kept_share(mask.relative_size, cast("Masking", recipe.mask).covers)


def _layer_share(evaluation: Evaluation, recipe: Recipe, layer: int, mask: MaskRow) -> float:
    """What a mask keeps of a layer, in per cent; biases that it does not cover are not counted."""
    inputs, outputs = evaluation.layer_sizes[layer]
    spared = outputs * (cast("Masking", recipe.mask).covers == "weights")
    return _PER_CENT * (mask.layer_sizes[layer] - spared) / (outputs * (inputs + 1) - spared)

"""The study `criteria`: accuracy without training against size, one curve a criterion, and the published claims."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from functools import cache, partial
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ltsm.report.bands import band
from ltsm.report.evaluation import dataset_title
from ltsm.report.figures.curves import layers
from ltsm.report.figures.groups import AMOUNTS, STYLES, classes_of, curves, searches
from ltsm.report.figures.values import Axis, Curve, Figure, Level, Panel, limits
from ltsm.report.published_claims import Judged, Verification, ordering, value
from ltsm.report.words import over_seeds
from ltsm.studies.criteria import CONSTANT, INITIAL, LARGE, NAME, RANDOM, SAME_SIGN
from ltsm.studies.recipe import Mask, Masking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ltsm.report.bands import Band
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer
    from ltsm.report.table import Table
    from ltsm.store.values import MaskRow
    from ltsm.studies.recipe import Recipe

__all__ = ["NAME", "accuracy_by_size", "layers_by_size", "verify"]

SOME_SIZES = (0.1, 0.7)
"""Between these relative sizes the published ordering of two criteria is claimed."""
REDRAWN, SAME_SIGNS = "reinitialised", "reinitialised_same_sign"
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
        f"The {what} accuracy of untrained masked networks against how much is kept, by criterion: mean ± standard "
        f"deviation {over_seeds(len(seeds), len(evaluation.seeds))}; data: {dataset_title(evaluation.protocol)}. "
        "A size is the share of what a mask may prune. Curves are named once, for all panels."
    )
    return Figure(1, "Accuracy without training, by criterion and size", caption, panels)


def layers_by_size(evaluation: Evaluation, _table: Table) -> Figure | None:
    """Figure 2: what each layer keeps, of the reference's criterion or, without it, of the first."""
    found = searches(evaluation)
    name = SAME_SIGN if SAME_SIGN in found else next(iter(found), "")
    sizes = _sizes(evaluation)
    if not name or not sizes:
        return None
    masks, recipe = found[name], evaluation.study.recipes[name]
    drawn: list[Layer] = []
    for layer in range(len(sizes)):
        share = partial(_share, evaluation, recipe, layer=layer)
        curves = layers(
            _curve(evaluation, recipe, masks, share),
            STYLES[layer % len(STYLES)],
            f"layer {layer + 1}",
            floor=0,
        )
        drawn += curves
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
    if classes := classes_of(evaluation):
        drawn.append(Level(_PER_CENT / classes, "chance" if named else ""))
    drawn.sort(key=lambda layer: isinstance(layer, Curve))
    first = next(iter(found))
    axis = _axis(evaluation, recipes[first], [m for masks in found.values() for m in masks])
    title = {INITIAL: "initial values", CONSTANT: "signed constants"}.get(kept, kept)
    return Panel(axis, Axis(f"{what.title()} accuracy (%), {title}", 0, 100), tuple(drawn))


def _dashed(layer: Layer) -> Layer:
    """The second nine criteria's curves: there are no more styles."""
    return (
        Curve(layer.x, layer.y, layer.style, layer.label, dashed=True) if isinstance(layer, Curve) else layer
    )


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


def _sizes(evaluation: Evaluation) -> list[tuple[int, int]]:
    """Inputs and outputs of each layer; none where the store does not say."""
    inputs = next((run.inputs for run in evaluation.runs if run.inputs), None)
    classes = classes_of(evaluation)
    return [*pairwise((inputs, *evaluation.protocol.hidden, classes))] if inputs and classes else []


def _share(evaluation: Evaluation, recipe: Recipe, mask: MaskRow, layer: int | None = None) -> float:
    """What a mask keeps of a layer, or of all, in per cent of what it covers; biases that it does not are not counted."""
    sizes = _sizes(evaluation)
    spares = isinstance(recipe.mask, Masking) and recipe.mask.covers == "weights"
    chosen = range(len(sizes)) if layer is None else (layer,)
    kept = sum(mask.layer_sizes[i] - spares * sizes[i][1] for i in chosen)
    total = sum(sizes[i][1] * (sizes[i][0] + (not spares)) for i in chosen)
    return _PER_CENT * kept / total if total else _PER_CENT * mask.relative_size


@cache
def claims() -> dict[str, Any]:
    """What is published, as the package's own copy has it."""
    document: dict[str, Any] = json.loads(
        files("ltsm.report").joinpath("zhou.json").read_text(encoding="utf-8")
    )
    return document


def verify(evaluation: Evaluation) -> Verification:
    """Compare with what is published of this study, if the data is MNIST and its test set was held back."""
    source = str(claims()["source"]).partition(",")[0]
    if evaluation.protocol.dataset != "mnist" or evaluation.protocol.held_out is None:
        nothing = "it is published for MNIST, with a validation set held out of its training images."
        return Verification(source, (), nothing)
    return Verification(source, (*_values(evaluation), *_orderings(evaluation)))


def _values(evaluation: Evaluation) -> Iterator[Judged]:
    for claim in claims()["claims"]:
        found = _search(evaluation, claim["criterion"], claim["kept"])
        if claim["criterion"] == RANDOM:
            numbers = [float(np.mean(list(v))) for v in _tests(found).values()]
        else:
            numbers = [_PER_CENT * mask.test_accuracy for mask in found if mask.selected]
        yield value(claim, numbers, "ltsm sweep criteria")


def _orderings(evaluation: Evaluation) -> Iterator[Judged]:
    """The published orderings: of untrained networks at every size between two, and of trained ones."""
    same, large = (_search(evaluation, criterion, INITIAL) for criterion in (SAME_SIGN, LARGE))
    amounts = sorted({m.amount for m in same} & {m.amount for m in large}, reverse=True)
    sizes = {m.amount: m.relative_size for m in same}
    wanted = [a for a in amounts if SOME_SIZES[0] <= sizes[a] <= SOME_SIZES[1]]
    pairs = [(f"at {sizes[a]:.1%}", _at(same, a), _at(large, a)) for a in wanted]
    quantity = f"untrained: {SAME_SIGN} minus {LARGE} at each size from 10 % to 70 %, percentage points"
    yield ordering("same-sign-beats-large", quantity, pairs, "ltsm sweep criteria")
    trained = {
        c: _trained(evaluation, c, INITIAL) for c in (LARGE, "magnitude_increase", RANDOM, "small_final")
    }
    run = "ltsm sweep criteria --train 0.2"
    quantity = f"trained: {LARGE} and magnitude_increase minus {RANDOM}, % of test images"
    better = [(c, trained[c], trained[RANDOM]) for c in (LARGE, "magnitude_increase")]
    yield ordering("trained-beat-random", quantity, better, run)
    worst = [(c, trained[c], trained["small_final"]) for c in (LARGE, "magnitude_increase", RANDOM)]
    yield ordering(
        "small-final-is-worst", "trained: the others minus small_final, % of test images", worst, run
    )
    redrawn = [_trained(evaluation, LARGE, kept) for kept in (SAME_SIGNS, REDRAWN)]
    quantity = f"trained: {LARGE} reinitialised with the same signs minus reinitialised, % of test images"
    run = f"ltsm sweep criteria --criterion {LARGE} --kept {REDRAWN} --kept {SAME_SIGNS} --train 0.2"
    yield ordering("signs-matter", quantity, [(LARGE, redrawn[0], redrawn[1])], run)


def _search(evaluation: Evaluation, criterion: str, kept: str) -> list[MaskRow]:
    """The masks of one criterion's search whose pruned weights are 0."""
    names = {
        n for n, r in evaluation.study.recipes.items() if _is(r, criterion, kept) and r.trains == "nothing"
    }
    runs = {run.id for run in evaluation.runs if run.recipe in names}
    return [mask for mask in evaluation.masks if mask.run_id in runs]


def _trained(evaluation: Evaluation, criterion: str, kept: str) -> dict[int, float]:
    """The test accuracy at the minimal validation loss, by seed, of the first of its tickets; empty without one."""
    recipes = evaluation.study.recipes
    found = [
        n for n, r in recipes.items() if r.trains == "weights" and _is(_searched(recipes, r), criterion, kept)
    ]
    group = next((g for g in evaluation.study.groups if g.recipes and g.recipes[0] in found), None)
    if group is None:
        return {}
    return {s: _PER_CENT * v for s, v in evaluation.by_seed(group, "minimal_test_accuracy").items()}


def _searched(recipes: Mapping[str, Recipe], recipe: Recipe) -> Recipe:
    """The recipe that makes a ticket's mask."""
    return recipes[recipe.mask.of] if isinstance(recipe.mask, Mask) else recipe


def _is(recipe: Recipe, criterion: str, kept: str) -> bool:
    mask = recipe.mask
    return isinstance(mask, Masking) and (mask.criterion, recipe.kept, recipe.pruned) == (
        criterion,
        kept,
        "zero",
    )


def _at(masks: Iterable[MaskRow], amount: float) -> dict[int, float]:
    return {m.seed: _PER_CENT * m.test_accuracy for m in masks if m.amount == amount}


def _tests(masks: Iterable[MaskRow]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = defaultdict(list)
    for mask in masks:
        found[mask.seed].append(_PER_CENT * mask.test_accuracy)
    return found

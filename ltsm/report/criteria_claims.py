"""The published claims on criteria (Zhou et al., 2019), beside a store's seeds."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from ltsm.report.published_claims import Judged, Verification, held_out_mnist, ordering, published, value
from ltsm.studies.criteria import INITIAL, LARGE, RANDOM, SAME_SIGN
from ltsm.studies.recipe import Mask, Masking

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ltsm.report.evaluation import Evaluation
    from ltsm.store.values import MaskRow
    from ltsm.studies.recipe import Recipe

SOME_SIZES = (0.1, 0.7)
"""Between these relative sizes the published ordering of two criteria is claimed."""
REDRAWN, SAME_SIGNS = "reinitialised", "reinitialised_same_sign"
_PER_CENT = 100


def verify(evaluation: Evaluation) -> Verification:
    """Compare with what is published of this study, if the data is MNIST and its test set was held back."""
    source = str(published("zhou")["source"]).partition(",")[0]
    if nothing := held_out_mnist(evaluation.protocol):
        return Verification(source, (), nothing)
    return Verification(source, (*_values(evaluation), *_orderings(evaluation)))


def _values(evaluation: Evaluation) -> Iterator[Judged]:
    for claim in published("zhou")["claims"]:
        found = _search(evaluation, claim["criterion"], claim["kept"])
        if claim["criterion"] == RANDOM:
            numbers = [float(np.mean(v)) for v in _tests(found).values()]
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

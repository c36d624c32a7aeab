"""Refuses what no worker could make of a study, before anything is run. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.core.actions import CONTROLS, KEPT, PRUNED
from ltsm.core.criteria import CRITERIA
from ltsm.errors import UsageError
from ltsm.notation import quoted
from ltsm.studies.recipe import Mask, Masking, Weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ltsm.protocol import Protocol
    from ltsm.studies.recipe import Recipe
    from ltsm.studies.study import Study


def check(study: Study, protocol: Protocol) -> None:
    """Refuse names that mean nothing and lengths that cannot be.

    Raises:
        UsageError: a sentence that names the recipe.
    """
    for name, recipe in study.recipes.items():
        for what, given, known in _names(recipe):
            if given not in known:
                raise _refusal(name, f"has the {what} {quoted(given)}: there are {', '.join(known)}")
        judged = isinstance(recipe.mask, Masking) or recipe.after is not None
        if recipe.pruned == "zero_if_shrunk" and not judged:
            raise _refusal(
                name, "prunes zero_if_shrunk, and lacks after=Weights(…), the trained values to judge by"
            )
        if odd := [at for at in recipe.keep if at % protocol.record_every]:
            raise _refusal(name, f"keeps iteration {odd[0]}, which has no record")
        if out := [at for at in recipe.keep if not 0 < at <= _longest(recipe)]:
            raise _refusal(name, f"keeps iteration {out[0]}, which is none of its training")
        for source in _sources(recipe):
            _check_source(name, recipe, source, study.recipes[source.of])


def _longest(recipe: Recipe) -> float:
    return recipe.iterations if isinstance(recipe.iterations, int) else float("inf")


def _check_source(name: str, recipe: Recipe, source: Weights, other: Recipe) -> None:
    """Refuse weights that will not be there, or are of another shape."""
    if isinstance(source.at, int) and source.at not in other.keep:
        raise _refusal(name, f"needs iteration {source.at} of {quoted(source.of)}, which does not keep it")
    if other.trains == "nothing":
        raise _refusal(name, f"needs weights of {quoted(source.of)}, which trains nothing and has none")
    if other.hidden != recipe.hidden:
        raise _refusal(name, f"has the layers {recipe.hidden}, and {quoted(source.of)} has {other.hidden}")


def _names(recipe: Recipe) -> Iterator[tuple[str, str, Iterable[str]]]:
    """What is named, the name, and which there are."""
    yield "trains", recipe.trains, ("weights", "nothing")
    yield "kept", recipe.kept, KEPT
    yield "pruned", recipe.pruned, PRUNED
    if isinstance(recipe.mask, Masking):
        yield "criterion", recipe.mask.criterion, CRITERIA
        yield "by", recipe.mask.by, ("threshold", "fraction")
        yield "scope", recipe.mask.scope, ("global", "layer")
        yield "covers", recipe.mask.covers, ("all", "weights")
    if isinstance(recipe.mask, Mask) and recipe.mask.control:
        yield "control", recipe.mask.control, CONTROLS


def _sources(recipe: Recipe) -> Iterator[Weights]:
    parts = [recipe.start, recipe.after]
    if isinstance(recipe.mask, Masking):
        parts += [recipe.mask.before, recipe.mask.after]
    return (part for part in parts if isinstance(part, Weights))


def _refusal(name: str, what: str) -> UsageError:
    return UsageError(f"the recipe {quoted(name)} {what}.", "ltsm study show NAME lists a study's recipes")

"""Refuses what no worker could make of a study, before anything is run. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from ltsm.core.actions import CONTROLS, KEPT, PRUNED
from ltsm.core.criteria import CRITERIA
from ltsm.core.learned import METHODS, SCHEDULES
from ltsm.errors import UsageError
from ltsm.notation import quoted
from ltsm.studies.recipe import At, BestOf, By, Covers, Learned, Mask, Masking, Scope, Trains, Weights

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
        _check_kept(name, recipe, protocol)
        for source in _sources(recipe):
            _check_source(name, recipe, source, study.recipes[source.of])
        for mask in _masks(recipe):
            _check_mask(name, recipe, mask, study.recipes[mask.of])
        if isinstance(recipe.mask, Learned) and (wrong := _wrong(recipe.mask)):
            raise _refusal(name, f"learns its mask with {wrong}")
        length = recipe.iterations
        if isinstance(length, BestOf) and study.recipes[length.of].trains == "nothing":
            raise _refusal(name, f"is as long as the best of {quoted(length.of)}, which trains nothing")


def _check_kept(name: str, recipe: Recipe, protocol: Protocol) -> None:
    """Refuse iterations to be kept that no training comes to, or that have no record."""
    if odd := [at for at in recipe.keep if at % protocol.record_every]:
        raise _refusal(name, f"keeps iteration {odd[0]}, which has no record")
    longest = recipe.iterations if isinstance(recipe.iterations, int) else float("inf")
    if out := [at for at in recipe.keep if not 0 < at <= longest]:
        raise _refusal(name, f"keeps iteration {out[0]}, which is none of its training")


def _wrong(learned: Learned) -> str:
    """Which number of a learned mask cannot be, in words; empty: none."""
    bounds = {
        "lr": (learned.lr > 0, "above 0"),
        "batch_size": (learned.batch_size >= 1, "at least 1"),
        "momentum": (0 <= learned.momentum < 1, "in [0, 1)"),
        "decay": (learned.decay >= 0, "at least 0"),
        "keep": (0 < learned.keep <= 1, "in (0, 1]"),
    }
    return next(
        (f"{n} {getattr(learned, n):g}: it must be {m}" for n, (fits, m) in bounds.items() if not fits), ""
    )


def _check_source(name: str, recipe: Recipe, source: Weights, other: Recipe) -> None:
    """Refuse weights that will not be there, or are of another shape."""
    if not isinstance(source.at, int) and source.at not in get_args(At):
        known = ", ".join(get_args(At))
        raise _refusal(
            name, f"needs the weights {quoted(source.at)} of {quoted(source.of)}: there are {known}"
        )
    if isinstance(source.at, int) and source.at not in other.keep:
        raise _refusal(name, f"needs iteration {source.at} of {quoted(source.of)}, which does not keep it")
    if other.trains == "nothing":
        raise _refusal(name, f"needs weights of {quoted(source.of)}, which trains nothing and has none")
    _check_layers(name, recipe, source.of, other)


def _check_mask(name: str, recipe: Recipe, mask: Mask, other: Recipe) -> None:
    """Refuse a mask that will not be there, or is of another shape."""
    if other.mask is None:
        raise _refusal(name, f"needs the mask of {quoted(mask.of)}, which has none")
    _check_layers(name, recipe, mask.of, other)


def _check_layers(name: str, recipe: Recipe, of: str, other: Recipe) -> None:
    if other.hidden != recipe.hidden:
        raise _refusal(name, f"has the layers {recipe.hidden}, and {quoted(of)} has {other.hidden}")


def _names(recipe: Recipe) -> Iterator[tuple[str, str, Iterable[str]]]:
    """What is named, the name, and which there are."""
    yield "trains", recipe.trains, get_args(Trains)
    yield "kept", recipe.kept, KEPT
    yield "pruned", recipe.pruned, PRUNED
    if isinstance(recipe.mask, Masking):
        yield "criterion", recipe.mask.criterion, CRITERIA
        yield "by", recipe.mask.by, get_args(By)
        yield "scope", recipe.mask.scope, get_args(Scope)
        yield "covers", recipe.mask.covers, get_args(Covers)
    if isinstance(recipe.mask, Learned):
        yield "method", recipe.mask.method, METHODS
        yield "schedule", recipe.mask.schedule, SCHEDULES
        yield "covers", recipe.mask.covers, get_args(Covers)
    if isinstance(recipe.mask, Mask) and recipe.mask.control:
        yield "control", recipe.mask.control, CONTROLS


def _sources(recipe: Recipe) -> Iterator[Weights]:
    parts = [recipe.start, recipe.after]
    if isinstance(recipe.mask, Masking):
        parts += [recipe.mask.before, recipe.mask.after]
    return (part for part in parts if isinstance(part, Weights))


def _masks(recipe: Recipe) -> Iterator[Mask]:
    parts = [recipe.mask, recipe.mask.within if isinstance(recipe.mask, Masking) else None]
    return (part for part in parts if isinstance(part, Mask))


def _refusal(name: str, what: str) -> UsageError:
    return UsageError(f"the recipe {quoted(name)} {what}.", "ltsm study show NAME lists a study's recipes")

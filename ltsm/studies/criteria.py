"""What makes a good mask: every criterion at many sizes, untrained, and trained where that is asked for.

The criteria, amounts and actions are those of Zhou et al. (2019), sections 2 to 5, and the paper's own (section 2.1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast, get_args

from ltsm.errors import UsageError
from ltsm.studies import paper
from ltsm.studies.options import number, one
from ltsm.studies.recipe import By, Covers, Mask, Masking, Recipe, Scope, Weights
from ltsm.studies.study import Group, Study

if TYPE_CHECKING:
    from ltsm.protocol import Protocol

NAME = "criteria"
PROTOCOL = "frankle"
"""Under which it is run unless another one is named."""
SAME_SIGN, LARGE, RANDOM = "large_final_same_sign", "large_final", "random"
CRITERIA = (
    *("sign", SAME_SIGN, LARGE, "magnitude_increase_same_sign", "magnitude_increase", "movement"),
    *("large_init_large_final", "large_init", RANDOM, "small_init", "small_init_small_final", "small_final"),
    *("large_final_diff_sign", "magnitude_increase_diff_sign"),
)
INITIAL, CONSTANT = "initial", "signed_constant"
SIZES = 20
"""Fractions kept: 0.8ᵏ, of the output layer 0.9ᵏ, k from 1 on."""
LAYER_RATE, OUTPUT_RATE = 0.8, 0.9
BEST = "best"


def study(
    protocol: Protocol,
    *,
    criterion: str = "",
    kept: str = "",
    pruned: str = "",
    by: str = "",
    amounts: str = "",
    scope: str = "",
    covers: str = "",
    train: str = "",
) -> Study:
    """The study with its options as they are typed, lists with commas between.

    Args:
        protocol: its network and data. Where it masks all parameters, amounts are thresholds as in the paper, and
            trained values are the baseline's; else fractions of each layer, of the initial training's end.
        criterion: which score the weights; default: all.
        kept: what kept weights become; default: the initial values, and signed constants.
        pruned: what the others become, and are frozen at; default: 0.
        by: threshold or fraction.
        amounts: thresholds, or fractions kept; default: the protocol's, or 0.8ᵏ and of the output layer 0.9ᵏ.
        scope: a fraction of each layer by itself, or global.
        covers: all parameters, or weights.
        train: the tickets that are trained: best, or amounts, of which the nearest ones are taken.

    Raises:
        UsageError: an option cannot be.
    """
    covers = one("covers", covers or protocol.mask, get_args(Covers))
    by = one("by", by or ("threshold" if covers == "all" else "fraction"), get_args(By))
    masking = _masking(protocol, by, amounts, one("scope", scope or "layer", get_args(Scope)), covers)
    searches = {
        _name(c, k, p): Recipe(
            hidden=protocol.hidden,
            start=masking.before,
            mask=replace(masking, criterion=c),
            kept=k,
            pruned=p,
            trains="nothing",
        )
        for p in (pruned or "zero").split(",")
        for k in (kept or f"{INITIAL},{CONSTANT}").split(",")
        for c in (criterion or ",".join(CRITERIA)).split(",")
    }
    tickets = {
        name: ticket
        for search, recipe in searches.items()
        for wanted in train.split(",") * bool(train)
        for name, ticket in [_ticket(protocol, search, recipe, wanted)]
    }
    chain = paper.chain(protocol)
    needed = {n: chain[n] for n in (paper.INITIAL, paper.BASELINE) if n in (paper.INITIAL, masking.after.of)}
    names = [*searches, *tickets]
    reference = _name(SAME_SIGN, INITIAL, "zero")
    return Study(
        name=NAME,
        title="what makes a good mask",
        recipes=needed | searches | tickets,
        groups=tuple(Group(name, (name,)) for name in names),
        reference=reference if reference in names else "",
    )


def _masking(protocol: Protocol, by: str, typed: str, scope: str, covers: str) -> Masking:
    """What all searches have in common: the values that are compared, and how much is kept."""
    values = tuple(map(_amount, typed.split(","))) if typed else ()
    output: tuple[float, ...] = ()
    if by == "fraction":
        if wrong := [v for v in values if not 0 <= v <= 1]:
            raise UsageError(
                f"a fraction lies between 0 and 1, and {wrong[0]:g} does not.", "--amounts 0.5,0.2"
            )
        output = _powers(OUTPUT_RATE) if scope == "layer" and not values else ()
    return Masking(
        criterion=SAME_SIGN,
        before=Weights(paper.INITIAL, "initial"),
        after=Weights(paper.BASELINE if by == "threshold" else paper.INITIAL),
        amounts=values or (protocol.thresholds if by == "threshold" else _powers(LAYER_RATE)),
        output=output,
        by=cast("By", by),
        scope=cast("Scope", scope),
        covers=cast("Covers", covers),
    )


def _powers(rate: float) -> tuple[float, ...]:
    return tuple(round(rate**k, 12) for k in range(1, SIZES + 1))


def _ticket(protocol: Protocol, search: str, recipe: Recipe, wanted: str) -> tuple[str, Recipe]:
    """A search's network of its best amount, or of the one nearest to a number, trained; and its name."""
    trained = replace(recipe, trains="weights", iterations=protocol.iterations)
    masking = cast("Masking", recipe.mask)
    if wanted == BEST:
        judge = masking.after if recipe.pruned == "zero_if_shrunk" else None
        return f"{search}, trained at its best", replace(trained, mask=Mask(search), after=judge)
    at = min(range(len(masking.amounts)), key=lambda i: abs(masking.amounts[i] - _amount(wanted)))
    one = replace(masking, amounts=masking.amounts[at : at + 1], output=masking.output[at : at + 1])
    return f"{search}, trained at {masking.amounts[at]:.3g}", replace(trained, mask=one)


def _name(criterion: str, kept: str, pruned: str) -> str:
    changed = [kept] * (kept != INITIAL) + [f"pruned {pruned}"] * (pruned != "zero")
    return ", ".join([criterion, *changed])


def _amount(text: str) -> float:
    return number(text, "amount", "numbers with commas between: --amounts 0.5,0.2")

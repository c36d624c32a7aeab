"""Iterative magnitude pruning with rewinding: the lottery ticket experiment itself, round by round.

Frankle and Carbin (2019), section 2 and appendix G; rewinding to a later iteration after Frankle et al. (2020).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ltsm.errors import UsageError
from ltsm.notation import quoted
from ltsm.studies.options import number, one
from ltsm.studies.recipe import Mask, Masking, Random, Recipe, Scope, Weights
from ltsm.studies.study import Group, Study

if TYPE_CHECKING:
    from ltsm.protocol import Protocol

NAME = "iterative"
PROTOCOL = "frankle"
"""Under which it is run unless another one is named."""
ROUNDS, RATE, OUTPUT_RATE, CONTROLS = 20, 0.2, 0.1, (7, 15)
"""As published: of each layer a fifth of what is left is pruned in a round, of the output layer a tenth."""
MOST_ROUNDS = 1_000
TICKET, REINITIALISED, ONE_SHOT = "round", "reinitialised", "one-shot"


def ticket(number: int) -> str:
    """The name of the network of a round; round 0 is dense."""
    return f"{TICKET} {number}"


def level(name: str) -> tuple[str, int]:
    """What a recipe's name says: the kind of its network (round, reinitialised or one-shot), and of which round."""
    kind, _, number_ = name.partition(" ")
    return kind, int(number_)


def study(
    protocol: Protocol,
    *,
    rounds: str = "",
    controls: str = "",
    one_shot: str = "",
    rewind_to: str = "",
    rate: str = "",
    output_rate: str = "",
    scope: str = "",
    criterion: str = "large_final",
) -> Study:
    """The study with its options as they are typed, lists with commas between.

    Args:
        protocol: its network and data; every network is trained to the last of its `iterations`.
        rounds: how often the network is pruned; default: 20.
        controls: the rounds whose mask is also trained with values drawn afresh, or all, or none; default: 7 and 15.
        one_shot: the rounds whose size is also reached by pruning the dense network once, or all; default: none.
        rewind_to: the iteration of the dense training that survivors go back to; default: 0, their initial values.
        rate: the share of what is left that a round prunes; default: 0.2.
        output_rate: that of the output layer; default: 0.1, or half of `rate` where that is given.
        scope: a share of each layer by itself, or global, in which the output layer has no rate of its own.
        criterion: which score the weights.

    Raises:
        UsageError: an option cannot be.
    """
    last = _round(rounds or str(ROUNDS), MOST_ROUNDS, "--rounds 20")
    scope = one("scope", scope or "layer", ("layer", "global"))
    back = 0 if rewind_to in {"", "0"} else _round(rewind_to, protocol.iterations - 1, "--rewind-to 500")
    kept = _kept(rate, output_rate, scope)
    dense = ticket(0)
    made = Recipe(
        hidden=protocol.hidden,
        start=Weights(dense, back or "initial"),
        mask=Masking(
            criterion=criterion,
            before=Weights(dense, "initial"),
            after=Weights(dense),
            amounts=kept[:1],
            output=kept[1:],
            by="fraction",
            scope=cast("Scope", scope),
            covers=protocol.mask,
        ),
        iterations=protocol.iterations - back,  # Frankle et al. (2020), section 2: from iteration k on to T
    )
    whole = replace(made, iterations=protocol.iterations)
    first = replace(whole, start=Random(("initial",)), mask=None, keep=(back,) * bool(back))
    recipes = {dense: first} | {ticket(k): _pruned(made, k) for k in range(1, last + 1)}
    recipes |= {
        f"{REINITIALISED} {k}": _redrawn(whole, k) for k in _chosen("controls", controls, last, CONTROLS)
    }
    recipes |= {f"{ONE_SHOT} {k}": _at_once(made, k) for k in _chosen("one-shot", one_shot, last, ())}
    return Study(
        name=NAME,
        title="iterative magnitude pruning with rewinding, round by round",
        recipes=recipes,
        groups=tuple(Group(name, (name,)) for name in recipes),
        reference=dense,
        seeds_together=True,
        passing=frozenset(ticket(k) for k in range(1, last)),
    )


def _pruned(made: Recipe, level: int) -> Recipe:
    """The ticket of a round: of what the round before kept, the weights that its training made largest."""
    masking = cast("Masking", made.mask)
    within = Mask(ticket(level - 1)) if level > 1 else None
    return replace(made, mask=replace(masking, after=Weights(ticket(level - 1)), within=within))


def _redrawn(made: Recipe, level: int) -> Recipe:
    """The control of section 2: the mask of a round, its weights drawn afresh; other ones for every round."""
    start = Weights(ticket(0), "initial")
    return replace(made, start=start, mask=Mask(ticket(level)), kept=REINITIALISED, draw=("round", level))


def _at_once(made: Recipe, level: int) -> Recipe:
    """The size of a round, reached by pruning the dense network once."""
    masking = cast("Masking", made.mask)
    amounts, output = (tuple(round(a**level, 12) for a in part) for part in (masking.amounts, masking.output))
    return replace(made, mask=replace(masking, amounts=amounts, output=output))


def _kept(rate: str, output_rate: str, scope: str) -> tuple[float, ...]:
    """The shares that a round keeps: of the layers, and where each is ranked by itself of the output layer."""
    pruned = number(rate, "rate", "--rate 0.2") if rate else RATE
    usual = pruned / 2 if rate else OUTPUT_RATE
    last = number(output_rate, "rate", "--output-rate 0.1") if output_rate else usual
    if scope == "global" and output_rate:
        raise UsageError(
            "--output-rate is for layers that are ranked by themselves.", "leave out --scope global"
        )
    for option, value in (("rate", pruned), ("output-rate", last)):
        if not 0 < value < 1:
            raise UsageError(f"--{option} lies between 0 and 1, and {value:g} does not.", "--rate 0.2")
    return tuple(round(1 - v, 12) for v in ((pruned, last) if scope == "layer" else (pruned,)))


def _chosen(option: str, typed: str, last: int, usual: tuple[int, ...]) -> list[int]:
    """Rounds from a list, from all, or from none; of the usual ones those that there are."""
    if typed == "all":
        return [*range(1, last + 1)]
    if typed in {"", "none"}:
        return [k for k in usual * (not typed) if k <= last]
    return sorted({_round(part, last, f"--{option} 7,15, or all") for part in typed.split(",")})


def _round(typed: str, last: int, example: str) -> int:
    """A whole number from 1 to `last`."""
    if not typed.strip().isdecimal() or not 1 <= int(typed) <= last:
        raise UsageError(f"{quoted(typed)} is no whole number from 1 to {last:,}.", example)
    return int(typed)

"""The paper's evaluation: the method (section 2.3), and the smaller dense networks beside it (section 3.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.studies.names import sizes
from ltsm.studies.recipe import BestOf, Mask, Masking, Random, Recipe, Weights
from ltsm.studies.study import Group, Study

if TYPE_CHECKING:
    from ltsm.protocol import Protocol

NAME = "paper"
INITIAL, BASELINE, SUPERMASK, TICKET = "initial training", "baseline", "supermask", "ticket"
"""Steps 1 to 6 of section 2.3."""


def hyperop(hidden: tuple[int, ...]) -> str:
    """The name of the dense network with these hidden layers."""
    return f"hyperop {sizes(hidden)}"


def study(protocol: Protocol, more: tuple[tuple[int, ...], ...] = ()) -> Study:
    """The whole evaluation; `more` are dense networks beyond the protocol's."""
    dense = {hyperop(hidden): hidden for hidden in (*protocol.hyperops, *more)}
    trained = (TICKET, *sorted(dense, key=lambda name: dense[name] != protocol.hidden))
    return Study(
        name=NAME,
        title="lottery tickets against smaller dense networks",
        recipes=chain(protocol) | {name: _dense(protocol, hidden) for name, hidden in dense.items()},
        groups=tuple(Group(name, (name,)) for name in trained),
    )


def chain(protocol: Protocol) -> dict[str, Recipe]:
    """The method: train, retrain to the best iteration, mask by thresholds, train what the supermask keeps."""
    p, values = protocol, Weights(INITIAL, "initial")
    masking = Masking(
        criterion="sign",
        before=values,
        after=Weights(BASELINE),
        amounts=p.thresholds,
        covers=p.mask,
        choose=(p.select_min, p.select_max),
    )
    return {
        INITIAL: Recipe(hidden=p.hidden, start=Random(("initial",)), iterations=p.initial_iterations),
        BASELINE: Recipe(hidden=p.hidden, start=values, iterations=BestOf(INITIAL)),
        SUPERMASK: Recipe(hidden=p.hidden, start=values, mask=masking, trains="nothing"),
        TICKET: Recipe(hidden=p.hidden, start=values, mask=Mask(SUPERMASK), iterations=p.iterations),
    }


def _dense(protocol: Protocol, hidden: tuple[int, ...]) -> Recipe:
    # The sizes name its random stream, so that no two networks share values.
    return Recipe(hidden=hidden, start=Random(("hyperop", *hidden)), iterations=protocol.iterations)

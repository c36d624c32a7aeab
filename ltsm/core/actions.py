"""What becomes of start values under a mask, and the masks that are controls of another.

Zhou et al. (2019), section 4, and Frankle and Carbin (2019), section 2. One function and one line of a dictionary
each. Random numbers come from streams named by the seed, the action and what tells the recipe's draws from others.
PyTorch is imported when values are drawn, so that the names can be listed without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ltsm.core.streams import permutation

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ltsm.core.network import Network
    from ltsm.core.streams import Purpose


class Case(NamedTuple):
    """What an action may look at: start values (P,), a mask (P,), True for what is kept, and whose they are.

    `covered` (P,) is True for what a mask may prune; `draw` tells this recipe's random numbers from others'.
    """

    network: Network
    values: Tensor
    mask: Tensor
    covered: Tensor
    seed: int
    draw: tuple[Purpose, ...] = ()


def initial(case: Case) -> Tensor:
    """The start values as they are."""
    return case.values


def reinitialised(case: Case) -> Tensor:
    """Drawn afresh, as the network's initial values are."""
    return _fresh(case, "reinitialised")


def reinitialised_same_sign(case: Case) -> Tensor:
    """Drawn afresh, with the signs of the start values."""
    return _fresh(case, "reinitialised_same_sign").abs() * case.values.sign()


def _fresh(case: Case, action: str) -> Tensor:
    from ltsm.core.network import initial_values  # noqa: PLC0415 - brings torch

    return initial_values(case.network, case.seed, action, *case.draw)


def shuffled(case: Case) -> Tensor:
    """The kept values in another order: within each layer, weights among weights and biases among biases."""
    values = case.values.clone()
    for layer in case.network.layers:
        for name, part in (("weight", layer.weight), ("bias", layer.bias)):
            places = case.mask[part].nonzero()[:, 0] + part.start
            purpose = ("shuffled", layer.index, name, *case.draw)
            values[places] = case.values[places[permutation(case.seed, *purpose, count=len(places))]]
    return values


def signed_constant(case: Case) -> Tensor:
    """sign(start value) · the deviation of the layer's start weights: one size for a whole layer."""
    values = case.values.sign()
    for layer in case.network.layers:
        values[layer.parameters] *= case.values[layer.weight].double().std(correction=0).float()
    return values


def zero(case: Case) -> Tensor:
    """0, frozen."""
    return case.values.new_zeros(case.values.shape)


def inverted(case: Case) -> Tensor:
    """What the mask prunes is kept, and the reverse, wherever a mask covers."""
    return case.mask ^ case.covered


def random(case: Case) -> Tensor:
    """As many parameters kept in every layer as the mask keeps, drawn at random among those that a mask covers."""
    kept = case.mask.clone()
    for layer in case.network.layers:
        part = layer.parameters
        places = case.covered[part].nonzero()[:, 0] + part.start
        order = permutation(case.seed, "random mask", layer.index, *case.draw, count=len(places))
        count = int(case.mask[places].sum())
        kept[places] = False
        kept[places[order[:count]]] = True
    return kept


KEPT: dict[str, Callable[[Case], Tensor]] = {
    "initial": initial,
    "reinitialised": reinitialised,
    "reinitialised_same_sign": reinitialised_same_sign,
    "shuffled": shuffled,
    "signed_constant": signed_constant,
}
"""What the kept start values become (P,), by a recipe's `kept`."""
PRUNED: dict[str, Callable[[Case], Tensor]] = {"zero": zero}
"""What the others become, by its `pruned`."""
CONTROLS: dict[str, Callable[[Case], Tensor]] = {"inverted": inverted, "random": random}
"""The masks (P,) made of another as a control, by `Mask.control`."""

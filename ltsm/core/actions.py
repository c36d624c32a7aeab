"""What becomes of start values under a mask, and the masks that are controls of another.

Zhou et al. (2019), sections 3 and 4, and Frankle and Carbin (2019), section 2. One function and one line of a dictionary
each. Random numbers come from streams named by the seed, the action and what tells the recipe's draws from others.
They use methods of tensors alone, so that the names can be listed without PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ltsm.core.streams import permutation
from ltsm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from ltsm.core.streams import Purpose


class Layer(Protocol):
    """Where one layer's weight and bias lie in a flat vector, its own part from the weight's begin to the bias's end."""

    @property
    def index(self) -> int:
        """What tells its random numbers from another layer's."""

    @property
    def weight(self) -> slice:
        """The weight's part."""

    @property
    def bias(self) -> slice:
        """The bias's part, which may be empty."""

    @property
    def parameters(self) -> slice:
        """Both."""


class Case(NamedTuple):
    """What an action may look at.

    Attributes:
        layers: of the network.
        values: start values (P,).
        mask: (P,), True for what is kept.
        covered: (P,), True for what a mask may prune.
        fresh: draws values (P,) as the network's initial ones are drawn, from the seed's stream of a name.
        seed: the replicate.
        draw: what tells this recipe's random numbers from others'.
        trained: values (P,) after the training that the mask is made by; None where an action cannot know them.
    """

    layers: Sequence[Layer]
    values: Tensor
    mask: Tensor
    covered: Tensor
    fresh: Callable[..., Tensor]
    seed: int
    draw: tuple[Purpose, ...] = ()
    trained: Tensor | None = None


def initial(case: Case) -> Tensor:
    """The start values as they are."""
    return case.values


def reinitialised(case: Case) -> Tensor:
    """Drawn afresh, as the network's initial values are."""
    return case.fresh(case.seed, "reinitialised", *case.draw)


def reinitialised_same_sign(case: Case) -> Tensor:
    """Drawn afresh, with the signs of the start values."""
    return case.fresh(case.seed, "reinitialised_same_sign", *case.draw).abs() * case.values.sign()


def shuffled(case: Case) -> Tensor:
    """The kept values in another order: within each layer, weights among weights and biases among biases."""
    return _shuffled(case, "shuffled", (case.mask,))


def shuffled_same_sign(case: Case) -> Tensor:
    """The same, those above 0 among themselves, and those below 0."""
    return _shuffled(
        case, "shuffled_same_sign", (case.mask & (case.values > 0), case.mask & (case.values < 0))
    )


def _shuffled(case: Case, action: str, among: Sequence[Tensor]) -> Tensor:
    """The values of each of these sets of places (P,) in another order within their layer."""
    values = case.values.clone()
    for layer in case.layers:
        for name, part in (("weight", layer.weight), ("bias", layer.bias)):
            for number, together in enumerate(among):
                places = together[part].nonzero()[:, 0] + part.start
                purpose = (action, layer.index, name, *[number] * (len(among) > 1), *case.draw)
                values[places] = case.values[places[permutation(case.seed, *purpose, count=len(places))]]
    return values


def signed_constant(case: Case) -> Tensor:
    """sign(start value) · the deviation of the layer's start weights: one size for all of a layer that a mask covers."""
    values = case.values.sign()
    for layer in case.layers:
        values[layer.parameters] *= case.values[layer.weight].double().std(correction=0).float()
    return values.where(case.covered, case.values)


def zero(case: Case) -> Tensor:
    """0, frozen."""
    return case.values.new_zeros(case.values.shape)


def zero_if_shrunk(case: Case) -> Tensor:
    """Frozen at 0 where training made the magnitude smaller, else at the start value.

    Raises:
        UsageError: there are no trained values to compare with.
    """
    if case.trained is None:
        raise UsageError(
            "zero_if_shrunk compares with trained values, and there are none.",
            "after=Weights(…) in the recipe says which",
        )
    return case.values.masked_fill(case.trained.abs() < case.values.abs(), 0.0)


def inverted(case: Case) -> Tensor:
    """What the mask prunes is kept, and the reverse, wherever a mask covers."""
    return case.mask ^ case.covered


def random(case: Case) -> Tensor:
    """As many parameters kept in every layer as the mask keeps, drawn at random among those that a mask covers."""
    kept = case.mask.clone()
    for layer in case.layers:
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
    "shuffled_same_sign": shuffled_same_sign,
    "signed_constant": signed_constant,
}
"""What the kept start values become (P,), by a recipe's `kept`."""
PRUNED: dict[str, Callable[[Case], Tensor]] = {
    "zero": zero,
    "initial": initial,
    "zero_if_shrunk": zero_if_shrunk,
}
"""What the others become, by its `pruned`; there they are frozen."""
CONTROLS: dict[str, Callable[[Case], Tensor]] = {"inverted": inverted, "random": random}
"""The masks (P,) made of another as a control, by `Mask.control`."""

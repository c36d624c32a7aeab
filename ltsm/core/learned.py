"""Methods by which a mask is learned while every weight stays as it was drawn: a score per weight is trained instead.

Zhou et al. (2019), section 5 and their program, and Ramanujan et al. (2020), section 3 and theirs. One line of
`METHODS` each, and of `SCHEDULES` for a learning rate's course. They use methods of tensors alone, so that the names can
be listed without PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How scores make a mask, and what a step does to them. Scores (n,) are those of one layer, in its order.

    Attributes:
        first: initial scores, of numbers drawn from [0, 1) and the layer's inputs.
        mask: which are kept: of scores, the share to be kept, and numbers drawn from (0, 1); without such draws, the
            mask that stands for all that could be drawn.
        slope: the derivative of a mask's entry by its score, as if the mask were what it is drawn or ranked from
            (straight through).
        power: where weights are rescaled, by the share that is kept to this power.
        through: whether that factor passes a gradient on to the scores, as it is a function of the mask.
        sampled: whether masks are drawn.
    """

    first: Callable[[Tensor, int], Tensor]
    mask: Callable[[Tensor, float, Tensor | None], Tensor]
    slope: Callable[[Tensor], Tensor]
    power: float
    through: bool
    sampled: bool


def zeros(draws: Tensor, inputs: int) -> Tensor:
    """0: every probability is a half."""
    del inputs
    return draws.new_zeros(draws.shape)


def kaiming_uniform(draws: Tensor, inputs: int) -> Tensor:
    """Uniform in ± 1/√inputs: torch.nn.init.kaiming_uniform_ with a = √5."""
    return (draws * 2 - 1) * (1 / math.sqrt(inputs))


def probabilities(scores: Tensor) -> Tensor:
    """Of being kept, where masks are drawn."""
    return scores.sigmoid()


def bernoulli(scores: Tensor, keep: float, draws: Tensor | None) -> Tensor:
    """Kept with the probability sigmoid(score); without draws where that is above a half."""
    del keep
    return scores > 0 if draws is None else draws < probabilities(scores)


def bernoulli_slope(scores: Tensor) -> Tensor:
    """The sigmoid's derivative."""
    probability = probabilities(scores)
    return probability * (1 - probability)


def largest_magnitudes(scores: Tensor, keep: float, draws: Tensor | None) -> Tensor:
    """The largest magnitudes, all but ⌊(1 - keep) · n⌋ of them; on a tie those that come first."""
    del draws
    sizes, count = scores.abs(), kept_of(len(scores), keep)
    if not count:
        return sizes < 0
    least = sizes.kthvalue(len(sizes) - count + 1).values  # to sort takes five times as long
    kept = sizes > least
    kept[(sizes == least).nonzero()[: count - int(kept.sum()), 0]] = True
    return kept


def magnitude_slope(scores: Tensor) -> Tensor:
    """The magnitude's derivative."""
    return scores.sign()


def kept_of(count: int, keep: float) -> int:
    """How many of a layer's weights edge-popup keeps."""
    return count - int(round((1 - keep) * count, 6))  # 1 - 0.9 is a little less than a tenth


METHODS: dict[str, Method] = {
    "bernoulli": Method(
        first=zeros,
        mask=bernoulli,
        slope=bernoulli_slope,
        power=-1.0,  # weights ÷ ones in the mask: their dynamic weight rescaling
        through=True,
        sampled=True,
    ),
    "edge_popup": Method(
        first=kaiming_uniform,
        mask=largest_magnitudes,
        slope=magnitude_slope,
        power=-0.5,  # which keeps the variance: their scaled Kaiming
        through=False,
        sampled=False,
    ),
}
"""By the name that recipes, options and arguments use."""


def constant(epoch: int, epochs: int) -> float:
    """The same throughout."""
    del epoch, epochs
    return 1.0


def cosine(epoch: int, epochs: int) -> float:
    """From 1 to 0 along half a cosine, a step an epoch."""
    return 0.5 * (1 + math.cos(math.pi * epoch / epochs))


SCHEDULES: dict[str, Callable[[int, int], float]] = {"constant": constant, "cosine": cosine}
"""What the learning rate is multiplied by, of the epoch from 0 and the number of epochs."""

"""Criteria: what scores a weight, from its values before and after training. The largest scores are kept.

The paper's (section 2.1), and those of Zhou et al. (2019), section 2. One function and one line of `CRITERIA` each. They
use methods of tensors alone, so that the names can be listed without PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Criterion = Callable[["Values"], Tensor]


@dataclass(frozen=True, slots=True)
class Values:
    """What a criterion may look at: weights that are ranked together, as tensors of one shape.

    Attributes:
        trained: after training.
        before: before it; None where nobody kept them.
        draws: a number in [0, 1) for each, drawn from a stream of the seed's; None where there is no chance.
    """

    trained: Tensor
    before: Tensor | None = None
    draws: Tensor | None = None

    @property
    def initial(self) -> Tensor:
        """The values before training.

        Raises:
            UsageError: nobody kept them.
        """
        if self.before is None:
            raise UsageError(
                "this criterion compares trained values with initial ones, and there are none.",
                "keep them: copy.deepcopy(model.state_dict()) before training; or criterion large_final",
            )
        return self.before

    @property
    def chance(self) -> Tensor:
        """The drawn numbers.

        Raises:
            UsageError: nothing was drawn.
        """
        if self.draws is None:
            raise UsageError("this criterion is chance, and nothing was drawn.")
        return self.draws

    def of(self, places: Tensor | slice) -> Values:
        """Those at some places: indices, True for each that is wanted, or a slice."""
        before, draws = (None if part is None else part[places] for part in (self.before, self.draws))
        return Values(self.trained[places], before, draws)


def sign(v: Values) -> Tensor:
    """The initial sign times the trained value, in that one's own type: the paper's (section 2.1); 0 has sign 0."""
    return v.initial.sign().to(v.trained.dtype) * v.trained


def large_final(v: Values) -> Tensor:
    """The trained magnitude: magnitude pruning."""
    return v.trained.abs()


def small_final(v: Values) -> Tensor:
    """The reverse."""
    return -v.trained.abs()


def large_init(v: Values) -> Tensor:
    """The initial magnitude."""
    return v.initial.abs()


def small_init(v: Values) -> Tensor:
    """The reverse."""
    return -v.initial.abs()


def large_init_large_final(v: Values) -> Tensor:
    """The lower of two ranks, by initial and by trained magnitude: kept is who passes the same percentile in both."""
    return _rank(v.initial.abs()).minimum(_rank(v.trained.abs()))


def small_init_small_final(v: Values) -> Tensor:
    """The same of small magnitudes."""
    return _rank(-v.initial.abs()).minimum(_rank(-v.trained.abs()))


def magnitude_increase(v: Values) -> Tensor:
    """How much the magnitude grew."""
    return v.trained.abs() - v.initial.abs()


def movement(v: Values) -> Tensor:
    """How far training moved it."""
    return (v.trained - v.initial).abs()


def random(v: Values) -> Tensor:
    """Chance."""
    return v.chance


def large_final_same_sign(v: Values) -> Tensor:
    """The trained magnitude where the sign was kept, 0 elsewhere: the paper's score without what is below 0."""
    return sign(v).clamp(min=0)


def large_final_diff_sign(v: Values) -> Tensor:
    """The trained magnitude where the sign was changed, 0 elsewhere."""
    return (-sign(v)).clamp(min=0)


def magnitude_increase_same_sign(v: Values) -> Tensor:
    """How much the magnitude grew where the sign was kept, 0 elsewhere."""
    return magnitude_increase(v).where(sign(v) > 0, 0.0)


def magnitude_increase_diff_sign(v: Values) -> Tensor:
    """How much the magnitude grew where the sign was changed, 0 elsewhere."""
    return magnitude_increase(v).where(sign(v) < 0, 0.0)


def _rank(scores: Tensor) -> Tensor:
    """The share of all scores that are no larger, in (0, 1] and float64; on a tie who comes first ranks higher."""
    flat = scores.flatten().nan_to_num(nan=-math.inf)
    place = flat.argsort(descending=True, stable=True).argsort()
    return ((len(flat) - place).double() / max(1, len(flat))).view(scores.shape)


CRITERIA: dict[str, Criterion] = {
    "sign": sign,
    "large_final": large_final,
    "small_final": small_final,
    "large_init": large_init,
    "small_init": small_init,
    "large_init_large_final": large_init_large_final,
    "small_init_small_final": small_init_small_final,
    "magnitude_increase": magnitude_increase,
    "movement": movement,
    "random": random,
    "large_final_same_sign": large_final_same_sign,
    "large_final_diff_sign": large_final_diff_sign,
    "magnitude_increase_same_sign": magnitude_increase_same_sign,
    "magnitude_increase_diff_sign": magnitude_increase_diff_sign,
}
"""By the name that recipes, options and arguments use."""

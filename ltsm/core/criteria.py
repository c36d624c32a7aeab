"""Criteria: what scores a parameter, from its values before and after training. The largest scores are kept.

One function and one line of `CRITERIA` each. They use methods of tensors alone, so that the names can be listed
without PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Criterion = Callable[[Tensor, Tensor], Tensor]


def sign(initial: Tensor, trained: Tensor) -> Tensor:
    """The initial sign times the trained value, in that one's own type: the paper's (section 2.1); 0 has sign 0."""
    return initial.sign().to(trained.dtype) * trained


CRITERIA: dict[str, Criterion] = {"sign": sign}
"""By the name that recipes, options and arguments use: functions of values before and after training, of one shape."""

"""Adam's step for networks side by side on a GPU, as kernels that a CUDA graph can replay at any iteration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from ltsm.core.adam import Adam

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol

FUSED_FROM = 3_000_000
"""Parameters, of all models, from which on torch's fused step is the faster one. It gives each multiprocessor 65,536 of
them, and ten of the paper's networks leave most of a GPU idle for 79 µs: with a kernel for each operation an iteration
takes 155 µs in place of 168, and of 784-50-5-10 116 in place of 157 (H200); of a hundred of the latter 216 in place of 211."""
VANISHED = 1e-9
"""A power of beta that no bias correction in float32 feels any more."""
MOST_ROWS = 2**20


class CudaAdam:
    """torch.optim.Adam's step.

    A pruned parameter has an infinite second moment, so that its step is exactly 0 and no mask need be read; its
    moments are of no meaning.

    Args:
        state: where to start; its tensors are copied.
        protocol: learning rate and the like.
        device: where the copies lie.

    Attributes:
        parameters: (models, P), float32, as are gradient, first_moment and second_moment.
    """

    def __init__(self, state: TrainState, protocol: Protocol, device: torch.device) -> None:
        second_moment = state.second_moment
        if state.masks is not None:
            second_moment = torch.where(state.masks, second_moment, math.inf)
        self.parameters, self.first_moment, self.second_moment = (
            tensor.to(device, copy=True, memory_format=torch.contiguous_format)
            for tensor in (state.parameters, state.first_moment, second_moment)
        )
        self.gradient = torch.zeros_like(self.parameters)
        self._protocol, rates = protocol, _rates(protocol)
        if self.parameters.numel() >= FUSED_FROM or len(rates) > MOST_ROWS:
            steps = self.parameters.new_tensor(float(state.iteration))
            tensors = (self.parameters, self.gradient, self.first_moment, self.second_moment)
            self.step = Adam(protocol, *tensors, steps, kept_bits=None).step
        else:
            self._rates, self._last = rates.to(device), len(rates) - 1
            self._row = torch.full((1,), min(state.iteration, self._last), device=device)
            self._scratch = torch.empty_like(self.parameters)
            self.step = self._by_operations

    def _by_operations(self) -> None:
        """Parameters += first moment / (a + b · √second moment), with this step's a and b."""
        rates, scratch, gradient = self._rates.index_select(0, self._row)[0], self._scratch, self.gradient
        self._row.add_(1).clamp_(max=self._last)
        self.first_moment.lerp_(gradient, 1 - self._protocol.beta1)
        self.second_moment.mul_(self._protocol.beta2).addcmul_(
            gradient, gradient, value=1 - self._protocol.beta2
        )
        torch.sqrt(self.second_moment, out=scratch)
        torch.addcmul(rates[0], scratch, rates[1], out=scratch)
        self.parameters.addcdiv_(self.first_moment, scratch)


def _rates(protocol: Protocol) -> Tensor:
    """(steps, 2) float32: a and b of every step until they change no more, which are those of all later ones."""
    slowest = max(protocol.beta1, protocol.beta2)
    steps = math.ceil(math.log(VANISHED) / math.log(slowest)) if slowest > 0 else 1
    step = np.arange(1, min(steps, MOST_ROWS + 1) + 1)
    b = (1 - protocol.beta1**step) / -protocol.lr
    rates = np.stack([b * protocol.epsilon, b / np.sqrt(1 - protocol.beta2**step)], 1)
    return torch.from_numpy(rates.astype(np.float32))

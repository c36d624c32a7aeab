"""Adam's step on tensors that stay where they are, whether one model's or many's side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol


@dataclass(frozen=True, slots=True, eq=False)
class Adam:
    """torch.optim.Adam's fused step, called directly: the optimiser around it takes as long again.

    Attributes:
        protocol: learning rate and the like.
        parameters: (…, P), float32, as are gradient, first_moment and second_moment.
        steps: (), float32, how many steps have been made.
        kept_bits: (…, P), int32, all bits set for what is kept and none for what is pruned; or None.
    """

    protocol: Protocol
    parameters: Tensor
    gradient: Tensor
    first_moment: Tensor
    second_moment: Tensor
    steps: Tensor
    kept_bits: Tensor | None

    def step(self) -> None:
        """Update the parameters by the gradient, which loses what belongs to pruned ones."""
        if self.kept_bits is not None:
            # +0.0 whatever the gradient was; a product would leave -0.0, and NaN where training diverges
            self.gradient.view(torch.int32).bitwise_and_(self.kept_bits)
        self.steps.add_(1)
        torch._fused_adam_(
            [self.parameters],
            [self.gradient],
            [self.first_moment],
            [self.second_moment],
            [],
            [self.steps],
            lr=self.protocol.lr,
            beta1=self.protocol.beta1,
            beta2=self.protocol.beta2,
            weight_decay=0.0,
            eps=self.protocol.epsilon,
            amsgrad=False,
            maximize=False,
        )


def adam_for(state: TrainState, axis: int | slice, protocol: Protocol, device: torch.device) -> Adam:
    """Adam on copies of a state's tensors.

    Args:
        state: where to start.
        axis: which of its models: an index, or all of them.
        protocol: learning rate and the like.
        device: where the copies lie.
    """

    def copy(tensor: Tensor) -> Tensor:
        return tensor.to(device, copy=True, memory_format=torch.contiguous_format)

    parameters = copy(state.parameters[axis])
    return Adam(
        protocol=protocol,
        parameters=parameters,
        gradient=torch.zeros_like(parameters),
        first_moment=copy(state.first_moment[axis]),
        second_moment=copy(state.second_moment[axis]),
        steps=parameters.new_tensor(float(state.iteration)),
        kept_bits=None if state.masks is None else copy(-state.masks[axis].to(torch.int32)),
    )

"""The activations between layers, each with its derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Activation:
    """One activation, elementwise, on tensors of any shape.

    Attributes:
        apply: the activation of its argument.
        backward: multiplies its first argument, a gradient, in place by the derivative; the second is
            what went into `apply`, the third what came out.
    """

    apply: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], object]


# The operators that autograd itself calls, written into the gradient's own memory.
_relu_backward = torch.ops.aten.threshold_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_gelu_backward = torch.ops.aten.gelu_backward.grad_input

ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(torch.relu, lambda g, z, _: _relu_backward(g, z, 0, grad_input=g)),
    "tanh": Activation(torch.tanh, lambda g, _, a: _tanh_backward(g, a, grad_input=g)),
    "gelu": Activation(functional.gelu, lambda g, z, _: _gelu_backward(g, z, grad_input=g)),
}

"""Fully connected networks as values: sizes, activations, where each layer lies in one flat vector, the forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ltsm.core.streams import Purpose, normal, uniform
from ltsm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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


@dataclass(frozen=True, slots=True)
class Layer:
    """Where one layer lies in the flat vector: its weight (outputs, inputs) row by row, then its bias.

    `index` is the layer's place in an nn.Sequential, where every other module is an activation.
    """

    index: int
    inputs: int
    outputs: int
    start: int

    @property
    def weight(self) -> slice:
        """The weight's part of the flat vector."""
        return slice(self.start, self.start + self.outputs * self.inputs)

    @property
    def bias(self) -> slice:
        """The bias's part."""
        end = self.start + self.outputs * self.inputs
        return slice(end, end + self.outputs)

    @property
    def parameters(self) -> slice:
        """The whole layer's part."""
        return slice(self.start, self.bias.stop)

    def tensors(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Views of the weight (…, outputs, inputs) and the bias (…, outputs) in a vector (…, parameters)."""
        shape = (*flat.shape[:-1], self.outputs, self.inputs)
        return flat[..., self.weight].view(shape), flat[..., self.bias]


@dataclass(frozen=True, slots=True)
class Network:
    """A fully connected network: sizes from input to output, and the activation between its layers."""

    sizes: tuple[int, ...]
    activation: str = "relu"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers from the input on, each starting where the one before it ends."""
        found: list[Layer] = []
        start = 0
        for index, (inputs, outputs) in enumerate(pairwise(self.sizes)):
            found.append(Layer(2 * index, inputs, outputs, start))
            start += (inputs + 1) * outputs
        return tuple(found)

    @property
    def parameters(self) -> int:
        """How many weights and biases there are: 163,340 for the paper's network."""
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))


def is_weight(network: Network) -> Tensor:
    """(parameters,) bool: True for weights, False for biases."""
    weights = torch.zeros(network.parameters, dtype=torch.bool, device="cpu")
    for layer in network.layers:
        weights[layer.weight] = True
    return weights


DEVIATIONS: dict[str, Callable[[Layer], float]] = {
    "glorot_normal": lambda layer: math.sqrt(2 / (layer.inputs + layer.outputs)),
    "kaiming_normal": lambda layer: math.sqrt(2 / layer.inputs),
}
"""Of normal initial weights, by a protocol's `initialisation`."""


def initial_values(
    network: Network, seed: int, *purpose: Purpose, weights: str = "default", biases: str = "default"
) -> Tensor:
    """(parameters,) float32: torch.nn.Linear's default, weights and biases uniform in ± 1/√inputs.

    Other weights are normal (Glorot and Bengio, 2010; He et al., 2015), other biases 0. The sizes are part of the stream's name: networks of different sizes share no values, not even
    where their first layers have the same shape.
    """
    values = torch.from_numpy(uniform(seed, *purpose, *network.sizes, count=network.parameters))
    values.mul_(2).sub_(1)
    for layer in network.layers:
        values[layer.parameters] *= 1 / math.sqrt(layer.inputs)
    if weights != "default":
        drawn = torch.from_numpy(normal(seed, *purpose, weights, *network.sizes, count=network.parameters))
        for layer in network.layers:
            values[layer.weight] = drawn[layer.weight] * DEVIATIONS[weights](layer)
    return values.where(is_weight(network), 0.0) if biases == "zero" else values


def forward(network: Network, parameters: Tensor, images: Tensor) -> Tensor:
    """The logits (models, batch, classes) of parameters (models, P) for images (batch, inputs).

    Parameters (P,) without a model axis give logits (batch, classes); images may have a model axis, too.
    """
    activation, values = ACTIVATIONS[network.activation], images
    for layer in network.layers:
        weight, bias = layer.tensors(parameters)
        values = values if layer.index == 0 else activation.apply(values)
        values = torch.matmul(values, weight.mT).add_(bias.unsqueeze(-2))
    return values


def named_tensors(network: Network, flat: Tensor, names: Sequence[str] = ()) -> dict[str, Tensor]:
    """Views of the parameters (P,), named as in an nn.Sequential's state dict, "0.weight", "0.bias", "2.weight", or so."""
    called = names or [str(layer.index) for layer in network.layers]
    return {
        f"{name}.{part}": tensor
        for name, layer in zip(called, network.layers, strict=True)
        for part, tensor in zip(("weight", "bias"), layer.tensors(flat), strict=True)
    }


def flat_parameters(network: Network, tensors: Mapping[str, Tensor]) -> Tensor:
    """(parameters,) float32 from tensors named as in `named_tensors`.

    Raises:
        StoreError: a tensor is missing, is not of this network, or has another shape or no real numbers.
    """
    flat = torch.empty(network.parameters, dtype=torch.float32, device="cpu")
    places = named_tensors(network, flat)
    if differing := sorted(places.keys() ^ tensors.keys()):
        what = "lack" if differing[0] in places else "have the unknown tensor"
        raise _not_these(network, f"{what} {differing[0]!r}")
    for name, place in places.items():
        given = tensors[name]
        if given.shape != place.shape or not given.is_floating_point():
            wrong = f"{tuple(given.shape)} of {str(given.dtype).removeprefix('torch.')}"
            raise _not_these(network, f"have {wrong} as {name!r}, not {tuple(place.shape)} of floats")
        place.copy_(given)
    return flat


def _not_these(network: Network, what: str) -> StoreError:
    sizes = "-".join(map(str, network.sizes))
    return StoreError(f"the weights {what}: they are not those of a {sizes} network.", "ltsm db check")

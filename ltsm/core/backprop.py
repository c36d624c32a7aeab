"""One training step by hand: the forward and the backward pass, into memory that is made once.

Every tensor may have a model axis in front, or none: (models, P) and (models, batch, …), or (P,) and
(batch, …). The same lines serve one network and a hundred side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ltsm.core.network import ACTIVATIONS

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.network import Layer, Network


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One layer's views of parameters and gradient, and its memory for one batch.

    Attributes:
        bias: (…, 1, outputs), as is bias_gradient; weight and weight_gradient are (…, outputs, inputs).
        output: (…, batch, outputs) before the activation, as is its gradient `delta`.
    """

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor
    output: Tensor
    delta: Tensor


class Backprop:
    """Loss and gradient of networks for batches of one size.

    Args:
        network: the networks' shape.
        parameters: (…, P), read at every call.
        gradient: (…, P), overwritten at every call.
        batch: how many images a batch has.
    """

    def __init__(self, network: Network, parameters: Tensor, gradient: Tensor, batch: int) -> None:
        self._activation = ACTIVATIONS[network.activation]
        self._layers = [_layer_pass(layer, parameters, gradient, batch) for layer in network.layers]
        self._minus_one = parameters.new_full((), -1.0).expand(*parameters.shape[:-1], batch, 1)
        self._batch = batch

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy (…) of images (…, batch, inputs) with labels (…, batch, 1); sets the gradient."""
        inputs = self._forward(images)
        last = self._layers[-1]
        log_shares = torch.log_softmax(last.output, -1)
        torch.exp(log_shares, out=last.delta)
        last.delta.scatter_add_(-1, labels, self._minus_one).div_(self._batch)
        self._backward(inputs)
        return log_shares.gather(-1, labels).mean((-2, -1)).neg_()

    def _forward(self, images: Tensor) -> list[Tensor]:
        """What each layer receives: the images, then activations."""
        inputs = [images]
        for layer in self._layers:
            torch.matmul(inputs[-1], layer.weight.mT, out=layer.output).add_(layer.bias)
            inputs.append(self._activation.apply(layer.output))
        return inputs[:-1]

    def _backward(self, inputs: list[Tensor]) -> None:
        for i in reversed(range(len(self._layers))):
            layer = self._layers[i]
            torch.matmul(layer.delta.mT, inputs[i], out=layer.weight_gradient)
            torch.sum(layer.delta, -2, keepdim=True, out=layer.bias_gradient)
            if i > 0:
                below = self._layers[i - 1]
                torch.matmul(layer.delta, layer.weight, out=below.delta)
                self._activation.backward(below.delta, below.output, inputs[i])


def _layer_pass(layer: Layer, parameters: Tensor, gradient: Tensor, batch: int) -> _Pass:
    weight, bias = layer.tensors(parameters)
    weight_gradient, bias_gradient = layer.tensors(gradient)
    output = parameters.new_empty(*parameters.shape[:-1], batch, layer.outputs)
    return _Pass(
        weight=weight,
        bias=bias.unsqueeze(-2),
        weight_gradient=weight_gradient,
        bias_gradient=bias_gradient.unsqueeze(-2),
        output=output,
        delta=torch.empty_like(output),
    )

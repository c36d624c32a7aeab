"""One step's loss and gradient, with and without a model axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional

from ltsm.core.backprop import Backprop
from ltsm.core.network import Network, forward, initial_values

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_the_gradient_is_autograds(data: Dataset, activation: str) -> None:
    network = Network((20, 12, 7, 4), activation)
    parameters = torch.stack([initial_values(network, seed, "test") for seed in range(3)]).requires_grad_()
    images, labels = data.train_images[:60], data.train_labels[:60]
    logits = forward(network, parameters, images)
    losses = [functional.cross_entropy(own, labels) for own in logits]
    torch.stack(losses).sum().backward()
    gradient = torch.full_like(parameters, torch.nan).requires_grad_(False)
    with torch.no_grad():
        backprop = Backprop(network, parameters.detach(), gradient, 60)
        found = backprop.loss(images.expand(3, 60, 20), labels[:, None].expand(3, 60, 1))
    assert torch.allclose(found, torch.stack(losses), rtol=1e-5)
    assert parameters.grad is not None
    assert torch.allclose(gradient, parameters.grad, rtol=1e-4, atol=1e-7)


def test_models_side_by_side_have_the_gradients_they_have_alone(data: Dataset, network: Network) -> None:
    """The model axis, as a GPU uses it, and each model without one, as the CPU does."""
    parameters = torch.stack([initial_values(network, seed, "test") for seed in range(3)])
    together, alone = torch.empty_like(parameters), torch.empty(network.parameters)
    images = torch.stack([data.train_images[start : start + 60] for start in (0, 60, 120)])
    labels = torch.stack([data.train_labels[start : start + 60] for start in (0, 60, 120)]).unsqueeze(-1)
    losses = Backprop(network, parameters, together, 60).loss(images, labels)
    for model in range(3):
        loss = Backprop(network, parameters[model], alone, 60).loss(images[model], labels[model])
        assert loss.item() == pytest.approx(losses[model].item(), rel=1e-6)
        assert torch.allclose(alone, together[model], rtol=1e-4, atol=1e-8)


def test_huge_logits_have_a_finite_loss(network: Network, data: Dataset) -> None:
    parameters = initial_values(network, 0, "test") * 1e6
    gradient = torch.empty_like(parameters)
    loss = Backprop(network, parameters, gradient, 60).loss(
        data.train_images[:60], data.train_labels[:60, None]
    )
    assert loss.isfinite()
    assert gradient.isfinite().all()

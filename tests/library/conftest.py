from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

CLASSES, FEATURES = 3, 6


class Named(nn.Module):
    """A forward pass, layer names and buffers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((FEATURES,), 0.25))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.into = nn.Linear(FEATURES, 8)
        self.out_of = nn.Linear(8, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.out_of(torch.sigmoid(self.into(images - self.mean)))


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def deep_tanh() -> nn.Module:
    sizes = [FEATURES, 7, 6, 5, 4]
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(4, CLASSES))


NETWORKS = {"plain": plain, "deep_tanh": deep_tanh, "named": Named}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    """240 images in three classes that can be learned."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(240) % CLASSES
    centres = torch.eye(CLASSES).repeat_interleave(2, 1)
    return centres[labels] + 0.4 * torch.randn(240, FEATURES, generator=generator), labels


@pytest.fixture(params=sorted(NETWORKS))
def trained(request, images) -> tuple[nn.Module, dict[str, torch.Tensor], nn.Module]:
    """A network's untrained twin, its initial state dict and the network, trained by a plain PyTorch loop."""
    torch.manual_seed(1)
    model = NETWORKS[request.param]()
    untrained, initial = copy.deepcopy(model), copy.deepcopy(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[0]), images[1]).backward()
        optimiser.step()
    return untrained, initial, model

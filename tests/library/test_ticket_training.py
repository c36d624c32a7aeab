"""How a ticket trains: in which mode, from which seed, with which gradients, and on copies of what was handed over."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

import ltsm
from ltsm.library.weights import masked_state


def found(images, model):
    torch.manual_seed(3)
    initial = {name: t.clone() for name, t in model.state_dict().items()}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[0]), images[1]).backward()
        optimiser.step()
    return ltsm.find_supermask(initial, model, images)


class Listening(nn.Module):
    """Notes in which mode each forward pass with gradients was made."""

    modes: ClassVar[list[bool]] = []

    def forward(self, values):
        if torch.is_grad_enabled():
            self.modes.append(self.training)
        return values


@pytest.mark.parametrize("validated", [True, False])
def test_training_is_done_in_training_mode(images, validated):
    """Before and after each evaluation: else dropout would never act. Taken out: `network.train()` behind an evaluation."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), Listening(), nn.Linear(8, 3))
    supermask = found(images, model)
    Listening.modes = []
    ltsm.train_ticket(
        supermask, images, images if validated else None, model=model, iterations=8, record_every=2
    )
    assert Listening.modes == [True] * 8


@pytest.mark.parametrize("through_module", [True, False])
def test_the_seed_decides_the_order_of_the_images(images, through_module):
    """Taken out: `seed` handed on, on the one path and on the other; all seeds trained alike."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    supermask = found(images, model)

    def trained(seed):
        more = {"model": model} if through_module else {}
        ticket = ltsm.train_ticket(supermask, images, iterations=6, batch_size=24, seed=seed, **more)
        return torch.cat([t.reshape(-1) for t in ticket.trained.values()])

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_gradients_of_what_is_pruned_are_0_for_whoever_looks_at_them(images):
    """A clip of the norm, say, between backward and step. Taken out: the gradients' hooks; it saw pruned weights."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    mask = {name: torch.rand(p.shape) < 0.4 for name, p in model.named_parameters()}
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    with ltsm.frozen_zeros(model, mask, optimiser):
        nn.functional.cross_entropy(model(images[0]), images[1]).backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1e9)
    assert all(not gradients[name][~kept].any() for name, kept in mask.items())
    kept_alone = torch.cat([gradients[name][kept] for name, kept in mask.items()])
    assert kept_alone.any()
    assert norm.item() == pytest.approx(kept_alone.norm().item(), rel=1e-6)


def test_a_masked_state_shares_nothing_with_the_callers():
    """Taken out: `clone`; what was done to the one was done to the other."""
    state = {"covered": torch.ones(3), "not covered": torch.ones(3)}
    masked = masked_state(state, {"covered": torch.tensor([True, True, False])})
    for tensor in masked.values():
        tensor.fill_(7.0)
    assert all(bool((tensor == 1).all()) for tensor in state.values())

"""Which modules our own engines may compute in place of the module: only those that are certain to be a chain."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import ltsm
from ltsm.library.chains import chain_of_state


def changed(model: nn.Module) -> nn.Module:
    """The same network with other weights, as if trained."""
    generator = torch.Generator().manual_seed(3)
    after = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in after.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return after


def activation_twice() -> nn.Module:
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(6, 8), relu, nn.Linear(8, 8), relu, nn.Linear(8, 3))


def activation_at_the_end() -> nn.Module:
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(6, 8), relu, nn.Linear(8, 3), relu)


def layer_twice() -> nn.Module:
    layer = nn.Linear(8, 8)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(8, 3))


def block_twice() -> nn.Module:
    block = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), block, block, nn.Linear(8, 3))


def weight_twice() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    model[2].weight = model[0].weight
    return model


def own_forward() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    model[1].forward = torch.sigmoid
    return model


@pytest.mark.parametrize(
    ("make", "is_chain"),
    [
        (activation_twice, True),
        (activation_at_the_end, False),
        (layer_twice, False),
        (block_twice, False),
        (weight_twice, False),
        (own_forward, False),
    ],
)
def test_what_is_used_twice_or_replaced_is_computed_as_the_module_computes_it(make, is_chain, images):
    """An object used twice counts twice; layers that share values and forward passes of one's own are no chain."""
    torch.manual_seed(2)
    model = make()
    found = ltsm.find_supermask(model, changed(model), images, thresholds=[0.0, 0.05])
    theirs = ltsm.find_supermask(
        model, changed(model), images, thresholds=[0.0, 0.05], loss=nn.functional.cross_entropy
    )
    assert (found.through != "module") == is_chain
    assert [r.val_accuracy for r in found.results] == [r.val_accuracy for r in theirs.results]
    assert [r.val_loss for r in found.results] == pytest.approx([r.val_loss for r in theirs.results])


def test_layers_are_in_the_order_of_their_numbers():
    """Where a file has them in that of their letters."""
    sizes = {"layer1": (6, 8), "layer10": (5, 3), "layer2": (8, 5)}
    state = {f"{n}.weight": torch.zeros(out, into) for n, (into, out) in sizes.items()}
    state |= {f"{n}.bias": torch.zeros(out) for n, (_, out) in sizes.items()}
    chain = chain_of_state(state, "relu")
    assert (chain.network.sizes, chain.layers) == ((6, 8, 5, 3), ("layer1", "layer2", "layer10"))

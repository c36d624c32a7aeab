"""train_ticket and frozen_zeros: what is pruned stays exactly 0, whoever trains."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ltsm
from ltsm.errors import UsageError

OPTIMISERS = {
    "sgd": partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": partial(torch.optim.Adam, lr=0.01, weight_decay=0.01),
    "adamw": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.005, momentum=0.9, weight_decay=0.01),
}


@pytest.fixture
def found(trained, images):
    _, initial, model = trained
    return ltsm.find_supermask(initial, model, images)


def pruned(state, mask):
    return torch.cat([state[name][~flags] for name, flags in mask.items()])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_zeros_stay_zero_through_1000_iterations(name, images):
    """SGD with momentum and weight decay, Adam, AdamW, RMSprop: +0, every one, after every step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    mask = {n: torch.rand(p.shape) < 0.4 for n, p in model.named_parameters()}
    optimiser = OPTIMISERS[name](model.parameters())
    # momentum from before must not move what is pruned now
    nn.functional.cross_entropy(model(images[0]), images[1]).backward()
    optimiser.step()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with ltsm.frozen_zeros(model, mask, optimiser):
        for _ in range(1_000):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[0]), images[1]).backward()
            optimiser.step()
            values = pruned(dict(model.named_parameters()), mask)
            assert not values.any()
    assert not torch.signbit(values).any()
    assert all((p[mask[n]] != before[n][mask[n]]).all() for n, p in model.named_parameters() if n != "2.bias")


def test_after_it_the_optimiser_is_free_again(images):
    """Hooks go when the block ends, also by an error."""
    model = nn.Linear(6, 3)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    mask = {"weight": torch.zeros(3, 6, dtype=torch.bool)}
    with pytest.raises(KeyError), ltsm.frozen_zeros(model, mask, optimiser):
        raise KeyError
    nn.functional.cross_entropy(model(images[0]), images[1]).backward()
    optimiser.step()
    assert model.weight.any()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_callers_optimiser_loss_and_loader(found, trained, images, name):
    """A ticket of any network learns, and keeps its zeros."""
    model = trained[2]
    loader = DataLoader(TensorDataset(*images), batch_size=40)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    ticket = ltsm.train_ticket(
        found,
        loader,
        images,
        model=model,
        optimiser=OPTIMISERS[name],
        loss=loss,
        iterations=60,
        record_every=30,
    )
    assert not pruned(ticket.trained, found.mask).any()
    assert [r.iteration for r in ticket.records] == [0, 30, 60]
    assert ticket.records[-1].val_loss < ticket.records[0].val_loss
    assert math.isnan(ticket.records[0].train_loss)


def test_it_starts_from_the_kept_initial_values(found, images):
    """No iteration, no change."""
    ticket = ltsm.train_ticket(
        found, images, images, iterations=1, optimiser=partial(torch.optim.SGD, lr=0.0), model=found.model
    )
    for name, values in found.state.items():
        if name in found.mask:
            assert torch.equal(ticket.trained[name], values)


def test_ours_and_autograd_train_alike(trained, images):
    """Where the network is one of ours, our engine does the same, faster."""
    _, initial, model = trained
    found = ltsm.find_supermask(initial, model, images)
    if found.chain is None:
        pytest.skip("a forward pass of its own")
    ours = ltsm.train_ticket(found, images, images, iterations=40, record_every=20)
    theirs = ltsm.train_ticket(found, images, images, model=model, iterations=40, record_every=20)
    assert [r.val_loss for r in ours.records] == pytest.approx([r.val_loss for r in theirs.records], rel=1e-3)
    assert not pruned(ours.trained, found.mask).any()


def test_no_validation_set_is_needed(found, images):
    """The training loss is recorded alone."""
    ticket = ltsm.train_ticket(found, images, iterations=4, record_every=2, batch_size=7)
    assert [r.iteration for r in ticket.records] == [0, 2, 4]
    assert all(math.isnan(r.val_loss) for r in ticket.records)
    assert ticket.records[-1].train_loss > 0


def test_an_optimiser_that_evaluates_more_than_once(found, images):
    """LBFGS calls its closure again and again."""
    lbfgs = partial(torch.optim.LBFGS, lr=0.1, max_iter=4)
    ticket = ltsm.train_ticket(found, images, images, model=found.model, optimiser=lbfgs, iterations=5)
    assert not pruned(ticket.trained, found.mask).any()


def test_refusals(trained, images):
    """No module, or a mask of another network."""
    _, initial, model = trained
    found = ltsm.find_supermask(initial, model, images)
    with pytest.raises(UsageError, match="another network"):
        ltsm.train_ticket(found, images, images, model=nn.Linear(6, 3))
    with pytest.raises(UsageError, match="another network"):
        ltsm.frozen_zeros(model, {"nothing": torch.ones(1, dtype=torch.bool)}, None).__enter__()

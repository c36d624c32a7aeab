"""Parameters that have several names: masked under all of them, counted once, and so in tickets and their files."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import ltsm
from ltsm.errors import StoreError, UsageError
from ltsm.library.ticket_evaluation import evaluate_ticket
from ltsm.library.ticket_file import ticket_bytes, ticket_from_bytes
from ltsm.library.tickets import checked_ticket


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.b.weight = self.a.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.c(torch.relu(self.b(torch.relu(self.a(images)))))


class TwoNames(nn.Linear):
    """A layer that has its weight under a second name."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.again = self.weight


def layer_with_two_names() -> nn.Module:
    return nn.Sequential(TwoNames(6, 6), nn.ReLU(), nn.Linear(6, 3))


def block_twice() -> nn.Module:
    block = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    return nn.Sequential(block, block, nn.Linear(6, 3))


class Embedding(nn.Module):
    """A layer's weight is an embedding's, too."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.words, self.out_of = nn.Linear(6, 4), nn.Embedding(3, 4), nn.Linear(4, 3)
        self.out_of.weight = self.words.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.out_of(self.into(images) + self.words.weight.mean(0))


@pytest.fixture(
    params=[Tied, block_twice, layer_with_two_names], ids=["tied", "block_twice", "layer_with_two_names"]
)
def pair(request, images):
    """A network with its initial values, and trained."""
    torch.manual_seed(7)
    model = request.param()
    after = copy.deepcopy(model)
    optimiser = torch.optim.Adam(after.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(after(images[0]), images[1]).backward()
        optimiser.step()
    return model, after


@pytest.fixture
def found(pair, images):
    return ltsm.find_supermask(*pair, images, thresholds=[0.05, 0.1])


def achieved(model, state, images):
    network = copy.deepcopy(model)
    network.load_state_dict(state)
    with torch.no_grad():
        logits = network.eval()(images[0])
    loss = nn.functional.cross_entropy(logits, images[1]).item()
    return loss, int((logits.argmax(1) == images[1]).sum()) / len(images[1])


def test_the_state_is_the_network_that_was_evaluated(pair, found, images):
    """Loaded into the module by PyTorch itself, name by name."""
    loss, accuracy = achieved(pair[0], found.state, images)
    assert accuracy == found.selected.val_accuracy
    assert loss == pytest.approx(found.selected.val_loss, rel=1e-5)
    assert found.mask.keys() == found.state.keys()
    assert all(not found.state[name][~flags].any() for name, flags in found.mask.items())


def test_each_parameter_counts_once(pair, found):
    """As `parameters()` gives them."""
    network = copy.deepcopy(pair[0])
    network.load_state_dict(found.state)
    left = {name: int((p != 0).sum()) for name, p in network.named_parameters()}
    total = sum(p.numel() for p in network.parameters())
    assert found.selected.kept == left
    assert found.selected.relative_size == sum(left.values()) / total
    ticket = ltsm.ticket_of(found)
    assert (ticket.kept, ticket.covered) == (sum(left.values()), total)


def test_the_file_gives_it_back(pair, found, images):
    """Mask, values, counts, and what it achieves."""
    ticket = ltsm.train_ticket(found, images, images, iterations=30, batch_size=40)
    again = ticket_from_bytes(ticket_bytes(ticket))
    assert (again.kept, again.covered, again.shared) == (ticket.kept, ticket.covered, ticket.shared)
    for state in (again.initial, again.trained):
        assert all(not state[name][~flags].any() for name, flags in found.mask.items())
    untrained, trained = evaluate_ticket(again, images, pair[0])
    assert untrained.val_accuracy == found.selected.val_accuracy
    assert trained.val_accuracy == ticket.records[-1].val_accuracy
    assert achieved(pair[0], again.trained, images)[1] == trained.val_accuracy
    network = copy.deepcopy(pair[0])
    ltsm.load_exactly(network, again.state)
    assert sum(int((p != 0).sum()) for p in network.parameters()) == ticket.kept
    wrong = replace(ticket, shared={"nothing": "a.weight"})
    with pytest.raises(StoreError, match="no ticket file"):
        ticket_from_bytes(ticket_bytes(wrong))


def test_a_ticket_may_have_no_parameter_that_is_not_shared():
    """An encoder whose decoder has its weight, without biases."""
    weight, kept = torch.arange(9.0).view(3, 3), torch.ones(3, 3, dtype=torch.bool)
    names = ("a.weight", "b.weight")
    ticket = ltsm.Ticket(
        mask=dict.fromkeys(names, kept), initial=dict.fromkeys(names, weight), shared={"b.weight": "a.weight"}
    )
    back = ticket_from_bytes(ticket_bytes(checked_ticket(ticket)))
    assert (back.shared, back.kept, back.covered) == ({"b.weight": "a.weight"}, 9, 9)
    assert all(torch.equal(back.initial[name], weight) for name in names)
    with pytest.raises(UsageError, match="names parameters that it has not"):
        checked_ticket(replace(ticket, shared={"b.weight": "c.weight"}))


def test_a_training_loop_of_ones_own_keeps_the_zeros(pair, found, images):
    """Momentum and weight decay notwithstanding."""
    network = copy.deepcopy(pair[0])
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    with ltsm.frozen_zeros(network, found.mask, optimiser):
        for _ in range(20):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images[0]), images[1]).backward()
            optimiser.step()
    assert all(not network.state_dict()[name][~flags].any() for name, flags in found.mask.items())
    assert sum(int((p != 0).sum()) for p in network.parameters()) == ltsm.ticket_of(found).kept


def test_torchs_pruning_takes_and_gives_the_mask(pair, found, images):
    """Applied, read back, counted and made permanent."""
    network, kept = copy.deepcopy(pair[0]), ltsm.ticket_of(found).kept
    ltsm.apply_mask(network, found.mask)
    back = ltsm.read_mask(network)
    assert back.keys() == found.mask.keys()
    assert all(torch.equal(back[name], found.mask[name]) for name in back)
    assert ltsm.count_parameters(network).kept == kept
    with torch.no_grad():
        accuracy = int((network(images[0]).argmax(1) == images[1]).sum()) / len(images[1])
    assert accuracy == found.selected.val_accuracy
    ltsm.make_permanent(network)
    assert ltsm.count_parameters(network) == (kept, sum(p.numel() for p in pair[0].parameters()))
    assert all(torch.equal(network.state_dict()[name], t) for name, t in found.state.items())


def test_a_state_dict_may_name_it_once(pair, found, images):
    """As a safetensors file often does; whichever name it is."""
    model, after = pair
    for several in (set(found.shared), set(found.shared.values())):
        initial, trained = (
            {name: t for name, t in m.state_dict().items() if name not in several} for m in (model, after)
        )
        once = ltsm.find_supermask(initial, trained, images, model=model, thresholds=[0.05, 0.1])
        assert once.results == found.results
        assert all(torch.equal(once.state[name], t) for name, t in found.state.items())


@pytest.mark.parametrize("which", ["initial", "trained"])
def test_a_state_dict_with_two_values_for_it_is_refused(pair, found, images, which):
    """Which of them would be the network's?"""
    other, first = next(iter(found.shared.items()))
    states = {what: dict(m.state_dict()) for what, m in zip(("initial", "trained"), pair, strict=True)}
    states[which][other] = states[which][other] + 1
    words = f"{other!r} and {first!r} are one parameter of the module, and the {which} weights have two values for it"
    with pytest.raises(UsageError, match=words):
        ltsm.find_supermask(*states.values(), images, model=pair[0])


def test_a_shared_parameter_that_diverged_has_one_value(pair, images):
    """Its NaN are the same under all names."""
    states = [copy.deepcopy(m.state_dict()) for m in pair]
    shared = next(iter(ltsm.find_supermask(*states, images, model=pair[0], thresholds=[0.1]).shared.values()))
    states[1][shared].fill_(math.nan)
    with pytest.raises(UsageError, match="trained weights holds values that are no numbers"):
        ltsm.find_supermask(*states, images, model=pair[0])


def test_what_is_shared_with_another_kind_of_layer_is_left_alone(images):
    """A mask for one would prune the other."""
    torch.manual_seed(7)
    model = Embedding()
    after = {n: t + 0.1 for n, t in model.state_dict().items()}
    found = ltsm.find_supermask(model, after, images, only=nn.Linear, thresholds=[0.0, 0.1])
    assert found.left_alone == ("words.weight", "out_of.weight")
    assert found.selected.val_accuracy == achieved(model, found.state, images)[1]

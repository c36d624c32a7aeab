"""Weights of another floating type than the network's: masks as `ltsm.core` makes them, values as the network has them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import ltsm
from ltsm.core.criteria import Values, sign
from ltsm.core.masking import at_least
from ltsm.errors import UsageError

TYPES = [torch.float64, torch.bfloat16, torch.float16]


class Own(nn.Module):
    """A forward pass of its own, with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.fc = nn.Linear(6, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(images))


@pytest.fixture
def pair():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return model, {n: t + 0.1 * torch.randn(t.shape) for n, t in model.state_dict().items()}


def of_type(state, dtype):
    return {n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("module", [True, False], ids=["module", "states"])
def test_initial_values_of_another_type_are_the_networks(pair, images, dtype, module):
    """Mask, values, accuracy and the ticket's training are those of the values as float32."""
    model, after = pair
    given = of_type(model.state_dict(), dtype)
    as_float = of_type(given, torch.float32)
    found = ltsm.find_supermask(given, after, images, model=model if module else None)
    expected = ltsm.find_supermask(as_float, after, images, model=model)
    assert found.results == expected.results
    assert all(t.dtype == torch.float32 for t in found.state.values())
    tickets = [ltsm.train_ticket(f, images, images, iterations=20, batch_size=40) for f in (found, expected)]
    assert torch.equal(tickets[0].trained["0.weight"], tickets[1].trained["0.weight"])
    assert tickets[0].records[-1] == tickets[1].records[-1]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_a_trained_value_meets_a_threshold_in_its_own_type(images, dtype):
    """0.07, rounded to whatever type, is kept at t = 0.07, as `ltsm.core.masking.at_least` keeps it."""
    initial = {"fc.weight": torch.full((3, 6), 0.5), "fc.bias": torch.tensor([-0.5, 0.0, 0.5])}
    after = {"fc.weight": torch.full((3, 6), 0.07, dtype=dtype), "fc.bias": torch.full((3,), -0.07)}
    found = ltsm.find_supermask(initial, after, images, thresholds=[0.07, 0.0701])
    expected = {n: at_least(sign(Values(after[n], initial[n])), 0.07) for n in initial}
    assert all(torch.equal(found.mask_at(0.07)[name], expected[name]) for name in expected)
    assert found.results[0].kept == {"fc.weight": 18, "fc.bias": 1}
    assert all(
        r.kept == {n: int(f.sum()) for n, f in found.mask_at(r.threshold).items()} for r in found.results
    )
    assert found.through != "module"
    network = nn.Linear(6, 3)
    network.load_state_dict(
        {n.removeprefix("fc."): torch.where(found.mask_at(0.07)[n], t, 0.0) for n, t in initial.items()}
    )
    with torch.no_grad():
        assert found.results[0].val_loss == pytest.approx(
            nn.functional.cross_entropy(network(images[0]), images[1]).item(), rel=1e-5
        )


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_two_states_of_one_type_need_no_module(pair, images, dtype):
    """They are computed in float32."""
    model, after = pair
    initial, trained = of_type(model.state_dict(), dtype), of_type(after, dtype)
    found = ltsm.find_supermask(initial, trained, images)
    assert found.through != "module"
    t = found.selected.threshold
    expected = {n: at_least(sign(Values(trained[n], initial[n])), t) for n in initial}
    assert all(torch.equal(found.mask[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_a_module_computes_in_its_own_type(images, dtype):
    """Buffers, too; and a network in float64 is left in it."""
    torch.manual_seed(4)
    model = Own()
    after = copy.deepcopy(model)
    with torch.no_grad():
        after.fc.weight.add_(0.2)
    given = of_type(model.state_dict(), dtype)
    found = ltsm.find_supermask(given, after, images, only=nn.Linear)
    expected = ltsm.find_supermask(of_type(given, torch.float32), after, images, only=nn.Linear)
    assert found.results == expected.results
    double = ltsm.find_supermask(
        given, after.double(), (images[0].double(), images[1]), only=nn.Linear, thresholds=[0.0]
    )
    assert double.state["fc.weight"].dtype == torch.float64


@pytest.mark.parametrize("which", ["initial", "trained"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused(pair, images, which, value):
    """NaN is at least no threshold: it would pass for pruned."""
    model, after = pair
    states = {"initial": dict(copy.deepcopy(model).state_dict()), "trained": after}
    states[which]["0.bias"] = torch.full((8,), value)
    with pytest.raises(UsageError, match=f"'0.bias' of the {which} weights holds values that are no numbers"):
        ltsm.find_supermask(states["initial"], states["trained"], images)


def test_weights_that_are_not_dense_are_refused(pair, images):
    model, after = pair
    after["2.weight"] = after["2.weight"].to_sparse()
    with pytest.raises(UsageError, match=r"'2\.weight' is a sparse_coo tensor"):
        ltsm.find_supermask(model, after, images)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state.pop("2.bias"), "there is no '2.bias'"),
        (lambda state: state.update(scale=torch.ones(3)), "'scale' is no weight or bias of theirs"),
        (
            lambda state: state.update({"2.weight": torch.ones(3, 5)}),
            "their sizes do not follow from each other",
        ),
    ],
)
def test_it_is_said_why_a_state_dict_is_no_chain(pair, images, change, reason):
    model, after = pair
    states = [dict(copy.deepcopy(model).state_dict()), dict(after)]
    for state in states:
        change(state)
    with pytest.raises(UsageError, match=reason):
        ltsm.find_supermask(*states, images)

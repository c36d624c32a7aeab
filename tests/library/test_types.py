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


@pytest.mark.parametrize(
    ("change", "layout"),
    [(torch.Tensor.to_sparse, "sparse_coo"), (lambda t: torch.nested.nested_tensor(list(t)), "nested")],
    ids=["sparse", "nested"],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_weights_that_are_not_dense_are_refused(pair, images, change, layout):
    model, after = pair
    after["2.weight"] = change(after["2.weight"])
    with pytest.raises(UsageError, match=rf"'2\.weight' is a {layout} tensor"):
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


class Product(nn.Module):
    """One matrix of any type."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.weight = nn.Parameter(torch.randn(3, 6).to(dtype) + 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.to(self.weight.dtype) @ self.weight.T).abs().sum()


@pytest.mark.parametrize("dtype", [*TYPES, torch.float32, torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("frozen_at", [None, 0.5], ids=["0", "a value"])
def test_what_is_pruned_keeps_its_bits_in_any_type(dtype, frozen_at):
    """Written over with NaN, infinity and -0.0 before a step and a forward pass: each of them mends it."""
    model = Product(dtype)
    mask = {"weight": torch.arange(18).reshape(3, 6) % 3 > 0}
    at = None if frozen_at is None else {"weight": torch.full((3, 6), frozen_at, dtype=dtype)}
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=0.1)
    kept = model.weight.detach().clone()[mask["weight"]]
    with ltsm.frozen_zeros(model, mask, optimiser, at=at):
        for bad in (float("nan"), float("inf"), -0.0, 3.0):
            model.weight.data[~mask["weight"]] = bad
            model(torch.ones(2, 6)).backward()
            assert not model.weight.grad[~mask["weight"]].any()
            model.weight.data[~mask["weight"]] = bad
            optimiser.step()
            pruned = torch.view_as_real(model.weight.detach().to(torch.complex128))[~mask["weight"]]
            assert (pruned[:, 0] == (frozen_at or 0)).all()
            assert not pruned[:, 1].any()
            assert not pruned.signbit().any()
    assert (model.weight[mask["weight"]] != kept).any()
    assert model.weight[mask["weight"]].isfinite().all()


def test_gradients_of_gradients_are_followed_too():
    """With create_graph a gradient has a history of its own, which the pruned entries are no part of."""
    model = Product(torch.float64)
    mask = {"weight": torch.arange(18).reshape(3, 6) % 3 > 0}
    with ltsm.frozen_zeros(model, mask):
        first = torch.autograd.grad(model(torch.ones(2, 6)) ** 2, model.weight, create_graph=True)[0]
        first.sum().backward()
    assert not first[~mask["weight"]].any()
    assert model.weight.grad[mask["weight"]].all()


def test_sparse_gradients_are_refused_in_a_sentence():
    model = nn.Embedding(5, 3, sparse=True)
    mask = {"weight": torch.ones(5, 3, dtype=torch.bool)}
    with ltsm.frozen_zeros(model, mask), pytest.raises(UsageError, match="sparse gradients"):
        model(torch.tensor([1, 2])).sum().backward()


def test_a_parameter_that_is_one_number_is_frozen_too():
    model = Product(torch.float64)
    model.scale = nn.Parameter(torch.tensor(2.0))
    with ltsm.frozen_zeros(model, {"scale": torch.tensor(False)}):
        assert model.scale.item() == 0

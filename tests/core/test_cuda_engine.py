"""The engine for GPUs, its arithmetic worked out on the CPU; where there is a GPU, there too, as graphs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from ltsm.core import cuda_adam
from ltsm.core.cuda_engine import RECORDED, CudaEngine
from ltsm.core.engine import choose_engine, refusals
from ltsm.core.network import Network, initial_values
from ltsm.core.state import TrainState, fresh_state, pack
from ltsm.core.torch_engine import TorchEngine

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset
    from ltsm.protocol import Protocol


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU, or this PyTorch cannot use it")
    return str(request.param)


@pytest.fixture(params=["fused", "by operations"])
def adam(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of Adam's step; networks as small as the tests' go the second one."""
    monkeypatch.setattr(cuda_adam, "FUSED_FROM", 0 if request.param == "fused" else 2**60)


def assert_alike(one: TrainState, other: TrainState) -> None:
    """Equal but for the order of additions."""
    assert one.iteration == other.iteration
    for name in ("parameters", "first_moment", "second_moment"):
        assert torch.allclose(getattr(one, name), getattr(other, name), rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("adam")
@pytest.mark.parametrize("order", ["file", "shuffled"])
@pytest.mark.parametrize("size", [60, 50, 4, 250, 300], ids="batches of {}".format)
def test_it_trains_as_the_torch_engine_does(
    data: Dataset, protocol: Protocol, state: TrainState, order: str, size: int, device: str
) -> None:
    """Batches that divide the 250 images and that do not, one that is all of them and one that is more."""
    ordered = replace(protocol, order=order, batch_size=size)
    mine = CudaEngine(data, state.network, ordered, device)
    theirs = TorchEngine(data, state.network, ordered, "cpu")
    for engine in (mine, theirs):
        engine.load(state)
    for until in (1, 10, 30, 30 + RECORDED + 1, 140):
        assert mine.train(until) == pytest.approx(theirs.train(until), rel=1e-4)
        found, expected = mine.evaluate(), theirs.evaluate()
        assert found.loss == pytest.approx(expected.loss, rel=1e-4)
        assert found.accuracy == pytest.approx(expected.accuracy, abs=0.02)
    assert_alike(mine.state(), theirs.state())


@pytest.mark.usefixtures("adam")
@pytest.mark.parametrize("order", ["file", "shuffled"])
@pytest.mark.parametrize("stops", [[4, 5, 60], [10, 20, 30, 60], [37, 60]])
def test_segments_give_the_same_bits_as_one_call(
    data: Dataset, protocol: Protocol, state: TrainState, order: str, stops: list[int], device: str
) -> None:
    ordered = replace(protocol, order=order)
    whole = CudaEngine(data, state.network, ordered, device)
    whole.load(state)
    whole.train(60)
    for stop in stops:
        part = CudaEngine(data, state.network, ordered, device)
        part.load(state)
        part.train(stop)
        state = part.state()
    assert pack(state) == pack(whole.state())


def test_many_iterations_in_one_call_are_those_called_one_by_one(
    data: Dataset, protocol: Protocol, state: TrainState, device: str
) -> None:
    """At batches of 4 images an epoch is long enough for the longer of the two graphs."""
    small = replace(protocol, batch_size=4)
    together, singly = (CudaEngine(data, state.network, small, device) for _ in range(2))
    for engine in (together, singly):
        engine.load(state)
    mean = together.train(2 * RECORDED)
    losses = [singly.train(iteration) for iteration in range(1, 2 * RECORDED + 1)]
    assert pack(together.state()) == pack(singly.state())
    assert mean == pytest.approx([sum(model) / len(losses) for model in zip(*losses, strict=True)], rel=1e-12)


@pytest.mark.usefixtures("adam")
def test_pruned_parameters_stay_plus_0_even_where_training_diverges(
    data: Dataset, network: Network, protocol: Protocol, device: str
) -> None:
    masks = torch.arange(network.parameters)[None] % 3 > 0
    start = fresh_state(network, (0,), initial_values(network, 0, "test")[None], masks)
    engine = CudaEngine(data, network, replace(protocol, lr=1e30), device)
    engine.load(start)
    assert math.isnan(engine.train(20)[0])
    assert engine.evaluate().accuracy == (0.0,)
    assert not engine.state().parameters.view(torch.int32)[~masks].any()


@pytest.mark.usefixtures("adam")
def test_pruned_parameters_that_are_not_0_never_move(
    data: Dataset, network: Network, protocol: Protocol, device: str
) -> None:
    mask, values = torch.arange(network.parameters) % 3 > 0, initial_values(network, 0, "test")
    engine = CudaEngine(data, network, protocol, device)
    engine.load(fresh_state(network, (0,), values[None], mask[None], frozen=values[None]))
    engine.train(20)
    lane = engine._ready().adam.parameters[0].cpu()
    for now in (lane, engine.state().parameters[0]):
        assert torch.equal(now[~mask].view(torch.int32), values[~mask].view(torch.int32))
        assert (now[mask] != values[mask]).sum() > mask.sum() / 2


@pytest.mark.usefixtures("adam")
def test_moments_of_pruned_parameters_are_given_back_as_0(
    data: Dataset, protocol: Protocol, state: TrainState, device: str
) -> None:
    """Inside they are infinite; a state with them would be another engine's undoing."""
    engine = CudaEngine(data, state.network, protocol, device)
    engine.load(state)
    engine.train(10)
    after = engine.state()
    assert after.masks is not None
    for tensor in (after.first_moment, after.second_moment):
        assert not tensor.view(torch.int32)[~after.masks].any()
        assert tensor[after.masks].isfinite().all()


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.5), (0.0, 0.9), (0.99, 0.9), (0.9, 0.9999)])
@pytest.mark.usefixtures("adam")
def test_any_betas_and_late_iterations_are_adams(
    data: Dataset, protocol: Protocol, state: TrainState, beta1: float, beta2: float, device: str
) -> None:
    """Corrections are looked up until they change no more: after 30 iterations with a beta of 0.5."""
    other, late = replace(protocol, beta1=beta1, beta2=beta2), replace(state, iteration=1_000)
    for begin in (state, late):
        mine, theirs = (
            CudaEngine(data, state.network, other, device),
            TorchEngine(data, state.network, other, "cpu"),
        )
        for engine in (mine, theirs):
            engine.load(begin)
            engine.train(begin.iteration + 40)
        assert_alike(mine.state(), theirs.state())


def test_what_it_gives_out_is_not_what_it_goes_on_with(
    data: Dataset, protocol: Protocol, state: TrainState, device: str
) -> None:
    engine = CudaEngine(data, state.network, protocol, device)
    before = pack(state)
    engine.load(state)
    engine.train(10)
    given = engine.state()
    kept = pack(given)
    engine.train(20)
    assert pack(given) == kept
    assert pack(state) == before


def test_it_takes_over_one_state_after_the_other(
    data: Dataset, protocol: Protocol, state: TrainState, device: str
) -> None:
    engine = CudaEngine(data, state.network, protocol, device)
    engine.load(state)
    first = engine.train(20)
    engine.load(state)
    assert engine.train(20) == first


def test_it_evaluates_parameters_that_it_never_trained(
    data: Dataset, protocol: Protocol, state: TrainState, device: str
) -> None:
    mine = CudaEngine(data, state.network, protocol, device)
    theirs = TorchEngine(data, state.network, protocol, "cpu").evaluate_parameters(state.parameters)
    assert mine.evaluate_parameters(state.parameters).loss == pytest.approx(theirs.loss, rel=1e-5)
    with pytest.raises(RuntimeError, match="load"):
        mine.evaluate()


def test_it_leaves_the_cpu_to_the_others(data: Dataset, network: Network, protocol: Protocol) -> None:
    assert refusals(data, network, protocol)["cuda"]
    assert not refusals(data, network, protocol, "cuda:1")["cuda"]
    assert choose_engine(data, network, protocol).name != "cuda"


def test_it_leaves_moments_that_do_not_decay_to_the_others(
    data: Dataset, network: Network, protocol: Protocol
) -> None:
    """0 · ∞ is no number."""
    assert "beta2" in refusals(data, network, replace(protocol, beta2=0.0), "cuda")["cuda"]

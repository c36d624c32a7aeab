"""The torch engine's two ways: one model after the other, and all of them along the model axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from ltsm.core.torch_engine import TorchEngine, _Group, evaluated

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset
    from ltsm.core.network import Network
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol


@pytest.mark.parametrize("order", ["file", "shuffled"])
@torch.no_grad()
def test_side_by_side_models_train_as_they_do_one_after_the_other(
    data: Dataset, protocol: Protocol, state: TrainState, order: str
) -> None:
    """A GPU's way, worked out on the CPU: the same numbers, but for the order of additions."""
    ordered = protocol.changed(order=order)
    engine = TorchEngine(data, state.network, ordered, "cpu")
    engine.load(state)
    group = _Group(data, ordered, state, slice(None))
    assert group.train(30) == pytest.approx(engine.train(30), rel=1e-5)
    assert torch.allclose(group.parameters, engine.state().parameters, rtol=1e-3, atol=1e-5)
    assert state.masks is not None
    assert not group.parameters.view(torch.int32)[~state.masks].any()
    loss, accuracy = evaluated(
        state.network, group.parameters, data.validation_images, data.validation_labels
    )
    assert loss.tolist() == pytest.approx(engine.evaluate().loss, rel=1e-5)
    assert accuracy.tolist() == list(engine.evaluate().accuracy)


def test_an_engine_takes_over_one_state_after_the_other(
    data: Dataset, network: Network, protocol: Protocol, state: TrainState
) -> None:
    engine = TorchEngine(data, network, protocol, "cpu")
    engine.load(state)
    first = engine.train(20)
    engine.load(state)
    assert engine.train(20) == first
    assert engine.state().iteration == 20


def test_what_an_engine_gives_out_is_not_what_it_goes_on_with(
    data: Dataset, network: Network, protocol: Protocol, state: TrainState
) -> None:
    engine = TorchEngine(data, network, protocol, "cpu")
    engine.load(state)
    engine.train(10)
    given = engine.state()
    before = given.parameters.clone()
    engine.train(20)
    assert torch.equal(given.parameters, before)

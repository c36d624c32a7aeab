"""Loss and accuracy on the validation set."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from evaluating import evaluate
from torch.nn import functional

from ltsm.core import engine, torch_engine
from ltsm.core.engine import choose_engine, refusals
from ltsm.core.network import Network, forward, initial_values

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset
    from ltsm.protocol import Protocol

pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.fixture
def parameters(network: Network) -> torch.Tensor:
    return torch.stack([initial_values(network, seed, "test") for seed in range(4)])


def test_loss_and_accuracy_are_those_of_a_plain_evaluation(
    data: Dataset, network: Network, protocol: Protocol, parameters: torch.Tensor
) -> None:
    found = evaluate(data, network, protocol, parameters)
    logits = forward(network, parameters.double(), data.validation_images.double())
    for model in range(4):
        loss = functional.cross_entropy(logits[model], data.validation_labels)
        right = (logits[model].argmax(-1) == data.validation_labels).double().mean()
        assert found.loss[model] == pytest.approx(loss.item(), rel=1e-5)
        assert found.accuracy[model] == right.item()


def test_each_model_is_evaluated_as_if_alone(
    data: Dataset, network: Network, protocol: Protocol, parameters: torch.Tensor
) -> None:
    together = evaluate(data, network, protocol, parameters)
    for model in range(4):
        alone = evaluate(data, network, protocol, parameters[model : model + 1])
        assert (alone.loss[0], alone.accuracy[0]) == (together.loss[model], together.accuracy[model])


def test_images_that_do_not_fill_a_chunk_are_counted(
    data: Dataset,
    network: Network,
    protocol: Protocol,
    parameters: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = evaluate(data, network, protocol, parameters)
    monkeypatch.setitem(torch_engine.CHUNK, "cpu", 40)
    chunked = evaluate(data, network, protocol, parameters)
    assert chunked.accuracy == whole.accuracy
    assert chunked.loss == pytest.approx(whole.loss, rel=1e-6)


def test_a_network_of_zeros_predicts_the_first_class(
    data: Dataset, network: Network, protocol: Protocol
) -> None:
    """As a mask that keeps nothing leaves it: all logits are equal, and the loss that of guessing."""
    found = evaluate(data, network, protocol, torch.zeros(1, network.parameters))
    assert found.loss[0] == pytest.approx(math.log(4))
    assert found.accuracy[0] == (data.validation_labels == 0).double().mean().item()


def test_losses_are_summed_in_double_precision(data: Dataset, network: Network, protocol: Protocol) -> None:
    """Beside a large one the others would be lost in single precision."""
    parameters = torch.zeros(1, network.parameters)
    parameters[0, -3] = -(2.0**30)  # the bias of class 1
    labels = torch.zeros_like(data.validation_labels)
    labels[0] = 1
    found = evaluate(replace(data, validation_labels=labels), network, protocol, parameters)
    expected = (2**30 + (len(labels) - 1) * math.log(3)) / len(labels)
    assert found.loss[0] == pytest.approx(expected, abs=0.02)  # single precision has every 64th number there


def test_a_network_of_nan_has_predicted_nothing(data: Dataset, network: Network, protocol: Protocol) -> None:
    labels = torch.zeros_like(data.validation_labels)
    found = evaluate(
        replace(data, validation_labels=labels),
        network,
        protocol,
        torch.full((1, network.parameters), math.nan),
    )
    assert math.isnan(found.loss[0])
    assert found.accuracy == (0.0,)


def test_some_engine_serves_every_case(data: Dataset, network: Network, protocol: Protocol) -> None:
    """The first that does not refuse is the one that is chosen."""
    refused = refusals(data, network, protocol)
    assert list(refused) == [kind.name for kind in engine.ENGINES]
    serving = next(name for name, why in refused.items() if not why)
    assert choose_engine(data, network, protocol).name == serving
    assert not refused["torch"]

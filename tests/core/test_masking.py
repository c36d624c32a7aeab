"""Masks by sign(w_initial)·w_trained ≥ t, and the choice of the supermask."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from ltsm.core.evaluation import Evaluation, evaluate
from ltsm.core.masking import MaskResult, evaluate_masks, mask, pack_bits, select, unpack_bits
from ltsm.core.network import Network, initial_values, is_weight
from ltsm.core.training import advance, fresh_state
from ltsm.errors import StoreError
from ltsm.protocol import Protocol

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset

pytestmark = pytest.mark.usefixtures("each_engine")


def test_the_example_of_section_2_1() -> None:
    """0.1 changed its sign, 0.2 became small: only 0.3 is kept."""
    initial, trained = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([-0.2, 0.05, 0.3])
    kept = mask(initial, trained, 0.1)
    assert torch.equal(torch.where(kept, initial, 0.0), torch.tensor([0.0, 0.0, 0.3]))


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (-0.1, [True, True, False, True, True, True, False]),
        (0.0, [True, True, False, False, True, True, False]),
        (0.05, [True, True, False, False, False, False, False]),
        (0.3, [False, True, False, False, False, False, False]),
        (0.4, [False] * 7),
    ],
)
def test_masks_worked_out_by_hand(threshold: float, expected: list[bool]) -> None:
    """In turn: grew, grew below 0, changed sign, changed it a little, both 0, started at 0, became NaN."""
    initial = torch.tensor([0.1, -0.2, 0.1, -0.1, 0.0, 0.0, 0.5])
    trained = torch.tensor([0.2, -0.3, -0.2, 0.05, 0.0, 9.0, math.nan])
    assert mask(initial, trained, threshold).tolist() == expected


@pytest.mark.parametrize("threshold", Protocol().thresholds)
def test_a_parameter_equal_to_the_threshold_is_kept(threshold: float) -> None:
    """t is rounded as the parameters are: in float32, 0.07 is a little below 0.07."""
    trained = torch.tensor([threshold, -threshold, threshold - 1e-6])
    initial = torch.tensor([1.0, -1.0, 1.0])
    assert mask(initial, trained, threshold).tolist() == [True, True, False]


def test_biases_are_kept_where_only_weights_are_masked() -> None:
    network = Network((3, 2, 1))
    values = initial_values(network, 0, "test")
    kept = mask(values, -values, 0.0, is_weight(network))
    assert torch.equal(kept, ~is_weight(network))


def test_a_mask_comes_back_from_its_bits() -> None:
    kept = torch.rand(163_340, generator=torch.Generator().manual_seed(0)) < 0.4
    bits = pack_bits(kept)
    assert len(bits) == 20_418
    assert torch.equal(unpack_bits(bits, 163_340), kept)
    assert pack_bits(torch.tensor([True, False, False, True])) == b"\x90"


@pytest.mark.parametrize("bits", [b"", b"\x00", b"\x00\x00\x00", b"\x00\x01"])
def test_bits_of_another_size_are_refused(bits: bytes) -> None:
    with pytest.raises(StoreError, match="no mask of 12 parameters"):
        unpack_bits(bits, 12)


@pytest.mark.parametrize("scope", ["all", "weights"])
def test_every_threshold_is_evaluated_as_its_masked_network_alone(
    data: Dataset, network: Network, protocol: Protocol, scope: str
) -> None:
    """The masked network is untrained: initial values where the mask keeps them, else 0 (section 3.4)."""
    scoped = protocol.changed(mask=scope)
    initial = initial_values(network, 0, "test")
    trained, _ = advance(data, scoped, fresh_state(network, (0,), initial[None]), 200)
    results = evaluate_masks(data, scoped, network, initial, trained.parameters[0])
    assert [result.threshold for result in results] == list(scoped.thresholds)
    for result in results:
        kept = unpack_bits(result.bits, network.parameters)
        covered = is_weight(network) if scope == "weights" else None
        assert torch.equal(kept, mask(initial, trained.parameters[0], result.threshold, covered))
        assert sum(result.kept) == int(kept.sum())
        assert result.relative_size == sum(result.kept) / network.parameters
        alone = evaluate(data, network, scoped, (initial * kept)[None])
        assert alone == Evaluation((result.val_loss,), (result.val_accuracy,))
    sizes = [result.relative_size for result in results]
    assert sizes == sorted(sizes, reverse=True)
    assert max(result.val_accuracy for result in results) > results[-1].val_accuracy


def test_kept_is_counted_layer_by_layer(data: Dataset, network: Network, protocol: Protocol) -> None:
    initial = torch.ones(network.parameters)
    trained = initial.clone()
    trained[:100], trained[-1] = -1.0, -1.0
    results = evaluate_masks(data, protocol, network, initial, trained)
    assert results[0].kept == (20 * 12 + 12 - 100, 12 * 7 + 7, 7 * 4 + 4 - 1)


def test_a_network_that_diverged_keeps_nothing(data: Dataset, network: Network, protocol: Protocol) -> None:
    initial = initial_values(network, 0, "test")
    results = evaluate_masks(data, protocol, network, initial, torch.full_like(initial, math.nan))
    assert {result.relative_size for result in results} == {0.0}


def result(threshold: float, accuracy: float) -> MaskResult:
    return MaskResult(
        threshold=threshold, kept=(), relative_size=0, val_loss=0, val_accuracy=accuracy, bits=b""
    )


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [
        ({0.0: 0.3, 0.01: 0.5, 0.02: 0.4}, 0.01),
        ({0.0: 0.3, 0.01: 0.5, 0.02: 0.5}, 0.01),
        ({0.02: 0.5, 0.01: 0.5, 0.0: 0.5}, 0.0),
        ({-0.01: 0.9, 0.0: 0.1, 0.2: 0.2, 0.21: 0.9}, 0.2),
        ({0.0: math.nan, 0.01: 0.0, 0.02: math.nan}, 0.01),
        ({0.0: math.nan, 0.01: math.nan}, 0.0),
    ],
    ids=["best", "tie", "tie, any order", "outside the range", "not a number", "no number at all"],
)
def test_the_supermask_is_the_most_accurate_at_the_smallest_threshold(
    accuracies: dict[float, float], chosen: float
) -> None:
    results = [result(threshold, accuracy) for threshold, accuracy in accuracies.items()]
    assert results[select(results, Protocol())].threshold == chosen


def test_negative_thresholds_can_be_chosen_where_the_protocol_says_so() -> None:
    results = [result(-0.05, 0.9), result(0.0, 0.1)]
    assert select(results, replace(Protocol(), select_min=-0.1)) == 0

"""Masks from scores by threshold and by fraction, how they are evaluated, and the choice of the supermask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from evaluating import evaluate

from ltsm.core.criteria import CRITERIA, Values
from ltsm.core.engine import choose_engine
from ltsm.core.masking import (
    MaskResult,
    at_least,
    choose,
    covered_by,
    evaluate_masks,
    largest,
    masks,
    pack_bits,
    unpack_bits,
)
from ltsm.core.network import Network, initial_values, is_weight
from ltsm.core.records import Evaluation
from ltsm.core.state import fresh_state
from ltsm.core.training import advance
from ltsm.errors import StoreError
from ltsm.protocol import Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.datasets import Dataset

pytestmark = pytest.mark.usefixtures("each_engine")


def mask(initial: Tensor, trained: Tensor, threshold: float) -> Tensor:
    """The paper's mask of one tensor."""
    return at_least(CRITERIA["sign"](Values(trained, initial)), threshold)


def results_of(
    data: Dataset, network: Network, protocol: Protocol, initial: Tensor, trained: Tensor
) -> list[MaskResult]:
    """Every threshold of the protocol."""
    values = Values(trained, initial)
    found = masks(network, CRITERIA["sign"], values, protocol.thresholds, covers=protocol.mask)
    candidates = list(zip(protocol.thresholds, found, strict=True))
    engine = choose_engine(data, network, protocol)
    return evaluate_masks(engine, network, candidates, lambda kept: initial.where(kept, 0.0))


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
    (kept,) = masks(network, CRITERIA["small_final"], Values(values), [0.0], covers="weights")
    assert torch.equal(kept, ~is_weight(network))
    assert torch.equal(covered_by(network, "weights"), is_weight(network))
    assert covered_by(network, "all").all()


def test_a_fraction_is_an_exact_count_and_ties_go_to_who_comes_first() -> None:
    """Of 1, 3, 3, 3, 2 two fifths are the first two threes."""
    scores = torch.tensor([1.0, 3.0, 3.0, 3.0, 2.0])
    assert largest(scores, 0.4).tolist() == [False, True, True, False, False]
    assert largest(scores.view(5, 1), 0.4).shape == (5, 1)
    assert [int(largest(scores, f).sum()) for f in (0.0, 0.5, 1.0)] == [0, 2, 5]


SMALL = Network((2, 2, 1))
"""Layer 1: weights 0 to 3, biases 4, 5; layer 2: weights 6, 7, bias 8."""
TRAINED = torch.tensor([1.0, 5.0, -3.0, 2.0, 9.0, 9.0, 4.0, -6.0, 9.0])


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ({"scope": "global"}, [1, 6, 7]),
        ({"scope": "layer"}, [1, 2, 7]),
        ({"scope": "layer", "output": [1.0]}, [1, 2, 6, 7]),
        ({"scope": "global", "covers": "all"}, [4, 5, 7, 8]),
        ({"scope": "layer", "covers": "all"}, [1, 4, 5, 7, 8]),
    ],
    ids=str,
)
def test_a_fraction_is_of_the_whole_network_or_of_each_layer(how: dict[str, Any], kept: list[int]) -> None:
    """Half of the largest magnitudes; biases, 9 each, are kept beside them where only weights are covered."""
    how = {"covers": "weights", **how}
    (found,) = masks(SMALL, CRITERIA["large_final"], Values(TRAINED), [0.5], by="fraction", **how)
    assert found.nonzero()[:, 0].tolist() == sorted(
        {*kept, *([4, 5, 8] if how["covers"] == "weights" else kept)}
    )


def test_both_magnitudes_pass_the_same_percentile_within_their_layer() -> None:
    """Of four weights, by rank before and after: 1 4, 2 3, 3 2, 4 1; two are kept of all, one of the last."""
    before = torch.tensor([1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 100.0, 200.0, 0.0])
    after = torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 200.0, 300.0, 0.0])
    how = {"by": "fraction", "scope": "layer", "covers": "weights"}
    (found,) = masks(SMALL, CRITERIA["large_init_large_final"], Values(after, before), [0.5], **how)
    assert found.nonzero()[:, 0].tolist() == [1, 2, 4, 5, 7, 8]
    (small,) = masks(SMALL, CRITERIA["small_init_small_final"], Values(after, before), [0.5], **how)
    assert small.nonzero()[:, 0].tolist() == [1, 2, 4, 5, 6, 8]


def test_the_papers_threshold_and_the_fraction_that_keeps_as_many_give_the_same_mask() -> None:
    """sign ≥ t > 0 is large_final_same_sign ≥ t; and as a fraction, layer by layer, while no magnitudes tie."""
    network = Network((30, 20, 5))
    before = initial_values(network, 0, "test")
    after = before + initial_values(network, 1, "test")
    values = Values(after, before)
    for threshold in (0.01, 0.05, 0.1, 0.2):
        (ours,) = masks(network, CRITERIA["sign"], values, [threshold])
        (same,) = masks(network, CRITERIA["large_final_same_sign"], values, [threshold])
        assert torch.equal(ours, same)
        shares = [float(ours[layer.parameters].float().mean()) for layer in network.layers]
        for layer, share in zip(network.layers, shares, strict=True):
            fraction = round(share * ours[layer.parameters].numel()) / ours[layer.parameters].numel()
            (found,) = masks(
                network, CRITERIA["large_final_same_sign"], values, [fraction], by="fraction", scope="layer"
            )
            assert 0 < fraction < 1
            assert torch.equal(found[layer.parameters], ours[layer.parameters])


def test_a_score_that_is_no_number_is_kept_last() -> None:
    scores = torch.tensor([math.nan, -5.0, math.nan, -7.0])
    assert largest(scores, 0.5).tolist() == [False, True, False, True]


def test_a_fraction_within_a_mask_is_of_what_that_keeps() -> None:
    """A round of pruning: of 10 weights 8 are left, of these the smaller half goes; biases stay."""
    network = Network((4, 2, 1))
    trained = torch.arange(float(network.parameters))
    within = torch.ones(network.parameters, dtype=torch.bool)
    within[[0, 1]] = False
    (kept,) = masks(
        network,
        CRITERIA["large_final"],
        Values(trained),
        [0.5],
        by="fraction",
        covers="weights",
        within=within,
    )
    assert kept.nonzero()[:, 0].tolist() == [6, 7, 8, 9, 10, 11, 12]
    assert is_weight(network).nonzero()[:, 0].tolist() == [*range(8), 10, 11]


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
    results = results_of(data, network, scoped, initial, trained.parameters[0])
    assert [result.amount for result in results] == list(scoped.thresholds)
    for result in results:
        kept = unpack_bits(result.bits, network.parameters)
        expected = mask(initial, trained.parameters[0], result.amount)
        assert torch.equal(kept, expected | ~is_weight(network) if scope == "weights" else expected)
        assert sum(result.layer_sizes) == int(kept.sum())
        assert result.relative_size == sum(result.layer_sizes) / network.parameters
        alone = evaluate(data, network, scoped, (initial * kept)[None])
        assert alone == Evaluation((result.val_loss,), (result.val_accuracy,))
    sizes = [result.relative_size for result in results]
    assert sizes == sorted(sizes, reverse=True)
    assert max(result.val_accuracy for result in results) > results[-1].val_accuracy


def test_kept_is_counted_layer_by_layer(data: Dataset, network: Network, protocol: Protocol) -> None:
    initial = torch.ones(network.parameters)
    trained = initial.clone()
    trained[:100], trained[-1] = -1.0, -1.0
    results = results_of(data, network, protocol, initial, trained)
    assert results[0].layer_sizes == (20 * 12 + 12 - 100, 12 * 7 + 7, 7 * 4 + 4 - 1)


def test_a_network_that_diverged_keeps_nothing(data: Dataset, network: Network, protocol: Protocol) -> None:
    initial = initial_values(network, 0, "test")
    results = results_of(data, network, protocol, initial, torch.full_like(initial, math.nan))
    assert {result.relative_size for result in results} == {0.0}


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
    place = choose(list(accuracies), list(accuracies.values()), Protocol().selectable)
    assert place is not None
    assert list(accuracies)[place] == chosen


def test_any_amount_can_be_chosen_unless_somebody_says_which() -> None:
    assert choose([-0.05, 0.0], [0.9, 0.1]) == 0
    assert choose([-0.05, 0.0], [0.9, 0.1], lambda amount: amount >= 0) == 1
    assert choose([-0.05], [0.9], lambda amount: amount >= 0) is None

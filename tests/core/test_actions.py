"""What becomes of values under a mask, and the masks that are controls, each on values worked out by hand."""

from functools import partial

import pytest
import torch

from ltsm.core.actions import CONTROLS, KEPT, PRUNED, Case
from ltsm.core.masking import covered_by
from ltsm.core.network import Network, initial_values, is_weight
from ltsm.errors import UsageError

NETWORK = Network((3, 2, 2))
"""Layer 1: weights 0 to 5, biases 6, 7; layer 2: weights 8 to 11, biases 12, 13."""
VALUES = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 0.0, -9.0])
MASK = torch.tensor([True, True, False, True, False, True, True, True, True, False, True, True, False, True])

TRAINED = torch.tensor([2.0, 1.0, 3.0, 4.0, -6.0, 0.0, 1.0, 0.1, -1.0, 0.5, 3.0, -3.5, 0.0, 9.0])


def case(mask=MASK, covers="all", seed=0, draw=(), network=NETWORK, values=VALUES):
    fresh = partial(initial_values, network)
    return Case(network.layers, values, mask, covered_by(network, covers), fresh, seed, draw, TRAINED)


def test_initial_values_stay_and_pruned_ones_are_nothing():
    assert torch.equal(KEPT["initial"](case()), VALUES)
    assert PRUNED["zero"](case()).tolist() == [0.0] * 14


def test_pruned_values_may_be_frozen_where_they_were_drawn():
    """At 0 only where training made them smaller: −2 became 1, −6 became 0, −0.5 0.1, −1 0.5."""
    assert torch.equal(PRUNED["initial"](case()), VALUES)
    shrunk = [1, 5, 7, 9]
    expected = [0.0 if i in shrunk else v for i, v in enumerate(VALUES.tolist())]
    assert PRUNED["zero_if_shrunk"](case()).tolist() == expected
    with pytest.raises(UsageError, match="compares with trained values, and there are none"):
        PRUNED["zero_if_shrunk"](case()._replace(trained=None))


def test_signed_constants_have_the_deviation_of_the_layers_weights():
    """Of 1, −2, 3, −4, 5, −6 the mean is −0.5 and the deviation √14.9166…; of 1, −1, 3, −3 it is √5."""
    first, second = 14.916666666666666**0.5, 5**0.5
    signs = [1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 0, -1]
    expected = [s * (first if i < 8 else second) for i, s in enumerate(signs)]
    assert KEPT["signed_constant"](case()).tolist() == pytest.approx(expected, rel=1e-6)
    weights = is_weight(NETWORK).tolist()
    spared = [e if w else v for e, w, v in zip(expected, weights, VALUES.tolist(), strict=True)]
    assert KEPT["signed_constant"](case(covers="weights")).tolist() == pytest.approx(spared, rel=1e-6)


def test_shuffled_values_of_one_sign_stay_among_themselves():
    network = Network((30, 20, 5))
    values = initial_values(network, 0, "test")
    mask = values.abs() > 0.05
    found = KEPT["shuffled_same_sign"](case(mask, network=network, values=values))
    assert torch.equal(found.sign(), values.sign())
    assert torch.equal(found[~mask], values[~mask])
    for layer in network.layers:
        kept = mask[layer.weight]
        assert torch.equal(found[layer.weight][kept].sort().values, values[layer.weight][kept].sort().values)
        assert not torch.equal(found[layer.weight], values[layer.weight])


def test_shuffled_values_are_the_kept_ones_in_another_order_within_their_layer():
    network = Network((30, 20, 5))
    values = initial_values(network, 0, "test")
    mask = values > -0.05
    found = KEPT["shuffled"](case(mask, network=network, values=values))
    assert torch.equal(found[~mask], values[~mask])
    for layer in network.layers:
        for part in (layer.weight, layer.bias):
            kept = mask[part]
            assert torch.equal(found[part][kept].sort().values, values[part][kept].sort().values)
        assert not torch.equal(found[layer.weight], values[layer.weight])


def test_redrawn_values_are_drawn_as_initial_ones_are():
    """Each action has a stream of its own; the signs are those of the start values where that is asked for."""
    fresh = KEPT["reinitialised"](case(seed=3))
    assert torch.equal(fresh, initial_values(NETWORK, 3, "reinitialised"))
    same = KEPT["reinitialised_same_sign"](case(seed=3))
    assert torch.equal(same, initial_values(NETWORK, 3, "reinitialised_same_sign").abs() * VALUES.sign())
    assert not torch.equal(same.abs(), fresh.abs())
    assert all(abs(v) <= 1 / 3**0.5 for v in fresh.tolist())


@pytest.mark.parametrize(
    ("action", "mask"),
    [
        *(
            (KEPT[name], torch.ones(14, dtype=torch.bool))
            for name in KEPT
            if name not in {"initial", "signed_constant"}
        ),
        (CONTROLS["random"], MASK),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_chance_depends_on_the_seed_and_on_what_the_recipe_draws(action, mask):
    found = [
        action(case(mask, seed=seed, draw=draw)).tolist()
        for seed, draw in ((0, ()), (1, ()), (0, (7,)), (0, ()))
    ]
    assert found[0] == found[3]
    assert len({tuple(f) for f in found}) == 3


@pytest.mark.parametrize(
    ("sizes", "action", "expected"),
    [
        ((3, 2, 2), "shuffled", [3, -4, -6, 1, -2, 5, -8, 7, -10, 9, 11, -12, -14, 13]),
        ((3, 2, 2), "shuffled_same_sign", [3, -2, 1, -4, 5, -6, 7, -8, 11, -10, 9, -12, 13, -14]),
        ((1, 8), "shuffled", [3, -8, 7, -4, -6, 1, -2, 5, -10, -12, -16, 15, 13, -14, 9, 11]),
        ((1, 8), "shuffled_same_sign", [3, -8, 7, -2, 1, -4, 5, -6, 13, -14, 11, -16, 9, -12, 15, -10]),
    ],
)
def test_what_is_drawn_is_what_stores_hold_already(sizes, action, expected):
    """Another stream would be as good, and every result of an earlier version another than today's."""
    count = len(expected)
    values = torch.arange(1.0, count + 1) * torch.tensor([1.0, -1.0]).repeat(count // 2)
    kept = torch.ones(count, dtype=torch.bool)
    assert KEPT[action](case(kept, network=Network(sizes), values=values)).tolist() == expected


def test_the_inverted_mask_keeps_what_was_pruned():
    assert torch.equal(CONTROLS["inverted"](case()), ~MASK)
    only = MASK | ~is_weight(NETWORK)
    assert torch.equal(
        CONTROLS["inverted"](case(only, "weights")), torch.where(is_weight(NETWORK), ~only, True)
    )


@pytest.mark.parametrize("covers", ["all", "weights"])
def test_a_random_mask_keeps_as_many_in_every_layer(covers):
    """What no mask covers stays kept; over many draws every parameter that it covers is kept now and then."""
    mask = MASK | ~covered_by(NETWORK, covers)
    found = torch.stack([CONTROLS["random"](case(mask, covers, seed)) for seed in range(60)])
    for layer in NETWORK.layers:
        counts = found[:, layer.parameters].sum(1)
        assert set(counts.tolist()) == {int(mask[layer.parameters].sum())}
    assert found.any(0).all()
    free = covered_by(NETWORK, covers)
    assert not found[:, free].all(0).any()
    assert found[:, ~free].all()


def test_a_random_mask_is_another_in_every_layer():
    """Of the same size: layers are drawn apart. Taken out: the layer's index in the stream; both had the same places."""
    network = Network((8, 8, 8))
    mask = torch.arange(network.parameters) % 2 == 0
    found = CONTROLS["random"](case(mask, "weights", network=network, values=torch.ones(network.parameters)))
    first, second = (found[layer.weight] for layer in network.layers)
    assert first.sum() == second.sum() == 32
    assert not torch.equal(first, second)

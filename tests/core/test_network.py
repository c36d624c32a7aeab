"""Sizes, initial values, the layout that PyTorch also has, and the forward pass."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from ltsm.core.network import (
    Network,
    flat_parameters,
    forward,
    initial_values,
    is_weight,
    named_tensors,
)
from ltsm.errors import StoreError
from ltsm.protocol import PAPER

PAPERS = Network((784, 200, 30, 10))


def sequential(network: Network) -> nn.Sequential:
    """The network as PyTorch's users build it."""
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}[network.activation]
    linear = [nn.Linear(a, b) for a, b in zip(network.sizes, network.sizes[1:], strict=False)]
    modules: list[nn.Module] = [linear[0]]
    for layer in linear[1:]:
        modules += [activation(), layer]
    return nn.Sequential(*modules)


def test_the_papers_network_has_163340_parameters() -> None:
    assert PAPERS.parameters == 163_340
    assert [part.stop - part.start for part in (layer.parameters for layer in PAPERS.layers)] == [
        157_000,
        6_030,
        310,
    ]


@pytest.mark.parametrize(
    ("hidden", "published"),
    [
        ((200, 30), "100.0"),
        ((100, 15), "49.1"),
        ((100, 25), "49.8"),
        ((150, 15), "73.6"),
        ((150, 25), "74.6"),
        ((50, 15), "24.6"),
        ((50, 25), "25.0"),
        ((150, 5), "72.6"),
        ((100, 5), "48.4"),
        ((50, 5), "24.2"),
    ],
)
def test_relative_sizes_are_those_of_table_1(hidden: tuple[int, ...], published: str) -> None:
    assert hidden in PAPER.hyperops
    relative = Network((784, *hidden, 10)).parameters / PAPERS.parameters
    assert f"{100 * relative:.1f}" == published


def test_initial_values_are_the_ones_they_have_always_been() -> None:
    """A change here would falsify every stored result: never adapt these values."""
    values = initial_values(PAPERS, 3, "initial")
    expected = "f90fdf2f1f0334effd703e86151e9ef7c85af9b1781c1db3b981458481c98523"
    assert hashlib.sha256(values.numpy().tobytes()).hexdigest() == expected


def test_initial_values_are_spread_as_pytorchs_default() -> None:
    """Uniform in ± 1/√fan_in, whose deviation is that bound by √3; biases too."""
    values = initial_values(PAPERS, 0, "initial")
    for layer, fan_in in zip(PAPERS.layers, (784, 200, 30), strict=True):
        bound, own = 1 / math.sqrt(fan_in), values[layer.parameters]
        assert own.abs().max() <= bound
        assert own.abs().max() > 0.98 * bound
        assert float(own.mean()) == pytest.approx(0, abs=4 * bound / math.sqrt(3 * len(own)))
        assert float(own.std()) == pytest.approx(bound / math.sqrt(3), rel=0.06)
    biases = values[~is_weight(PAPERS)]
    assert float(biases[:200].abs().max()) > 0.95 / 28


def test_seeds_purposes_and_sizes_share_no_values() -> None:
    base = initial_values(PAPERS, 0, "initial")
    others = [
        initial_values(PAPERS, 1, "initial"),
        initial_values(PAPERS, 0, "hyperop"),
        initial_values(Network((784, 200, 15, 10)), 0, "initial"),
    ]
    for other in others:
        assert abs(torch.corrcoef(torch.stack([base[:156_800], other[:156_800]]))[0, 1]) < 0.02


def test_weights_files_load_into_an_nn_sequential() -> None:
    values = initial_values(PAPERS, 0, "initial")
    model = sequential(PAPERS)
    model.load_state_dict(load(save(named_tensors(PAPERS, values))))
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), values)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("sizes", [(20, 4), (20, 12, 4), (20, 12, 9, 8, 7, 4)])
def test_forward_is_pytorchs(activation: str, sizes: tuple[int, ...]) -> None:
    network = Network(sizes, activation)
    parameters = torch.stack([initial_values(network, seed, "test") for seed in range(3)])
    images = torch.rand(9, 20, generator=torch.Generator().manual_seed(0))
    logits = forward(network, parameters, images)
    assert logits.shape == (3, 9, 4)
    model = sequential(network)
    for flat, own in zip(parameters, logits, strict=True):
        model.load_state_dict(named_tensors(network, flat))
        assert torch.allclose(model(images), own, atol=1e-6)
        assert torch.allclose(forward(network, flat, images), own, atol=1e-6)


def test_is_weight_is_false_for_biases_alone() -> None:
    network = Network((3, 2, 1))
    weights = named_tensors(network, is_weight(network))
    assert all(bool((tensor == name.endswith("weight")).all()) for name, tensor in weights.items())


def test_named_tensors_come_back_as_the_flat_vector() -> None:
    values = initial_values(PAPERS, 0, "initial")
    assert torch.equal(flat_parameters(PAPERS, named_tensors(PAPERS, values)), values)
    doubles = {name: tensor.double() for name, tensor in named_tensors(PAPERS, values).items()}
    assert torch.equal(flat_parameters(PAPERS, doubles), values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"2.bias": None}, "the weights lack '2.bias': they are not those of a 3-2-1 network."),
        ({"4.bias": torch.zeros(1)}, "have the unknown tensor '4.bias'"),
        ({"0.weight": torch.zeros(3, 2)}, r"have \(3, 2\) of float32 as '0.weight', not \(2, 3\) of floats"),
        ({"0.bias": torch.zeros(2, dtype=torch.int64)}, r"have \(2,\) of int64 as '0.bias'"),
    ],
)
def test_tensors_of_another_network_are_refused(change: dict[str, torch.Tensor | None], message: str) -> None:
    network = Network((3, 2, 1))
    tensors = {**named_tensors(network, torch.zeros(network.parameters)), **change}
    with pytest.raises(StoreError, match=message):
        flat_parameters(network, {k: v for k, v in tensors.items() if v is not None})


@pytest.mark.parametrize(("law", "numerator"), [("glorot_normal", 2), ("kaiming_normal", 2)])
def test_normal_weights_have_the_deviation_that_their_authors_gave_them(law: str, numerator: int) -> None:
    """Glorot and Bengio (2010) and He et al. (2015); biases 0 where that is asked for, else PyTorch's."""
    network = Network((400, 300, 100))
    values = initial_values(network, 0, "test", weights=law, biases="zero")
    others = initial_values(network, 0, "test", weights=law)
    for layer in network.layers:
        fans = layer.inputs + layer.outputs if law == "glorot_normal" else layer.inputs
        expected = math.sqrt(numerator / fans)
        assert values[layer.weight].std().item() == pytest.approx(expected, rel=0.02)
        assert abs(values[layer.weight].mean().item()) < expected / 50
        assert not values[layer.bias].view(torch.int32).any()
        assert torch.equal(others[layer.weight], values[layer.weight])
        assert torch.equal(others[layer.bias], initial_values(network, 0, "test")[layer.bias])
    assert not torch.equal(values, initial_values(network, 1, "test", weights=law, biases="zero"))

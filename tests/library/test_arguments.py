"""Masks of any type of 0 and 1, the same in every function; and one sentence for each argument that means nothing."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import ltsm
from ltsm.errors import UsageError

FORMS = {
    "bool": lambda mask: mask,
    "uint8": lambda mask: mask.to(torch.uint8),
    "int64": lambda mask: mask.long(),
    "float32": lambda mask: mask.float(),
    "float64": lambda mask: mask.double(),
    "bfloat16": lambda mask: mask.bfloat16(),
    "numpy bool": lambda mask: mask.numpy(),
    "numpy int": lambda mask: mask.numpy().astype(int),
    "numpy backwards": lambda mask: np.ascontiguousarray(mask.numpy()[::-1])[::-1],
}


@pytest.fixture
def pair():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return model, {n: t + 0.1 * torch.randn(t.shape) for n, t in model.state_dict().items()}


@pytest.fixture
def found(pair, images):
    return ltsm.find_supermask(*pair, images)


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_of_0_and_1_is_one_in_every_function(pair, found, tmp_path, form):
    mask = {name: FORMS[form](flags) for name, flags in found.mask.items()}
    frozen, applied = copy.deepcopy(pair[0]), copy.deepcopy(pair[0])
    with ltsm.frozen_zeros(frozen, mask, torch.optim.SGD(frozen.parameters(), 0.1)):
        pass
    ltsm.make_permanent(ltsm.apply_mask(applied, mask))
    for module in (frozen, applied):
        assert all(torch.equal(t, found.state[n]) for n, t in module.state_dict().items())
    ltsm.save_ticket(ltsm.ticket_of(found).__class__(mask=mask, initial=found.state), tmp_path / "t.ticket")
    back = ltsm.load_ticket(tmp_path / "t.ticket")
    assert all(torch.equal(back.mask[n], flags) for n, flags in found.mask.items())


@pytest.mark.parametrize("value", [3, 0.5, -1, torch.nan])
def test_a_mask_of_other_values_is_refused_in_every_function(pair, found, tmp_path, value):
    """It would multiply the weights."""
    model = copy.deepcopy(pair[0])
    mask = {name: flags.double() * value for name, flags in found.mask.items()}
    ticket = ltsm.ticket_of(found).__class__(mask=mask, initial=found.state)
    sgd = torch.optim.SGD(model.parameters(), 0.1)
    calls = [
        lambda: ltsm.frozen_zeros(model, mask, sgd).__enter__(),
        lambda: ltsm.apply_mask(model, mask),
        lambda: ltsm.save_ticket(ticket, tmp_path / "t.ticket"),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="holds other values than 0 and 1"):
            call()
    assert all(torch.equal(t, pair[0].state_dict()[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize(
    "value", [0.05, np.float32(0.05), torch.tensor(0.05), nn.Parameter(torch.tensor([0.05]))]
)
def test_a_number_may_be_numpys_or_torchs(pair, images, value):
    """A parameter's, too, without torch's warning that its gradient is lost."""
    found = ltsm.find_supermask(*pair, images, thresholds=[value])
    assert found.selected.amount == pytest.approx(0.05)


def test_a_parameter_that_is_replaced_meanwhile_is_followed(pair, found, images):
    """Its zeros are zeros, and its gradient's, as the first one's were."""
    model = copy.deepcopy(pair[0])
    flags = found.mask["0.weight"]
    with ltsm.frozen_zeros(model, found.mask, torch.optim.SGD(model.parameters(), 0.1)):
        model[0].weight = nn.Parameter(torch.ones(8, 6))
        sgd = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        with ltsm.frozen_zeros(model, {"2.weight": found.mask["2.weight"]}, sgd):
            pass
    assert not model[0].weight[~flags].any()
    model = copy.deepcopy(pair[0])
    sgd = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    with ltsm.frozen_zeros(model, found.mask, sgd):
        model[0].weight = nn.Parameter(torch.ones(8, 6))
        sgd.add_param_group({"params": [model[0].weight]})
        for _ in range(5):
            sgd.zero_grad()
            nn.functional.cross_entropy(model(images[0]), images[1]).backward()
            sgd.step()
            assert not model[0].weight[~flags].any()
        assert not model[0].weight.grad[~flags].any()
    assert (model[0].weight[flags] != 1).all()


def test_a_parameter_that_goes_meanwhile_is_named(pair, found):
    model = copy.deepcopy(pair[0])
    sgd = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(UsageError, match=r"'0\.weight' has gone"), ltsm.frozen_zeros(model, found.mask, sgd):
        model[0].weight = nn.Parameter(torch.ones(1, 1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mask": "foo"}, "mask must be all or weights, not 'foo'"),
        ({"mask": None}, "mask must be all or weights"),
        ({"activation": "cosine"}, "activation must be relu or tanh or gelu"),
        ({"thresholds": [0.1, float("nan")]}, "each of thresholds must be a number, not nan"),
        ({"thresholds": [0.1, float("inf")]}, "finite numbers"),
        ({"thresholds": []}, "at least one"),
        ({"thresholds": "0.1"}, "thresholds must be numbers, not '0.1'"),
        ({"thresholds": 0.1}, r"thresholds must be numbers, not 0\.1"),
        ({"select": (0.1,)}, "select must be two numbers"),
        ({"select": (0.1, float("nan"))}, "select must be a number, not nan"),
        ({"select": ("low", 0.1)}, "select must be a number, not 'low'"),
        ({"select": (0.3, 0.1)}, "no threshold lies in"),
        ({"by": "fraction", "select": (2, 3)}, "no fraction lies in"),
        ({"amounts": [0.1], "thresholds": [0.2]}, "two names of one argument"),
        ({"only": "Linear"}, "only must be a kind of layer"),
        ({"only": (nn.Linear, 3)}, "only must be a kind of layer"),
        ({"loss": 3}, "loss must be a function"),
        ({"model": "net"}, "model must be a torch.nn.Module, not str"),
    ],
)
def test_an_argument_of_find_supermask_that_means_nothing(pair, images, arguments, words):
    with pytest.raises(UsageError, match=words):
        ltsm.find_supermask(*pair, images, **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2.5}, "seed must be a whole number"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"order": ["file"]}, "order must be file or shuffled"),
        ({"optimiser": "sgd"}, "optimiser must be a function"),
        ({"loss": "cross entropy"}, "loss must be a function, not str"),
        ({"model": 3}, "model must be a torch.nn.Module, not int"),
        ({"supermask": None}, "supermask must be what find_supermask or prune gives"),
    ],
)
def test_an_argument_of_train_ticket_that_means_nothing(found, images, arguments, words):
    train = partial(ltsm.train_ticket, training=images, iterations=2)
    with pytest.raises(UsageError, match=words):
        train(**{"supermask": found, **arguments})

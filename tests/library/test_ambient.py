"""Torch's own state, set by the program around: it changes no result, and is as before afterwards."""

from __future__ import annotations

import contextlib
import copy
from functools import partial

import pytest
import torch
from torch import nn

import ltsm
from ltsm.core import sparse_library
from ltsm.library.ticket_evaluation import evaluate_ticket


@contextlib.contextmanager
def setting(set_it, value, back):
    set_it(value)
    try:
        yield
    finally:
        set_it(back)


AROUND = {
    "float64": lambda: setting(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16": lambda: setting(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "float16": lambda: setting(torch.set_default_dtype, torch.float16, torch.float32),
    "device": lambda: setting(torch.set_default_device, "meta", None),
    "a device's block": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast to float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "deterministic": lambda: setting(torch.use_deterministic_algorithms, True, False),
    "threads": lambda: setting(torch.set_num_threads, 3, 1),
    "precision": lambda: setting(torch.set_float32_matmul_precision, "medium", "highest"),
    "generator": lambda: setting(torch.manual_seed, 99, 0),
    "denormals": lambda: setting(torch.set_flush_denormal, True, False),
}


def ambient():
    """All of torch's state that this file sets, as values."""
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        torch.get_rng_state().numpy().tobytes(),
    )


class Drawing(nn.Module):
    """A network that draws at random as it trains, and makes tensors without saying of which type."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(6, 9), nn.Dropout(0.3), nn.Linear(9, 3)

    def forward(self, images):
        return self.last(self.drop(torch.relu(self.first(images * torch.ones(6)))))


def plain():
    return nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))


@pytest.fixture(params=[plain, Drawing])
def pair(request, images):
    """Initial weights, and a network that a plain loop has trained."""
    torch.manual_seed(2)
    model = request.param()
    initial = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[0]), images[1]).backward()
        optimiser.step()
    return initial, model


def everything(pair, images):
    """A supermask and two tickets of it, by our training and by an optimiser of the caller's, with all their numbers."""
    found = ltsm.find_supermask(*pair, images)
    train = partial(ltsm.train_ticket, found, images, images, iterations=20, batch_size=50, record_every=10)
    tickets = [train(), train(optimiser=partial(torch.optim.SGD, lr=0.1, momentum=0.9))]
    numbers = [found.results, *((t.records[0].val_loss, *t.records[1:]) for t in tickets)]
    states = [found.state, found.scores, found.mask, *(t.trained for t in tickets)]
    achieved = [evaluate_ticket(t, images, pair[1]) for t in tickets]
    return numbers, [t for state in states for t in state.values()], achieved


@pytest.mark.parametrize("around", AROUND)
def test_nothing_around_changes_a_result_or_is_changed(pair, images, around):
    """Every number and every tensor of a supermask and its tickets is the same, bit for bit."""
    numbers, tensors, achieved = everything(pair, images)
    with AROUND[around]():
        before = ambient()
        found = everything(pair, images)
        assert ambient() == before
    assert found[0] == numbers
    assert found[2] == achieved
    pairs = zip(found[1], tensors, strict=True)
    assert all(a.dtype == b.dtype and a.device == b.device and torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("around", AROUND)
def test_zeros_stay_zeros_and_files_come_back(pair, images, tmp_path, around):
    """frozen_zeros, the masks of torch.nn.utils.prune, and ticket files."""
    found = ltsm.find_supermask(*pair, images)
    with AROUND[around]():
        ltsm.save_ticket(ltsm.ticket_of(found), tmp_path / "a.ticket")
        again = ltsm.load_ticket(tmp_path / "a.ticket")
        model = copy.deepcopy(pair[1])
        with ltsm.frozen_zeros(model, again.mask, torch.optim.SGD(model.parameters(), lr=0.1)):
            pass
        applied = ltsm.read_mask(ltsm.apply_mask(copy.deepcopy(pair[1]), again.mask))
    assert all(torch.equal(again.initial[n], t) for n, t in found.state.items())
    assert all(torch.equal(applied[n], t) for n, t in found.mask.items())
    parameters = dict(model.named_parameters())
    assert all(not parameters[n][~flags].any() for n, flags in found.mask.items())


def test_a_ticket_is_a_function_of_its_seed(pair, images):
    """Also of a network that draws at random, on whatever generator the program has left behind."""
    found = ltsm.find_supermask(*pair, images)
    sgd = partial(torch.optim.SGD, lr=0.1)
    train = partial(ltsm.train_ticket, found, images, iterations=6, batch_size=50, optimiser=sgd)
    first, again, other = (train(seed=seed).trained["last.weight" if isinstance(pair[1], Drawing) else "2.weight"] for seed in (1, 1, 2))  # fmt: skip
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "values",
    [
        torch.zeros(4, dtype=torch.float64),
        torch.zeros(4, dtype=torch.bfloat16),
        torch.zeros(4, 2)[:, 0],
        torch.zeros(5),
        torch.zeros(4, device="meta"),
        torch.zeros(4).numpy()[::-1],
    ],
    ids=["float64", "bfloat16", "strided", "too many", "meta", "backwards"],
)
def test_the_kernel_is_handed_nothing_that_it_would_misread(values):
    """It looks at no type, and would read, or write, whatever lies there."""
    with pytest.raises(TypeError, match="the kernel expects 4 contiguous float32"):
        sparse_library.address(values, "float32", 4)

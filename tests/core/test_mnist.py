"""The paper's network on the paper's data, as far as seconds allow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from ltsm.core.criteria import CRITERIA, Values
from ltsm.core.datasets import Dataset, load_dataset, missing
from ltsm.core.engine import choose_engine
from ltsm.core.masking import choose, evaluate_masks, masks
from ltsm.core.network import Network, initial_values, named_tensors
from ltsm.core.state import fresh_state
from ltsm.core.training import advance
from ltsm.protocol import PAPER

ROOT = Path(__file__).parents[2]
NETWORK = Network((784, *PAPER.hidden, 10))

pytestmark = [pytest.mark.mnist, pytest.mark.usefixtures("each_engine")]


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    named = os.environ.get("LTSM_DATA")
    places = [Path(named)] if named else [ROOT / "data", ROOT.parent / "shared" / "data"]
    place = next((place for place in places if not missing("mnist", place)), None)
    if place is None:
        pytest.skip(f"MNIST is in none of {', '.join(map(str, places))}")
    return load_dataset("mnist", place)


def test_100_iterations_agree_with_autograd_and_torchs_adam_in_float64(mnist: Dataset) -> None:
    """Training losses and every tensor to 10⁻⁴ of its norm; the order of images is a loader's without shuffling."""
    initial = initial_values(NETWORK, 0, "test")
    every = PAPER.changed(record_every=100)
    trained, records = advance(mnist, every, fresh_state(NETWORK, (0,), initial[None]), 100)
    model = nn.Sequential(
        nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 30), nn.ReLU(), nn.Linear(30, 10)
    ).double()
    model.load_state_dict(named_tensors(NETWORK, initial))
    adam = torch.optim.Adam(model.parameters(), lr=0.0012)
    losses = []
    for first in range(0, 6_000, 60):
        images, labels = mnist.train_images[first : first + 60], mnist.train_labels[first : first + 60]
        loss = nn.functional.cross_entropy(model(images.double()), labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert records[-1].train_loss[0] == pytest.approx(sum(losses) / 100, rel=1e-4)
    for name, tensor in named_tensors(NETWORK, trained.parameters[0]).items():
        expected = model.state_dict()[name]
        assert (tensor - expected).norm() <= 1e-4 * expected.norm()


def test_a_briefly_trained_network_has_a_supermask_that_beats_chance(mnist: Dataset) -> None:
    """Section 3.4's finding in small: untrained, but masked, the network knows something."""
    initial = initial_values(NETWORK, 0, "test")
    start = fresh_state(NETWORK, (0,), initial[None])
    trained, records = advance(mnist, PAPER, start, 400)
    assert records[0].val_accuracy[0] < 0.2
    assert records[-1].val_accuracy[0] > 0.9
    kept = masks(NETWORK, CRITERIA["sign"], Values(trained.parameters[0], initial), PAPER.thresholds)
    candidates = list(zip(PAPER.thresholds, kept, strict=True))
    engine = choose_engine(mnist, NETWORK, PAPER)
    results = evaluate_masks(engine, NETWORK, candidates, lambda mask: initial.where(mask, 0.0))
    best = choose(PAPER.thresholds, [result.val_accuracy for result in results], PAPER.selectable)
    assert results[best].val_accuracy > records[0].val_accuracy[0] + 0.1

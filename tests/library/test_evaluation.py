"""Evaluation through the module: every threshold's values are made once, and no forward pass leaves a trace."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import ltsm
from ltsm.library import batches, evaluation, masked, outputs

SEEN: list[torch.Tensor] = []


class Writing(nn.Module):
    """Its forward pass writes to a buffer and to a parameter that no mask covers, and uses both."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.norm, self.fc = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        SEEN.append(self.fc.weight)
        with torch.no_grad():
            self.calls.add_(1)
            self.norm.bias.add_(1)
        return self.fc(self.norm(images) * self.calls)


@pytest.fixture
def pair():
    torch.manual_seed(6)
    model = Writing()
    after = copy.deepcopy(model)
    with torch.no_grad():
        after.fc.weight.add_(0.3 * torch.randn(3, 6))
    return model, after


def find(pair, images, size):
    """Through a generator of batches, which gives them only once."""
    SEEN.clear()
    batches = zip(images[0].split(size), images[1].split(size), strict=True)
    return ltsm.find_supermask(*pair, batches, thresholds=[-0.1, 0.0, 0.1], only=nn.Linear)


@pytest.fixture
def made(monkeypatch):
    """How often masked values are worked out."""
    calls = []
    worked_out = masked.masked_state
    monkeypatch.setattr(masked, "masked_state", lambda *a: calls.append(1) or worked_out(*a))
    return calls


def test_masked_values_are_made_once_for_all_batches(pair, images, made):
    """Three thresholds, the chosen one, and the whole network twice; each forward pass of a batch gets copies of its own."""
    find(pair, images, 20)
    assert len(SEEN) == 60
    assert len({id(weight) for weight in SEEN}) == 60
    assert len(made) == 3 + 1


def test_without_the_memory_for_that_they_are_made_for_each_batch(pair, images, monkeypatch, made):
    """To the same numbers, and no forward pass sees what another one wrote."""
    kept = find(pair, images, 20)
    monkeypatch.setattr(evaluation, "MEMORY", 3 * 18 * 4 - 1)
    made.clear()
    again = find(pair, images, 20)
    assert len(made) == 36 + 1
    assert again.results == kept.results
    whole = find(pair, images, 240)
    assert [r.val_accuracy for r in whole.results] == [r.val_accuracy for r in kept.results]
    assert [r.val_loss for r in whole.results] == pytest.approx([r.val_loss for r in kept.results])


def test_a_batch_may_be_of_one_image(pair, images):
    few = tuple(t[:30] for t in images)
    alone, together = find(pair, few, 1), find(pair, few, 30)
    assert [r.val_accuracy for r in alone.results] == [r.val_accuracy for r in together.results]
    assert [r.val_loss for r in alone.results] == pytest.approx([r.val_loss for r in together.results])


@pytest.mark.parametrize(
    ("network", "shape"), [(nn.Linear(9, 3), (2, 16)), (nn.Conv2d(3, 2, 1), (2, 1, 4, 4))]
)
def test_images_that_fit_in_no_shape_keep_the_one_that_the_error_is_about(network, shape):
    """A matrix takes rows, other first parameters take whole images."""
    data = SimpleNamespace(
        train_images=torch.zeros(2, 16), train_labels=torch.zeros(2), image_shape=(1, 4, 4)
    )
    assert evaluation.as_taken(network, data, "train")[0].shape == shape


def test_losses_are_summed_in_double_precision():
    """Beside a large one a small one would be lost in single precision: a whole data set's loss, bit by bit."""
    logits, labels = torch.tensor([[0.0, -(2.0**25)], [0.0, 0.0]]), torch.tensor([1, 1])
    batch = batches.Pair(logits, labels, labels)
    assert outputs.lost(logits, batch, outputs.default_loss) == pytest.approx(2**25 + math.log(2), abs=1e-6)

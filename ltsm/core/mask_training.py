"""What the training of a mask is made of: scores before it, masks from scores, networks from masks, rates and draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ltsm.core.batches import Batches
from ltsm.core.draws import draws, key
from ltsm.core.learned import METHODS, SCHEDULES, probabilities
from ltsm.core.masking import covered_by
from ltsm.core.streams import uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ltsm.core.draws import Words
    from ltsm.core.learned import Method
    from ltsm.core.network import Layer, Network
    from ltsm.protocol import Order
    from ltsm.studies.recipe import Draw, Learned

MASK, SCORES, SAMPLE = "learned mask", "learned mask scores", "learned mask sample"
"""Purposes of random streams: masks that are trained with, initial scores, and masks that are evaluated."""

BINS = 20
"""Of a histogram of probabilities."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a mask is trained, from its first iteration to its last.

    Attributes:
        learned: the method and its settings.
        images: how many train.
        order: of the images in an epoch.
        iterations: how long in all, which is what a schedule goes by.
        draw: what tells its random numbers from those of another with the same settings.
    """

    learned: Learned
    images: int
    order: Order
    iterations: int
    draw: Draw = ()

    @property
    def method(self) -> Method:
        """What makes masks of scores."""
        return METHODS[self.learned.method]

    @property
    def batches(self) -> Batches:
        """Which images each iteration has."""
        return Batches(self.images, self.learned.batch_size, self.order)

    def rate(self, iteration: int) -> float:
        """The learning rate of the step after this iteration."""
        batches = self.batches
        epochs = -(-self.iterations // batches.per_epoch)
        return self.learned.lr * SCHEDULES[self.learned.schedule](batches.epoch(iteration), epochs)

    def key(self, seed: int, iteration: int) -> Words:
        """(2,) what the mask of this iteration is drawn by."""
        return key(seed, MASK, *self.draw, iteration)

    def scored(self, network: Network) -> Tensor:
        """(P,) bool: on which parameters a score decides."""
        return covered_by(network, self.learned.covers)

    def sample(self, network: Network, scores: Tensor, seed: int, iteration: int, number: int) -> Tensor:
        """(P,) a mask drawn to be evaluated after so many iterations."""
        drawn = draws(network, key(seed, SAMPLE, *self.draw, iteration, number))
        return mask_of(network, self.learned, scores, drawn)


def first_scores(network: Network, learned: Learned, seed: int, draw: Draw = ()) -> Tensor:
    """(P,) scores before any training."""
    drawn = torch.from_numpy(uniform(seed, SCORES, *draw, *network.sizes, count=network.parameters))
    first = METHODS[learned.method].first
    return torch.cat([first(drawn[layer.parameters], layer.inputs) for layer in network.layers])


def scored(layer: Layer, learned: Learned) -> slice:
    """Which of a layer's parameters a score decides on; the rest is always kept."""
    return layer.weight if learned.covers == "weights" else layer.parameters


def mask_of(network: Network, learned: Learned, scores: Tensor, drawn: Tensor | None = None) -> Tensor:
    """(P,) bool: the mask that scores (P,) make of numbers drawn from (0, 1), or the one that stands for all of them."""
    method, kept = METHODS[learned.method], torch.ones_like(scores, dtype=torch.bool)
    for layer in network.layers:
        part = scored(layer, learned)
        kept[part] = method.mask(scores[part], learned.keep, None if drawn is None else drawn[part])
    return kept


def histogram(network: Network, learned: Learned, scores: Tensor) -> tuple[int, ...]:
    """How many of the scored parameters are kept with a probability in each twentieth of 0 … 1; none where no mask is drawn."""
    if not METHODS[learned.method].sampled:
        return ()
    own = probabilities(torch.cat([scores[scored(layer, learned)] for layer in network.layers]))
    return tuple(int(n) for n in torch.histc(own[~own.isnan()], BINS, 0.0, 1.0))


def factors(network: Network, learned: Learned, mask: Tensor) -> list[float]:
    """What each layer's kept weights are multiplied by; a layer that keeps nothing counts as keeping one."""
    if not learned.rescale:
        return [1.0] * len(network.layers)
    parts = [mask[layer.weight] for layer in network.layers]
    return [float((max(1, int(part.sum())) / len(part)) ** METHODS[learned.method].power) for part in parts]


def rescaled(network: Network, values: Tensor, by: Sequence[float]) -> Tensor:
    """Values (P,), each layer's weights multiplied by its factor, in place; as they are where there are no factors."""
    for layer, factor in zip(network.layers, by, strict=bool(by)):
        values[layer.weight] *= factor
    return values


def masked(network: Network, learned: Learned, values: Tensor, mask: Tensor) -> Tensor:
    """(P,) the network that a mask leaves of values (P,)."""
    return rescaled(network, values.where(mask, 0.0), factors(network, learned, mask))

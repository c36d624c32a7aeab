"""The engine for images that are mostly 0, on one processor core: a kernel in C that walks the other pixels.

C, compiled at installation (hatch_build.py), and not PyTorch's operators, by measurement: one core of an AMD
EPYC (Zen 5), MNIST (81 % of the pixels are 0), the network 784-200-30-10, batches of 60; the best of many, in µs:

|                                 | C, AVX-512 | C, AVX2 | C, SSE2 | PyTorch |
|---------------------------------|------------|---------|---------|---------|
| first layer, forward            | 23         | 35      | 70      |         |
| its gradient, and Adam          | 30         | 54      | 127     |         |
| steps put off, made up          | 4          | 7       | 14      |         |
| later layers and the loss       | 14         | 23      | 55      |         |
| a whole step                    | 74         | 123     | 272     | 491     |
| evaluation of 10,000 images, ms | 4.5        | 6.9     | 14.6    | 33      |

The bounds that AVX-512 leaves: multiplying alone takes 14 of the 23 and 16 of the 30 µs, square roots and divisions
another 10 of these. Numba 0.68 took three times as long as an earlier kernel: it keeps the sums in memory.

PyTorch's operators serve where there is no compiler, and on data denser than `DENSEST`. They take 490 µs a step at
any density; where no pixel is 0 this takes 277 (AVX2: 362, SSE2: 808).

What did not pay, measured: pairs of similar images forward, which read a row of weights once (41 µs: from the
second-level cache); narrower blocks of columns (26 µs); Adam's steps between the terms of the next gradient, or
after the gradients of several pixels (35 to 44 µs); fetching rows ahead; the three values of a parameter side by
side or at other offsets; reciprocals by Newton's method instead of divisions; pixels by number of entries in the
gradient. Not measured: several models in one walk over the images.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from ltsm.core import sparse_library
from ltsm.core.batches import Batches
from ltsm.core.records import Evaluation
from ltsm.core.remembered import remembered
from ltsm.core.sparse_library import unavailable_reason
from ltsm.core.sparse_network import MOST_IN_A_BATCH, SparseImages, SparseNetwork
from ltsm.core.state import later

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.core.network import Network
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol

__all__ = ["SparseEngine", "unavailable_reason"]

DENSEST = {"avx512": 1.0, "avx2": 0.8}
"""The largest share of non-zero pixels that each variant takes on: up to there no network measured (784 to 3,072 inputs,
batches of 60 and 200, in file order and shuffled) was slower than with PyTorch's operators."""
DENSEST_ELSEWHERE = 0.6
"""A guess: PyTorch, too, is slower on a processor without AVX2."""
MOST_PIXELS = 65_535
MOST_PIXELS_IN_A_BATCH = 2**29
MOST_LAYERS = 65


class SparseEngine:
    """See `ltsm.core.engine.Engine`.

    Models are trained one after the other. All memory that the kernel computes in is its own, so the
    addresses of the tensors that come in make no difference; it uses one thread.
    """

    name: str = f"sparse-{sparse_library.variant()}".rstrip("-")

    def __init__(self, data: Dataset, network: Network, protocol: Protocol, device: str) -> None:
        del device
        self.name = f"sparse-{sparse_library.variant()}"
        self._data, self._network, self._protocol = data, network, protocol
        self._batches = Batches(len(data.train_images), protocol.batch_size, protocol.order)
        self._training = training_images(data)
        self._loaded: TrainState | None = None
        self._models: list[SparseNetwork] = []
        self._iteration = 0
        self._orders: dict[int, tuple[int, NDArray[np.int64] | None]] = {}

    @classmethod
    def refusal(cls, data: Dataset, network: Network, protocol: Protocol, device: str) -> str:
        """Why another engine should serve this case, in words for a person; empty where this one should."""
        # an infinite second moment says what is pruned, and 0 · ∞ is no number
        if np.float32(protocol.beta2) == 0:
            return "It serves no beta2 of 0."
        return refused(data, network, min(protocol.batch_size, len(data.train_images)), device)

    def load(self, state: TrainState) -> None:
        """Take over copies of the state's tensors."""
        self._loaded, self._iteration = state, state.iteration
        self._models = [SparseNetwork(self._network, self._batches.places(0).stop) for _ in state.seeds]
        for index, model in enumerate(self._models):
            model.load(state, index)

    def train(self, until: int) -> tuple[float, ...]:
        """Go on to iteration `until`; the mean training loss of the iterations made, one per model."""
        seeds = self._loaded.seeds if self._loaded else ()
        totals = [self._trained(model, seed, until) for model, seed in zip(self._models, seeds, strict=True)]
        made, self._iteration = until - self._iteration, until
        return tuple(total / made if made else math.nan for total in totals)

    def _trained(self, model: SparseNetwork, seed: int, until: int) -> float:
        """The sum of the losses of one model's iterations up to `until`, made an epoch at a time."""
        total, iteration = 0.0, self._iteration
        while iteration < until:
            epoch = self._batches.epoch(iteration)
            order = self._order(seed, epoch)
            stop = until if order is None else min(until, (epoch + 1) * self._batches.per_epoch)
            total += model.train(self._training, order, self._protocol, iteration, stop)
            iteration = stop
        return total

    def _order(self, seed: int, epoch: int) -> NDArray[np.int64] | None:
        """The epoch's order, kept from one call of `train` to the next."""
        if self._orders.get(seed, (-1, None))[0] != epoch:
            self._orders[seed] = epoch, self._batches.epoch_order(seed, epoch)
        return self._orders[seed][1]

    def evaluate(self, on: TestSet | None = None) -> Evaluation:
        """Loss and accuracy of the models as they are, on the validation set or `on` a test set."""
        return _evaluation([model.evaluate(self._images(on)) for model in self._models])

    def evaluate_parameters(self, parameters: Tensor, on: TestSet | None = None) -> Evaluation:
        """The same of any parameters (models, P) of the network's shape."""
        model, images = SparseNetwork(self._network, 1), self._images(on)
        rows = [row.to("cpu", torch.float32).contiguous() for row in parameters]
        return _evaluation([model.evaluate_parameters(row, images) for row in rows])

    def _images(self, on: TestSet | None) -> SparseImages:
        return _validation_images(self._data) if on is None else _test_images(on)

    def state(self) -> TrainState:
        """The models as they are, in memory of their own, on the CPU."""
        if self._loaded is None:
            raise RuntimeError("load() comes first")
        tensors = torch.stack([model.tensors() for model in self._models], 1)
        return later(self._loaded, self._iteration, [tensor.clone() for tensor in tensors])


def refused(data: Dataset, network: Network, batch: int, device: str) -> str:
    """Why the kernel does not serve such a network, batch or data, in words; empty where it does."""
    if device != "cpu":
        return f"It runs on the CPU, not on {device}."
    unwanted = (
        "PyTorch's own operators were asked for." if sparse_library.variant() == sparse_library.NONE else ""
    )
    if reason := unavailable_reason() or unwanted:
        return reason
    if network.sizes[0] > MOST_PIXELS or len(network.sizes) - 1 > MOST_LAYERS:
        return f"It serves up to {MOST_PIXELS:,} inputs and {MOST_LAYERS} layers."
    if batch > MOST_IN_A_BATCH or batch * network.sizes[0] > MOST_PIXELS_IN_A_BATCH:
        return f"It serves batches of up to {MOST_IN_A_BATCH:,} images, {MOST_PIXELS_IN_A_BATCH:,} pixels."
    densest = DENSEST.get(sparse_library.variant(), DENSEST_ELSEWHERE)
    if (share := _share_of_nonzero(data)) > densest:
        return f"{share:.0%} of the pixels are not 0: it is the faster one up to {densest:.0%}."
    return ""


def _evaluation(found: list[tuple[float, float]]) -> Evaluation:
    return Evaluation(tuple(loss for loss, _ in found), tuple(accuracy for _, accuracy in found))


# Every segment of every run uses the same data set.
@remembered
def training_images(data: Dataset) -> SparseImages:
    """The training set in the kernel's memory."""
    return SparseImages(data.train_images, data.train_labels)


@remembered
def _validation_images(data: Dataset) -> SparseImages:
    return SparseImages(data.validation_images, data.validation_labels)


@remembered
def _test_images(test: TestSet) -> SparseImages:
    return SparseImages(test.images, test.labels)


@remembered
def _share_of_nonzero(data: Dataset) -> float:
    return data.train_images.count_nonzero().item() / max(1, data.train_images.numel())

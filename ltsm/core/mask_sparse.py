"""The engine that trains masks on images that are mostly 0, on one processor core: the kernel in C, see `sparse_engine`."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ltsm.core import sparse_library
from ltsm.core.learned import kept_of
from ltsm.core.sparse_engine import refused, training_images
from ltsm.core.sparse_library import address
from ltsm.core.sparse_network import kernel, made

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltsm.core.datasets import Dataset
    from ltsm.core.mask_state import MaskState
    from ltsm.core.mask_training import Course
    from ltsm.core.network import Network

METHODS = ("bernoulli", "edge_popup")
"""In the order of the kernel's numbers for them."""
MOST_WEIGHTS = 2**31 - 1
"""Of a layer: the kernel numbers them."""


class SparseMaskEngine:
    """See `ltsm.core.mask_engine.MaskEngine`."""

    name: str = f"sparse-mask-{sparse_library.variant()}".rstrip("-")

    def __init__(self, data: Dataset, network: Network, course: Course, device: str) -> None:
        del device
        self.name = f"sparse-mask-{sparse_library.variant()}"
        self._network, self._course, self._images = network, course, training_images(data)
        self._images.check(network)
        sizes = np.array(network.sizes, dtype=np.int64)
        size = course.batches.places(0).stop
        self._kernel = kernel()
        self._handle = made(self._kernel.sparse_learner_new(len(sizes) - 1, address(sizes, "int64"), size))
        weakref.finalize(self, self._kernel.sparse_learner_free, self._handle)
        self._order: tuple[tuple[int, int], NDArray[np.int64] | None] = ((-1, -1), None)

    @classmethod
    def refusal(cls, data: Dataset, network: Network, course: Course, device: str) -> str:
        """Why another engine should serve this case, in words for a person; empty where this one should."""
        learned = course.learned
        if reason := refused(data, network, min(learned.batch_size, course.images), device):
            return reason
        if network.activation != "relu" or learned.covers != "weights" or learned.method not in METHODS:
            return f"It learns masks of weights, by {' and '.join(METHODS)}, in networks with ReLU."
        counts = [layer.inputs * layer.outputs for layer in network.layers]
        if max(counts) > MOST_WEIGHTS or not min(kept_of(count, learned.keep) for count in counts):
            return f"It serves layers of up to {MOST_WEIGHTS:,} weights, of which one at least is kept."
        return ""

    def load(self, state: MaskState) -> None:
        """Take over copies of the state's tensors."""
        self._loaded, self._iteration = state, state.iteration
        tensors = (state.values, state.scores, state.momentum)
        where = [address(tensor, "float32", self._network.parameters) for tensor in tensors]
        self._kernel.sparse_learner_load(self._handle, *where)

    def train(self, until: int) -> float:
        """Go on to iteration `until`; the mean training loss of the iterations made, each of the mask it was made with."""
        total, began, batches = 0.0, self._iteration, self._course.batches
        while self._iteration < until:
            epoch = batches.epoch(self._iteration)
            order = self._epoch_order(epoch)
            stop = until if order is None else min(until, (epoch + 1) * batches.per_epoch)
            total += self._trained(order, stop)
            self._iteration = stop
        return total / (until - began) if until > began else math.nan

    def _trained(self, order: NDArray[np.int64] | None, stop: int) -> float:
        """The sum of the losses of the iterations up to `stop`, all of one epoch if there is an order."""
        learned, method, steps = self._course.learned, self._course.method, range(self._iteration, stop)
        power = method.power if learned.rescale else 0.0
        through = float(learned.rescale and method.through)
        hyper = np.array([learned.momentum, learned.decay, power, through])
        rates = np.array([self._course.rate(step) for step in steps])
        keys = np.stack([self._course.key(self._loaded.seed, step) for step in steps])
        kept = np.array(
            [kept_of(layer.inputs * layer.outputs, learned.keep) for layer in self._network.layers]
        )
        loss = np.zeros(1)
        batch = (self._images.handle, address(order, "int64", self._images.count), learned.batch_size)
        how = [address(part, "float64") for part in (hyper, rates)]
        with self._images.lock:
            made(
                self._kernel.sparse_learner_train(
                    self._handle, *batch, steps.start, steps.stop, METHODS.index(learned.method), *how,
                    address(keys, "uint32"), address(kept, "int64"), address(loss, "float64"),
                )
            )  # fmt: skip
        return float(loss[0])

    def _epoch_order(self, epoch: int) -> NDArray[np.int64] | None:
        """The epoch's order, kept from one call of `train` to the next."""
        if self._order[0] != (which := (self._loaded.seed, epoch)):
            self._order = which, self._course.batches.epoch_order(*which)
        return self._order[1]

    def state(self) -> MaskState:
        """The state as it is, in memory of its own, on the CPU."""
        scores, momentum = self._loaded.scores.clone(), self._loaded.momentum.clone()
        where = [address(tensor, "float32", self._network.parameters) for tensor in (scores, momentum)]
        self._kernel.sparse_learner_state(self._handle, *where)
        return replace(self._loaded, iteration=self._iteration, scores=scores, momentum=momentum)

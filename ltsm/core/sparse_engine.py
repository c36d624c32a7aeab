"""The engine for images that are mostly 0, on one processor core: a kernel in C that walks the other pixels.

C, compiled at installation (hatch_build.py), and not Numba, by measurement: one core of an AMD EPYC (Zen 4),
MNIST (81 % of the pixels are 0), the network 784-200-30-10, batches of 60; the best of many, in µs:

|                                 | Numba 0.68 | C, AVX-512 | C, AVX2 | C, SSE2 | PyTorch |
|---------------------------------|------------|------------|---------|---------|---------|
| first layer, forward            | 154        | 57         |         |         |         |
| its gradient, and Adam          | 272        | 86         |         |         |         |
| a whole step                    |            | 178        | 205     | 477     | 680     |
| evaluation of 10,000 images, ms |            | 10.7       | 13.3    | 28.5    | 43      |
| to import and compile, s        | 2.9        | 0          | 0       | 0       |         |

Numba's loops are the same but for the sums, which it keeps in memory: it cannot be told how many registers
there are. It would also bring LLVM into every installation. PyTorch's operators, which serve where there is
no compiler, catch up where more than about three pixels in five are not 0 (`DENSEST`).

What did not pay: tiles of pixels that fit the first-level cache (the branches cost what the cache saves),
fetching rows ahead, reciprocal square roots by Newton's method (the divider works beside the multipliers),
and several models in one walk over the images (their weights would not fit the second-level cache).
"""

from __future__ import annotations

import math
import threading
import weakref
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from ltsm.core import sparse_library
from ltsm.core.batches import Batches
from ltsm.core.records import Evaluation
from ltsm.core.sparse_library import address, unavailable_reason
from ltsm.errors import DataError

if TYPE_CHECKING:
    import ctypes

    from numpy.typing import NDArray
    from torch import Tensor

    from ltsm.core.datasets import Dataset
    from ltsm.core.network import Network
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol

__all__ = ["SparseEngine", "unavailable_reason"]

DENSEST = 0.6
"""The largest share of non-zero pixels at which this engine is faster than PyTorch's operators, see above."""
MOST_PIXELS = 65_535
MOST_IN_A_BATCH = 65_535
MOST_PIXELS_IN_A_BATCH = 2**29
MOST_LAYERS = 65
SEARCHED = 2_048
"""Among how many images each gets a similar neighbour; a longer search costs more than it saves."""
ACTIVATIONS = ("relu", "tanh", "gelu")
"""In the order of the kernel's numbers for them."""


class SparseEngine:
    """See `ltsm.core.engine.Engine`.

    Models are trained one after the other. All memory that the kernel computes in is its own, so the
    addresses of the tensors that come in make no difference; it uses one thread.
    """

    name: ClassVar[str] = f"sparse-{sparse_library.variant()}".rstrip("-")

    def __init__(self, data: Dataset, network: Network, protocol: Protocol, device: str) -> None:
        del device
        self._data, self._network, self._protocol = data, network, protocol
        self._batches = Batches(len(data.train_images), protocol.batch_size, protocol.order)
        self._training = _training_images(
            data, self._batches.places(0).stop if protocol.order == "file" else 1
        )
        self._loaded: TrainState | None = None
        self._models: list[_Model] = []
        self._iteration = 0

    @classmethod
    def refusal(cls, data: Dataset, network: Network, protocol: Protocol, device: str) -> str:
        """Why another engine should serve this case, in words for a person; empty where this one should."""
        if device != "cpu":
            return f"It runs on the CPU, not on {device}."
        if reason := unavailable_reason():
            return reason
        if network.sizes[0] > MOST_PIXELS or len(network.sizes) - 1 > MOST_LAYERS:
            return f"It serves up to {MOST_PIXELS:,} inputs and {MOST_LAYERS} layers."
        batch = min(protocol.batch_size, len(data.train_images))
        if batch > MOST_IN_A_BATCH or batch * network.sizes[0] > MOST_PIXELS_IN_A_BATCH:
            return (
                f"It serves batches of up to {MOST_IN_A_BATCH:,} images, {MOST_PIXELS_IN_A_BATCH:,} pixels."
            )
        if (share := _share_of_nonzero(data)) > DENSEST:
            return f"{share:.0%} of the pixels are not 0: it is the faster one up to {DENSEST:.0%}."
        return ""

    def load(self, state: TrainState) -> None:
        """Take over copies of the state's tensors."""
        self._loaded, self._iteration = state, state.iteration
        self._models = [_Model(self._network, self._batches.places(0).stop) for _ in state.seeds]
        for index, model in enumerate(self._models):
            model.load(state, index)

    def train(self, until: int) -> tuple[float, ...]:
        """Go on to iteration `until`; the mean training loss of the iterations made, one per model."""
        seeds = self._loaded.seeds if self._loaded else ()
        totals = [self._trained(model, seed, until) for model, seed in zip(self._models, seeds, strict=True)]
        made, self._iteration = until - self._iteration, until
        return tuple(total / made if made else math.nan for total in totals)

    def _trained(self, model: _Model, seed: int, until: int) -> float:
        """The sum of the losses of one model's iterations up to `until`, made an epoch at a time."""
        total, iteration = 0.0, self._iteration
        while iteration < until:
            epoch = self._batches.epoch(iteration)
            order = self._batches.epoch_order(seed, epoch)
            stop = until if order is None else min(until, (epoch + 1) * self._batches.per_epoch)
            total += model.train(self._training, order, self._protocol, iteration, stop)
            iteration = stop
        return total

    def evaluate(self) -> Evaluation:
        """Loss and accuracy of the models as they are."""
        return _evaluation([model.evaluate(_validation_images(self._data)) for model in self._models])

    def evaluate_parameters(self, parameters: Tensor) -> Evaluation:
        """Loss and accuracy of any parameters (models, P) of the network's shape."""
        model, images = _Model(self._network, 1), _validation_images(self._data)
        rows = [row.to("cpu", torch.float32).contiguous() for row in parameters]
        return _evaluation([model.evaluate_parameters(row, images) for row in rows])

    def state(self) -> TrainState:
        """The models as they are, in memory of their own, on the CPU."""
        if self._loaded is None:
            raise RuntimeError("load() comes first")
        tensors = torch.stack([model.tensors() for model in self._models], 1)
        if self._loaded.masks is not None:
            tensors = torch.where(self._loaded.masks, tensors, 0.0)
        parameters, first_moment, second_moment = tensors.unbind()
        return replace(
            self._loaded,
            iteration=self._iteration,
            parameters=parameters.clone(),
            first_moment=first_moment.clone(),
            second_moment=second_moment.clone(),
        )


class _Images:
    """Labelled images as the kernel keeps them: the non-zero pixels, and the batches made of them.

    Args:
        images: (n, features), float32.
        labels: (n,), int64.
        window: within every so many images, similar ones are made neighbours.
    """

    def __init__(self, images: Tensor, labels: Tensor, window: int) -> None:
        kernel, dense, truth = _kernel(), images.contiguous(), labels.contiguous()
        self.handle = _made(kernel.sparse_images_new(address(dense), address(truth), *dense.shape, window))
        self.pixels = images.shape[1]
        self.classes = range(int(labels.min()), int(labels.max()) + 1)
        self.lock = threading.Lock()
        """Held while the kernel uses the images: it makes batches as it goes."""
        weakref.finalize(self, kernel.sparse_images_free, self.handle)

    def check(self, network: Network) -> None:
        """Nothing, where the network is for these images: the kernel does not look, and would write anywhere.

        Raises:
            DataError: it has other inputs than the images have pixels, or not all their classes.
        """
        if (
            self.pixels != network.sizes[0]
            or not 0 <= self.classes[0] <= self.classes[-1] < network.sizes[-1]
        ):
            raise DataError(
                f"images of {self.pixels} pixels with labels {self.classes[0]} to {self.classes[-1]} "
                f"do not fit a network of {network.sizes[0]} inputs and {network.sizes[-1]} classes."
            )


class _Model:
    """One network in the kernel's own memory.

    Args:
        network: its shape.
        batch: how many images a batch has at most.
    """

    def __init__(self, network: Network, batch: int) -> None:
        self._kernel, self._network = _kernel(), network
        sizes = np.array(network.sizes, dtype=np.int64)
        activation = ACTIVATIONS.index(network.activation)
        self._handle = _made(
            self._kernel.sparse_network_new(len(sizes) - 1, address(sizes), activation, batch)
        )
        weakref.finalize(self, self._kernel.sparse_network_free, self._handle)

    def load(self, state: TrainState, index: int) -> None:
        """Take over one of the state's models; a second moment of +inf tells the kernel what is pruned."""
        second_moment = state.second_moment[index]
        if state.masks is not None:
            second_moment = torch.where(state.masks[index], second_moment, math.inf)
        tensors = torch.stack([state.parameters[index], state.first_moment[index], second_moment])
        self._kernel.sparse_network_load(self._handle, *map(address, tensors), state.iteration)

    def tensors(self) -> Tensor:
        """(3, P): parameters, first and second moments; those of pruned parameters are of no meaning."""
        tensors = torch.empty(3, self._network.parameters)
        self._kernel.sparse_network_state(self._handle, *map(address, tensors))
        return tensors

    def train(
        self, images: _Images, order: NDArray[np.int64] | None, protocol: Protocol, begin: int, end: int
    ) -> float:
        """Make the iterations from `begin` to `end`, of one epoch if there is an order; the losses' sum."""
        images.check(self._network)
        hyper = np.array([protocol.lr, protocol.beta1, protocol.beta2, protocol.epsilon])
        loss, size = np.zeros(1), min(protocol.batch_size, MOST_IN_A_BATCH)
        where = (images.handle, address(order), size, begin, end)
        with images.lock:
            _made(self._kernel.sparse_network_train(self._handle, *where, address(hyper), address(loss)))
        return float(loss[0])

    def evaluate(self, images: _Images) -> tuple[float, float]:
        """Mean loss and accuracy."""
        images.check(self._network)
        found = np.zeros(2)
        with images.lock:
            _made(
                self._kernel.sparse_network_evaluate(
                    self._handle, images.handle, address(found[:1]), address(found[1:])
                )
            )
        return float(found[0]), float(found[1])

    def evaluate_parameters(self, parameters: Tensor, images: _Images) -> tuple[float, float]:
        """The same for other parameters (P,), which take the place of the model's own."""
        self._kernel.sparse_network_load(self._handle, address(parameters), None, None, 0)
        return self.evaluate(images)


def _kernel() -> ctypes.CDLL:
    kernel = sparse_library.library()
    if kernel is None:
        raise RuntimeError(unavailable_reason())
    return kernel


def _made(answer: int | None) -> int:
    """What the kernel answered; it answers nothing where memory is out."""
    if not answer:
        raise MemoryError("there is not enough memory for the sparse engine")
    return answer


def _evaluation(found: list[tuple[float, float]]) -> Evaluation:
    return Evaluation(tuple(loss for loss, _ in found), tuple(accuracy for _, accuracy in found))


# Kept, since every segment of every run uses the same data set.
@lru_cache(maxsize=2)
def _training_images(data: Dataset, window: int) -> _Images:
    return _Images(data.train_images, data.train_labels, window if window <= SEARCHED else 1)


@lru_cache(maxsize=2)
def _validation_images(data: Dataset) -> _Images:
    return _Images(data.validation_images, data.validation_labels, SEARCHED)


@lru_cache(maxsize=2)
def _share_of_nonzero(data: Dataset) -> float:
    return data.train_images.count_nonzero().item() / max(1, data.train_images.numel())

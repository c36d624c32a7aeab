"""Sparse images and networks in the kernel's own memory, freed with the objects that stand for them."""

from __future__ import annotations

import math
import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np
import torch

from ltsm.core import sparse_library
from ltsm.core.sparse_library import address
from ltsm.errors import DataError

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from ltsm.core.network import Network
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol

MOST_IN_A_BATCH = 65_535
ACTIVATIONS = ("relu", "tanh", "gelu")
"""In the order of the kernel's numbers for them."""


class SparseImages:
    """Labelled images as the kernel keeps them: the non-zero pixels, and the batches made of them.

    Args:
        images: (n, features), float32.
        labels: (n,), int64.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        ours, dense, truth = kernel(), images.contiguous(), labels.contiguous()
        where = address(dense, "float32"), address(truth, "int64", len(dense))
        self.handle = made(ours.sparse_images_new(*where, *dense.shape))
        self.count, self.pixels = images.shape
        self.classes = range(int(labels.min()), int(labels.max()) + 1)
        self.lock = threading.Lock()
        """Held while the kernel uses the images: it makes batches as it goes."""
        weakref.finalize(self, ours.sparse_images_free, self.handle)

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


class SparseNetwork:
    """One network in the kernel's own memory.

    Args:
        network: its shape.
        batch: how many images a batch has at most.
    """

    def __init__(self, network: Network, batch: int) -> None:
        self._kernel, self._network = kernel(), network
        sizes = np.array(network.sizes, dtype=np.int64)
        activation = ACTIVATIONS.index(network.activation)
        self._handle = made(
            self._kernel.sparse_network_new(len(sizes) - 1, address(sizes, "int64"), activation, batch)
        )
        weakref.finalize(self, self._kernel.sparse_network_free, self._handle)

    def load(self, state: TrainState, index: int) -> None:
        """Take over one of the state's models; a second moment of +inf tells the kernel what is pruned."""
        second_moment = state.second_moment[index]
        if state.masks is not None:
            second_moment = torch.where(state.masks[index], second_moment, math.inf)
        tensors = torch.stack([state.parameters[index], state.first_moment[index], second_moment])
        self._kernel.sparse_network_load(self._handle, *self._addresses(tensors), state.iteration)

    def tensors(self) -> Tensor:
        """(3, P): parameters, first and second moments; those of pruned parameters are of no meaning."""
        tensors = torch.empty(3, self._network.parameters, dtype=torch.float32, device="cpu")
        self._kernel.sparse_network_state(self._handle, *self._addresses(tensors))
        return tensors

    def _addresses(self, tensors: Iterable[Tensor]) -> list[int | None]:
        """Where each of these vectors (P,) starts."""
        return [address(tensor, "float32", self._network.parameters) for tensor in tensors]

    def train(
        self, images: SparseImages, order: NDArray[np.int64] | None, protocol: Protocol, begin: int, end: int
    ) -> float:
        """Make the iterations from `begin` to `end`, of one epoch if there is an order; the losses' sum."""
        images.check(self._network)
        hyper = np.array([protocol.lr, protocol.beta1, protocol.beta2, protocol.epsilon])
        loss, size = np.zeros(1), min(protocol.batch_size, MOST_IN_A_BATCH)
        where = (images.handle, address(order, "int64", images.count), size, begin, end)
        with images.lock:
            made(
                self._kernel.sparse_network_train(
                    self._handle, *where, address(hyper, "float64"), address(loss, "float64")
                )
            )
        return float(loss[0])

    def evaluate(self, images: SparseImages) -> tuple[float, float]:
        """Mean loss and accuracy."""
        images.check(self._network)
        found = np.zeros(2)
        where = [address(part, "float64") for part in (found[:1], found[1:])]
        with images.lock:
            made(self._kernel.sparse_network_evaluate(self._handle, images.handle, *where))
        return float(found[0]), float(found[1])

    def evaluate_parameters(self, parameters: Tensor, images: SparseImages) -> tuple[float, float]:
        """The same for other parameters (P,), which take the place of the model's own."""
        self._kernel.sparse_network_load(self._handle, *self._addresses([parameters]), None, None, 0)
        return self.evaluate(images)


def kernel() -> ctypes.CDLL:
    """The library; RuntimeError where there is none, which an engine's refusal has said before."""
    found = sparse_library.library()
    if found is None:
        raise RuntimeError(sparse_library.unavailable_reason())
    return found


def made(answer: int | None) -> int:
    """What the kernel answered; it answers nothing where memory is out."""
    if not answer:
        raise MemoryError("there is not enough memory for the sparse engine")
    return answer

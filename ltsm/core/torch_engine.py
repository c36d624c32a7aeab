"""The engine that serves every network, data set and device: PyTorch's own operators, no autograd."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from ltsm.core.adam import adam_for
from ltsm.core.backprop import Backprop
from ltsm.core.batches import Batches
from ltsm.core.network import forward
from ltsm.core.records import Evaluation
from ltsm.core.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.core.network import Network
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol

CHUNK = {"cpu": 1_000}
"""How many validation images go through the network at once: as many as its caches like best."""
MOST_VALUES = 2**27
"""Elsewhere: as many as give at most so many values to the widest layer, half a GiB of them."""
ALIGNMENT = 64


class TorchEngine:
    """See `ltsm.core.engine.Engine`.

    On the CPU models are trained one after the other, each in memory of its own: the sums of a matrix
    product depend on how many others are worked out with it and on where in memory its operands start,
    and a model's numbers must depend on neither. On other devices they stand side by side.
    """

    name: str = "torch"

    def __init__(self, data: Dataset, network: Network, protocol: Protocol, device: str) -> None:
        self._data = resident(data, device)
        self._network = network
        self._protocol = protocol
        self._device = torch.device(device)
        self._loaded: TrainState | None = None
        self._groups: list[_Group] = []

    @classmethod
    def refusal(cls, data: Dataset, network: Network, protocol: Protocol, device: str) -> str:
        """Empty: it serves everything."""
        del data, network, protocol, device
        return ""

    @torch.no_grad()
    def load(self, state: TrainState) -> None:
        """Take over copies of the state's tensors."""
        self._loaded = state
        models = range(len(state.seeds))
        axes = list(models) if self._device.type == "cpu" else [slice(None)]
        self._groups = [_Group(self._data, self._protocol, state, axis) for axis in axes]

    @torch.no_grad()
    def train(self, until: int) -> tuple[float, ...]:
        """Go on to iteration `until`; the mean training loss of the iterations made, one per model."""
        with denormals_as_zero():
            return tuple(loss for group in self._groups for loss in group.train(until))

    def evaluate(self, on: TestSet | None = None) -> Evaluation:
        """Loss and accuracy of the models as they are, on the validation set or `on` a test set."""
        return self._evaluate([group.parameters for group in self._groups], on)

    def evaluate_parameters(self, parameters: Tensor, on: TestSet | None = None) -> Evaluation:
        """The same of any parameters (models, P) of the network's shape."""
        placed = parameters.to(self._device)
        # a row of a matrix starts anywhere in memory, its clone where all memory starts
        rows = [row.clone() for row in placed] if self._device.type == "cpu" else [placed]
        return self._evaluate(rows, on)

    def state(self) -> TrainState:
        """The models as they are, in memory of their own, on the CPU."""
        if self._loaded is None:
            raise RuntimeError("load() comes first")
        adams, names = [group.adam for group in self._groups], ("parameters", "first_moment", "second_moment")
        found: Any = {name: self._gathered([getattr(adam, name) for adam in adams]) for name in names}
        return replace(self._loaded, iteration=self._groups[0].iteration, **found)

    def _gathered(self, tensors: list[Tensor]) -> Tensor:
        """(models, P) on the CPU, from one tensor (P,) each or one (models, P)."""
        return torch.cat([tensor.view(-1, tensor.shape[-1]) for tensor in tensors]).cpu()

    @torch.no_grad()
    def _evaluate(self, groups: list[Tensor], on: TestSet | None) -> Evaluation:
        images, labels = judged(self._data, on, str(self._device))
        found = [evaluated(self._network, parameters, images, labels) for parameters in groups]
        return Evaluation(
            loss=tuple(v for loss, _ in found for v in _values(loss)),
            accuracy=tuple(v for _, accuracy in found for v in _values(accuracy)),
        )


class _Group:
    """Models that are trained by the same calls: one without a model axis, or all with one.

    Args:
        data: on the device already.
        protocol: learning rate, order and the like.
        state: where to start; its tensors are copied.
        axis: which of its models: an index, or all of them.
    """

    def __init__(self, data: Dataset, protocol: Protocol, state: TrainState, axis: int | slice) -> None:
        self.iteration = state.iteration
        self.adam = adam_for(state, axis, protocol, data.train_images.device)
        self._seeds = state.seeds if isinstance(axis, slice) else (state.seeds[axis],)
        self._network, self._data, self._protocol = state.network, data, protocol
        self._batches = Batches(len(data.train_images), protocol.batch_size, protocol.order)
        self._passes: dict[int, Backprop] = {}
        self._order: tuple[int, Tensor] | None = None

    @property
    def parameters(self) -> Tensor:
        """(P,), or (models, P)."""
        return self.adam.parameters

    def train(self, until: int) -> list[float]:
        """Mean loss per model over the iterations up to `until`."""
        total = torch.zeros(self.parameters.shape[:-1], dtype=torch.float64, device=self.parameters.device)
        first = self.iteration
        while self.iteration < until:
            total += self._backprop(*self._batch())
            self.adam.step()
            self.iteration += 1
        return _values(total / (until - first))

    def _backprop(self, images: Tensor, labels: Tensor) -> Tensor:
        size = images.shape[-2]
        if size not in self._passes:
            self._passes[size] = Backprop(self._network, self.parameters, self.adam.gradient, size)
        return self._passes[size].loss(images, labels)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """This iteration's images (…, batch, inputs) and labels (…, batch, 1)."""
        places = self._batches.places(self.iteration)
        chosen = places if self._protocol.order == "file" else self._shuffled()[..., places]
        images, labels = self._data.train_images[chosen], self._data.train_labels[chosen].unsqueeze(-1)
        axes = self.parameters.shape[:-1]
        return images.expand(*axes, *images.shape[-2:]), labels.expand(*axes, *labels.shape[-2:])

    def _shuffled(self) -> Tensor:
        """(…, images): each model's own order of this epoch."""
        epoch = self._batches.epoch(self.iteration)
        if self._order is None or self._order[0] != epoch:
            orders = [self._batches.epoch_order(seed, epoch) for seed in self._seeds]
            order = torch.stack([torch.from_numpy(one) for one in orders]).to(self.parameters.device)
            self._order = (epoch, order.view(*self.parameters.shape[:-1], -1))
        return self._order[1]


def judged(data: Dataset, on: TestSet | None, device: str) -> tuple[Tensor, Tensor]:
    """The images and labels to evaluate on: the validation set's, on the device already, or a test set's."""
    return (data.validation_images, data.validation_labels) if on is None else _resident_test(on, device)


def evaluated(network: Network, parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and accuracy (…), float64, of parameters (…, P) on images (n, features) with labels (n,)."""
    loss = torch.zeros(parameters.shape[:-1], dtype=torch.float64, device=parameters.device)
    correct = torch.zeros_like(loss)
    size = CHUNK.get(parameters.device.type) or max(1, MOST_VALUES // (loss.numel() * max(network.sizes[1:])))
    for some, theirs in zip(torch.split(images, size), torch.split(labels, size), strict=True):
        logits = forward(network, parameters, some)
        truth = theirs.unsqueeze(-1).expand(*logits.shape[:-1], 1)
        loss -= torch.log_softmax(logits, -1).gather(-1, truth).sum((-2, -1), dtype=torch.float64)
        largest, predicted = logits.max(-1, keepdim=True)
        correct += ((predicted == truth) & ~largest.isnan()).sum((-2, -1))
    return loss / len(labels), correct / len(labels)


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Count values below 10⁻³⁸ as 0 meanwhile, on this thread.

    Adam's first moments of pixels that are seldom inked decay to there, and the processor is so slow with
    them that a step of the paper's network takes an eighth longer. With the paper's settings no update that is lost reaches 10⁻³⁰.
    """
    already = torch.tensor(2e-38, dtype=torch.float32, device="cpu").mul(0.25).item() == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(already)


def _values(tensor: Tensor) -> list[float]:
    values: list[float] = tensor.reshape(-1).tolist()
    return values


@remembered
def resident(data: Dataset, device: str) -> Dataset:
    """The data set on the device; kept, since every segment of every run uses the same one."""
    return replace(
        data,
        train_images=_aligned(data.train_images.to(device)),
        train_labels=data.train_labels.to(device),
        validation_images=_aligned(data.validation_images.to(device)),
        validation_labels=data.validation_labels.to(device),
    )


@remembered
def _resident_test(test: TestSet, device: str) -> tuple[Tensor, Tensor]:
    return _aligned(test.images.to(device)), test.labels.to(device)


def _aligned(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of it, starting where PyTorch's own allocations do."""
    tensor = tensor.contiguous()
    return tensor.clone() if tensor.data_ptr() % ALIGNMENT else tensor

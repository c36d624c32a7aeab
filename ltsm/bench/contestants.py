"""What `ltsm benchmark` compares: two training loops as people write them in PyTorch, and this program's engines."""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Literal
from typing import Protocol as Interface

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as OneByOne

from ltsm.core.download import torchvision_datasets
from ltsm.core.network import initial_values
from ltsm.core.sources import source
from ltsm.core.state import fresh_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from ltsm.core.datasets import Dataset
    from ltsm.core.engine import Engine
    from ltsm.core.images import Labelled
    from ltsm.core.network import Network
    from ltsm.core.records import Evaluation
    from ltsm.protocol import Order, Protocol

Kind = Literal["plain", "careful", "jax", "ltsm"]
EVALUATION_BATCH = 1_000
"""Validation images at once in the plain loop."""
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


class Contestant(Interface):
    """Something that trains the protocol's network.

    Attributes:
        name: for the table.
        threads: how many it may use on the CPU.
        models: how many it trains side by side.
    """

    kind: Kind
    name: str
    threads: int
    models: int

    def train(self, iterations: int) -> None:
        """Go on by so many iterations, and wait until they are made."""

    def evaluate(self) -> object:
        """Find loss and accuracy on the validation set."""


class PlainLoop:
    """A script as tutorials have it: nn.Sequential, DataLoader, ToTensor image by image, Adam.

    Args:
        train: gives images (channels, rows, columns) and labels one by one, as validation does.
        network: what to train.
        protocol: learning rate, batch size and the like.
        device: where to compute.
        threads: how many it may use on the CPU.
    """

    kind: Kind = "plain"
    models = 1

    def __init__(
        self, train: Any, validation: Any, network: Network, protocol: Protocol, device: str, threads: int
    ) -> None:
        self.name, self.threads, self._device = "plain PyTorch loop", threads, device
        loader = DataLoader(train, batch_size=protocol.batch_size, shuffle=protocol.order == "shuffled")
        self._batches: Iterator[Any] = chain.from_iterable(repeat(loader))
        self._validation = DataLoader(validation, batch_size=EVALUATION_BATCH)
        self._images = len(validation)
        self._network = sequential(network).to(device)
        betas = (protocol.beta1, protocol.beta2)
        self._adam = torch.optim.Adam(
            self._network.parameters(), lr=protocol.lr, betas=betas, eps=protocol.epsilon
        )
        self._criterion = nn.CrossEntropyLoss()
        self.loss = 0.0

    def train(self, iterations: int) -> None:
        """Go on by so many iterations."""
        self._network.train()
        self.loss = 0.0
        for _ in range(iterations):
            images, labels = (tensor.to(self._device) for tensor in next(self._batches))
            self._adam.zero_grad()
            loss = self._criterion(self._network(images), labels)
            loss.backward()
            self._adam.step()
            self.loss += loss.item() / iterations

    def evaluate(self) -> tuple[float, float]:
        """Loss and accuracy on the validation set."""
        self._network.eval()
        total, correct = 0.0, 0
        with torch.no_grad():
            for batch in self._validation:
                images, labels = (tensor.to(self._device) for tensor in batch)
                logits = self._network(images)
                total += self._criterion(logits, labels).item() * len(labels)
                correct += (logits.argmax(1) == labels).sum().item()
        return total / self._images, correct / self._images


class CarefulLoop:
    """A loop by someone who measured: the data set as two tensors, slices of them for batches, the fused Adam.

    Args:
        data: is put on the device whole.
        network: what to train.
        protocol: learning rate, batch size and the like.
        device: where to compute.
        threads: how many it may use on the CPU.
    """

    kind: Kind = "careful"
    models = 1

    def __init__(
        self, data: Dataset, network: Network, protocol: Protocol, device: str, threads: int
    ) -> None:
        made, betas = sequential(network).to(device), (protocol.beta1, protocol.beta2)
        adam = torch.optim.Adam(
            made.parameters(), lr=protocol.lr, betas=betas, eps=protocol.epsilon, fused=True
        )
        self._begin(data, device, threads, protocol.batch_size, protocol.order, made, adam)

    def _begin(
        self,
        data: Dataset,
        device: str,
        threads: int,
        size: int,
        order: Order,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self.name, self.threads = "careful PyTorch loop", threads
        self._images, self._labels = data.train_images.to(device), data.train_labels.to(device)
        self._size, self._shuffled = size, order == "shuffled"
        self._batches = chain.from_iterable(iter(self._epoch, None))
        self._validation = data.validation_images.to(device), data.validation_labels.to(device)
        self._network, self._optimiser = network, optimiser
        self.loss = 0.0

    def train(self, iterations: int) -> None:
        """Go on by so many iterations."""
        total: Tensor = torch.zeros((), device=self._validation[0].device)
        for _ in range(iterations):
            images, labels = next(self._batches)
            loss = nn.functional.cross_entropy(self._network(images), labels)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            self._optimiser.step()
            total += loss.detach()
        self.loss = total.item() / iterations

    def _epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Its batches: slices, or where they are shuffled what an order that lies on the device chooses."""
        if not self._shuffled:
            parts = (torch.split(part, self._size) for part in (self._images, self._labels))
            return zip(*parts, strict=True)
        order = torch.split(torch.randperm(len(self._labels), device=self._labels.device), self._size)
        return ((self._images[chosen], self._labels[chosen]) for chosen in order)

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """Loss and accuracy on the validation set."""
        images, labels = self._validation
        logits = self._network(images)
        loss = nn.functional.cross_entropy(logits, labels)
        return loss.item(), (logits.argmax(1) == labels).float().mean().item()


class Ours:
    """One of this program's engines.

    Args:
        engine: not loaded yet.
        network: what to train.
        models: how many of it side by side.
        epoch: how many batches there are; each is trained on once at the start, since an engine may prepare it.
    """

    kind: Kind = "ltsm"
    threads = 1

    def __init__(self, engine: Engine, network: Network, models: int, epoch: int) -> None:
        self.name, self.models, self._engine, self._iteration = f"ltsm {engine.name}", models, engine, 0
        initial = torch.stack([initial_values(network, seed, "benchmark") for seed in range(models)])
        engine.load(fresh_state(network, tuple(range(models)), initial))
        self.train(epoch)

    def train(self, iterations: int) -> None:
        """Go on by so many iterations."""
        self._iteration += iterations
        self._engine.train(self._iteration)

    def evaluate(self) -> Evaluation:
        """Loss and accuracy on the validation set."""
        return self._engine.evaluate()


class Pictures(OneByOne[tuple[Any, int]]):
    """Images handed out as torchvision's own data sets do: an array becomes a picture, and that a tensor."""

    def __init__(self, part: Labelled) -> None:
        from torchvision.transforms import ToTensor

        self._images = part.images.reshape(len(part.images), part.images.shape[1], -1)
        self._labels, self._transform = part.labels.astype(np.int64), ToTensor()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        from PIL import Image

        return self._transform(Image.fromarray(self._images[index])), int(self._labels[index])


def one_by_one(name: str, folder: Path) -> tuple[Any, Any]:
    """Training and validation images for a DataLoader: torchvision's own MNIST where it finds its files, else alike."""
    datasets = torchvision_datasets()
    from torchvision.transforms import ToTensor

    if name == "mnist":
        try:
            train, validation = (datasets.MNIST(folder, train=t, transform=ToTensor()) for t in (True, False))
        except RuntimeError:  # they lie packed, or elsewhere than torchvision looks
            pass
        else:
            return train, validation
    raw = source(name).read(folder)
    return Pictures(raw.train), Pictures(raw.validation)


def sequential(network: Network) -> nn.Sequential:
    """The network as torch.nn has it, with values of its own."""
    modules: list[nn.Module] = [nn.Flatten()]
    for layer in network.layers:
        modules += [nn.Linear(layer.inputs, layer.outputs), ACTIVATIONS[network.activation]()]
    return nn.Sequential(*modules[:-1])

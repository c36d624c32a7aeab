"""What `python -m ltsm.bench.gpu` measures on: the device, the data, the protocol, and the networks' start."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ltsm.core.datasets import Dataset, load_dataset, missing
from ltsm.core.network import Network, initial_values
from ltsm.core.state import fresh_state
from ltsm.core.streams import uniform
from ltsm.protocol import PAPER

if TYPE_CHECKING:
    from pathlib import Path

    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol

Line = dict[str, Any]
KEPT = 0.3
"""The share of parameters that a made-up mask keeps: about the paper's."""
INKED = (0.3, 0.135)
"""The shares of made-up pixels that are not 0, among those of their class and the others: 19 % in all, as of MNIST's."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured on what: `seconds` is the time for one measurement, `models` the two numbers of seeds."""

    device: str
    data: Dataset
    protocol: Protocol
    seconds: float
    models: tuple[int, int]

    def network(self, hidden: tuple[int, ...]) -> Network:
        """The protocol's network with these hidden layers."""
        return Network(
            (self.data.train_images.shape[1], *hidden, self.data.classes), self.protocol.activation
        )

    def wait(self) -> None:
        """Let the device come to an end with everything."""
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)


def prepared(device: str, folder: Path | None, seconds: float, *, rehearsal: bool) -> Bench:
    """The bench: on MNIST where it lies in the folder, else on data of its shape and density.

    Args:
        device: where to compute.
        folder: as for `load_dataset`; None: made-up data.
        seconds: for each measurement.
        rehearsal: everything tiny, to see on a CPU that all parts run.
    """
    torch.set_num_threads(1)  # of the CPU, which has little to do
    if rehearsal:
        short = replace(
            PAPER, hidden=(12, 6), hyperops=((12, 6), (4, 3)), initial_iterations=200, iterations=100
        )
        return Bench(device, made_up(1_210, 300), short, seconds, (2, 3))
    there = folder is not None and not missing("mnist", folder)
    data = load_dataset("mnist", folder) if there and folder else made_up(60_000, 10_000)
    return Bench(device, data, PAPER, seconds, (10, 100))


def made_up(images: int, validation: int) -> Dataset:
    """Images with as many pixels, as many of them 0, and as many classes as MNIST's.

    A class shows in which third of the pixels are inked more often than the others.
    """
    count = images + validation
    labels = (torch.from_numpy(uniform(0, "labels", count=count)) * 10).long()
    own = torch.from_numpy(uniform(0, "classes", count=7_840) < 1 / 3).view(10, 784)[labels]
    grey = torch.from_numpy(uniform(0, "pixels", count=count * 784)).view(-1, 784)
    inked = torch.where(own, *INKED)
    pixels = torch.where(grey < inked, grey / inked, 0.0)
    return Dataset(
        name="made up",
        train_images=pixels[:images],
        train_labels=labels[:images],
        validation_images=pixels[images:],
        validation_labels=labels[images:],
        classes=10,
        image_shape=(28, 28),
        digest=hashlib.sha256(pixels.numpy().data).hexdigest(),
    )


def start(bench: Bench, hidden: tuple[int, ...], models: int, *, masked: bool = False) -> TrainState:
    """Untrained networks of the seeds 0 … models - 1, pruned at random if they are to be masked."""
    net, seeds = bench.network(hidden), tuple(range(models))
    initial = torch.stack([initial_values(net, seed, "initial") for seed in seeds])
    kept = [uniform(seed, "kept", count=net.parameters) < KEPT for seed in seeds]
    return fresh_state(net, seeds, initial, torch.from_numpy(np.stack(kept)) if masked else None)


def about(bench: Bench) -> Line:
    """The machine and the data."""
    found = {"torch": torch.__version__, "python": platform.python_version(), "data": bench.data.name}
    if bench.device == "cpu":
        return found
    card = torch.cuda.get_device_properties(bench.device)
    return found | {"card": card.name, "memory": card.total_memory, "cuda": torch.version.cuda}

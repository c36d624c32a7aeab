"""Engines: what stands behind `advance` and `evaluate`, and which one serves which case."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol as Interface

import torch

from ltsm.core.cuda_engine import CudaEngine
from ltsm.core.sparse_engine import SparseEngine
from ltsm.core.torch_engine import TorchEngine
from ltsm.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.core.network import Network
    from ltsm.core.records import Evaluation
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol


class Engine(Interface):
    """Trains and evaluates networks of one shape on one data set.

    An engine may keep parameters, moments and data in any layout between `load` and `state`. What it
    answers is a function of its arguments, whatever else runs and however many calls of `train` there are.
    """

    name: str

    def __init__(self, data: Dataset, network: Network, protocol: Protocol, device: str) -> None: ...

    @classmethod
    def refusal(cls, data: Dataset, network: Network, protocol: Protocol, device: str) -> str:
        """Why another engine should serve this case, in words for a person; empty where this one should."""

    def load(self, state: TrainState) -> None:
        """Take over copies of the state's tensors."""

    def train(self, until: int) -> tuple[float, ...]:
        """Go on to iteration `until`; the mean training loss of the iterations made, one per model."""

    def evaluate(self, on: TestSet | None = None) -> Evaluation:
        """Loss and accuracy of the models as they are, on the validation set or `on` a test set."""

    def evaluate_parameters(self, parameters: Tensor, on: TestSet | None = None) -> Evaluation:
        """The same of any parameters (models, P) of the network's shape; needs no `load`."""

    def state(self) -> TrainState:
        """The models as they are, in memory of their own, on the CPU."""


ENGINES: tuple[type[Engine], ...] = (CudaEngine, SparseEngine, TorchEngine)
"""In the order in which they are asked; the last one refuses nothing."""


def choose_engine(data: Dataset, network: Network, protocol: Protocol, device: str = "cpu") -> Engine:
    """The first engine that does not refuse the case.

    Raises:
        UsageError: this machine has no such device.
    """
    check_device(device)
    kind = next(kind for kind in ENGINES if not kind.refusal(data, network, protocol, device))
    return kind(data, network, protocol, device)


def refusals(data: Dataset, network: Network, protocol: Protocol, device: str = "cpu") -> dict[str, str]:
    """Every engine's name, in the order in which they are asked, with why it refuses; empty where it serves."""
    return {kind.name: kind.refusal(data, network, protocol, device) for kind in ENGINES}


def check_device(device: str) -> None:
    """Nothing, where PyTorch can compute on the device.

    Raises:
        UsageError: there is no such device.
    """
    try:
        torch.ones(1, dtype=torch.float32, device=device).item()  # "meta" makes tensors, but none with values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"PyTorch can compute on no device {device!r} here.", "leave out --device, or --device cpu"
        ) from error

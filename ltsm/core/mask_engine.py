"""Engines that train masks: what stands behind `learn_by`, and which one serves which case."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol as Interface

from ltsm.core.engine import check_device
from ltsm.core.mask_sparse import SparseMaskEngine
from ltsm.core.mask_torch import TorchMaskEngine

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset
    from ltsm.core.mask_state import MaskState
    from ltsm.core.mask_training import Course
    from ltsm.core.network import Network


class MaskEngine(Interface):
    """Trains the mask of one network on one data set.

    What it answers is a function of its arguments, whatever else runs and however many calls of `train` there are. It
    never changes a value of the network.
    """

    name: str

    def __init__(self, data: Dataset, network: Network, course: Course, device: str) -> None: ...

    @classmethod
    def refusal(cls, data: Dataset, network: Network, course: Course, device: str) -> str:
        """Why another engine should serve this case, in words for a person; empty where this one should."""

    def load(self, state: MaskState) -> None:
        """Take over copies of the state's tensors."""

    def train(self, until: int) -> float:
        """Go on to iteration `until`; the mean training loss of the iterations made, each of the mask it was made with."""

    def state(self) -> MaskState:
        """The state as it is, in memory of its own, on the CPU."""


MASK_ENGINES: tuple[type[MaskEngine], ...] = (SparseMaskEngine, TorchMaskEngine)
"""In the order in which they are asked; the last one refuses nothing."""


def choose_mask_engine(data: Dataset, network: Network, course: Course, device: str = "cpu") -> MaskEngine:
    """The first engine that does not refuse the case.

    Raises:
        UsageError: this machine has no such device.
    """
    check_device(device)
    kind = next(kind for kind in MASK_ENGINES if not kind.refusal(data, network, course, device))
    return kind(data, network, course, device)

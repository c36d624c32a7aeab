"""Loss and accuracy on the validation set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.core.engine import choose_engine
from ltsm.core.records import Evaluation

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.datasets import Dataset
    from ltsm.core.network import Network
    from ltsm.protocol import Protocol

__all__ = ["Evaluation", "evaluate"]


def evaluate(
    data: Dataset, network: Network, protocol: Protocol, parameters: Tensor, device: str = "cpu"
) -> Evaluation:
    """Mean cross entropy and accuracy of parameters (models, P) on the validation set, one of each per model.

    Raises:
        UsageError: this machine has no such device.
    """
    return choose_engine(data, network, protocol, device).evaluate_parameters(parameters)

"""Steps 1 and 2: save random values, train from them, and retrain to the best iteration (section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.steps.training import Fresh, Place, fresh, read_weights

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.network import Network


def initial_training(place: Place, seed: int) -> Fresh:
    """The long training from random values, which shows when to stop."""
    from ltsm.core.network import initial_values  # noqa: PLC0415 - brings torch, which only workers need

    def values(network: Network) -> Tensor:
        return initial_values(network, seed, "initial")

    return fresh(place, seed, place.protocol.hidden, values)


def retraining(place: Place, seed: int, initial: bytes) -> Fresh:
    """The same network once more from its saved initial values, to be stopped at the best iteration."""
    return fresh(place, seed, place.protocol.hidden, lambda network: read_weights(network, initial))

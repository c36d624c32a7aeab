"""The comparison: a dense network with smaller layers, from its own random values (section 3.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.steps.training import Fresh, Place, fresh

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.network import Network


def training(place: Place, seed: int, hidden: tuple[int, ...]) -> Fresh:
    """A hyperop's first state. The sizes name its random stream, so that no two networks share values."""
    from ltsm.core.network import initial_values  # noqa: PLC0415 - brings torch, which only workers need

    def values(network: Network) -> Tensor:
        return initial_values(network, seed, "hyperop", *hidden)

    return fresh(place, seed, hidden, values)

"""Steps 5 and 6: freeze the supermask's zeros and train what is left (section 3.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.steps.training import Fresh, Place, fresh, read_weights

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.network import Network


def training(place: Place, seed: int, initial: bytes, mask: bytes) -> Fresh:
    """The lottery ticket's first state: the baseline's initial values where the mask keeps them, else frozen zeros.

    Args:
        place: the protocol and its data.
        seed: the replicate.
        initial: the bytes of the baseline's initial weights file.
        mask: the supermask's bits, as the store keeps them.
    """
    from ltsm.core.masking import unpack_bits  # noqa: PLC0415 - brings torch, which only workers need

    def kept(network: Network) -> Tensor:
        return unpack_bits(mask, network.parameters)

    return fresh(place, seed, place.protocol.hidden, lambda network: read_weights(network, initial), kept)

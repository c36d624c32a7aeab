"""MaskState: all that the training of a mask is a function of, and its form in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ltsm.core.state import network_of, packed, unpacked

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.network import Network

KIND = "mask"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MaskState:
    """A network whose mask is trained, at one iteration.

    Attributes:
        seed: decides the order of the images, and all that is drawn.
        iteration: how many batches have been trained on.
        values: (P,), float32: the parameters, which no training changes.
        scores: (P,), float32, by which a parameter is kept; of no meaning where the mask covers nothing.
        momentum: (P,), float32, SGD's.
    """

    network: Network
    seed: int
    iteration: int
    values: Tensor
    scores: Tensor
    momentum: Tensor


def fresh_mask_state(network: Network, seed: int, values: Tensor, scores: Tensor) -> MaskState:
    """The state before the first iteration, of values and scores (P,)."""
    return MaskState(
        network=network,
        seed=seed,
        iteration=0,
        values=values.clone(),
        scores=scores.clone(),
        momentum=torch.zeros_like(scores),
    )


def pack_mask(state: MaskState) -> bytes:
    """The state as the bytes of a safetensors file, the same bytes for the same state."""
    about = {
        "kind": KIND,
        "sizes": state.network.sizes,
        "activation": state.network.activation,
        "seed": state.seed,
        "iteration": state.iteration,
    }
    names = ("values", "scores", "momentum")
    return packed(about, {name: getattr(state, name).contiguous() for name in names})


def unpack_mask(data: bytes) -> MaskState:
    """The state that `pack_mask` made into these bytes.

    Raises:
        StoreError: the bytes are damaged, incomplete, or something else.
    """
    return unpacked(data, _state)


def _state(about: dict[str, Any], tensors: dict[str, Tensor]) -> MaskState:
    """The state of a description whose digest was right; ValueError where its parts do not fit together."""
    network = network_of(about)
    if about["kind"] != KIND or any(tensor.shape != (network.parameters,) for tensor in tensors.values()):
        raise ValueError(about)
    return MaskState(network=network, seed=about["seed"], iteration=about["iteration"], **tensors)

"""Steps 3 and 4 of the method: masks by sign(w_initial)·w_trained ≥ t, their sizes, and the supermask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ltsm.core.engine import choose_engine
from ltsm.core.network import is_weight, layer_slices
from ltsm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ltsm.core.datasets import Dataset
    from ltsm.core.network import Network
    from ltsm.protocol import Protocol

MODELS_AT_ONCE = 16
"""How many masked networks are in memory and evaluated together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskResult:
    """One threshold's mask, and how the masked network does untrained (section 3.4).

    Attributes:
        kept: how many parameters each layer keeps.
        relative_size: parameters kept ÷ parameters of the network.
        bits: the mask (P,), eight parameters a byte.
    """

    threshold: float
    kept: tuple[int, ...]
    relative_size: float
    val_loss: float
    val_accuracy: float
    bits: bytes


def mask(initial: Tensor, trained: Tensor, threshold: float, scope_mask: Tensor | None = None) -> Tensor:
    """True where sign(initial)·trained ≥ t, and wherever scope_mask is False (sections 2.1, 2.3).

    The threshold is rounded to the parameters' own precision first, so that a parameter of float32's
    0.07 meets t = 0.07. An initial value of 0 has sign 0 and is kept where t ≤ 0. A parameter that has
    become NaN meets no threshold.

    Args:
        initial: values before training, of any shape.
        trained: values after it, of the same shape.
        threshold: t; may be negative.
        scope_mask: True for what may be pruned; None: everything.
    """
    kept = initial.sign() * trained >= torch.tensor(threshold, dtype=trained.dtype, device=trained.device)
    return kept if scope_mask is None else kept | ~scope_mask


def evaluate_masks(
    data: Dataset,
    protocol: Protocol,
    network: Network,
    initial: Tensor,
    trained: Tensor,
    *,
    device: str = "cpu",
) -> list[MaskResult]:
    """Every threshold of the protocol, in order, for initial and trained parameters (P,).

    Raises:
        UsageError: this machine has no such device.
    """
    engine = choose_engine(data, network, protocol, device)
    scope_mask = is_weight(network) if protocol.mask == "weights" else None
    results: list[MaskResult] = []
    for start in range(0, len(protocol.thresholds), MODELS_AT_ONCE):
        thresholds = protocol.thresholds[start : start + MODELS_AT_ONCE]
        masks = torch.stack([mask(initial, trained, t, scope_mask) for t in thresholds])
        found = engine.evaluate_parameters(torch.where(masks, initial, 0.0))
        rows = zip(thresholds, masks, found.loss, found.accuracy, strict=True)
        results += [_result(network, *row) for row in rows]
    return results


def select(results: Sequence[MaskResult], protocol: Protocol) -> int:
    """Which result is the supermask: the most accurate, at the smallest threshold on a tie (section 2.2).

    Only thresholds that the protocol allows are considered.

    Raises:
        ValueError: none of them is allowed, which no result of `evaluate_masks` can cause.
    """
    allowed = [i for i, result in enumerate(results) if protocol.selectable(result.threshold)]
    return max(allowed, key=lambda i: (_comparable(results[i].val_accuracy), -results[i].threshold))


def pack_bits(kept: Tensor) -> bytes:
    """A mask (P,) as ⌈P/8⌉ bytes, the first parameter in the first byte's highest bit."""
    return np.packbits(kept.cpu().numpy()).tobytes()


def unpack_bits(bits: bytes, count: int) -> Tensor:
    """The mask (count,) that `pack_bits` made into these bytes.

    Raises:
        StoreError: these are not the bytes of a mask for so many parameters.
    """
    padded = np.unpackbits(np.frombuffer(bits, dtype=np.uint8))
    if len(bits) != -(-count // 8) or padded[count:].any():
        raise StoreError(
            f"{len(bits):,} bytes are no mask of {count:,} parameters.", "ltsm find-supermask --force"
        )
    return torch.from_numpy(padded[:count].astype(bool))


def _result(network: Network, threshold: float, kept: Tensor, loss: float, accuracy: float) -> MaskResult:
    per_layer = tuple(int(kept[part].sum()) for part in layer_slices(network))
    return MaskResult(
        threshold=threshold,
        kept=per_layer,
        relative_size=sum(per_layer) / network.parameters,
        val_loss=loss,
        val_accuracy=accuracy,
        bits=pack_bits(kept),
    )


def _comparable(accuracy: float) -> float:
    return -1.0 if math.isnan(accuracy) else accuracy

"""Masks from scores, how the masked networks do untrained, and which of them is chosen (section 2.1 to 2.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ltsm.core.network import is_weight
from ltsm.core.records import Evaluation
from ltsm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from ltsm.core.criteria import Criterion, Values
    from ltsm.core.datasets import TestSet
    from ltsm.core.engine import Engine
    from ltsm.core.network import Network

MODELS_AT_ONCE = 16
"""How many masked networks are in memory and evaluated together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskResult:
    """The mask of one amount, and how the masked network does untrained (section 3.4).

    Attributes:
        layer_sizes: how many parameters each layer keeps.
        relative_size: parameters kept ÷ parameters of the network.
        bits: the mask (P,), eight parameters a byte.
    """

    amount: float
    layer_sizes: tuple[int, ...]
    relative_size: float
    val_loss: float
    val_accuracy: float
    bits: bytes


def at_least(scores: Tensor, threshold: float) -> Tensor:
    """True where a score is at least t, which is rounded to the scores' own precision first.

    So a score of float32's 0.07 meets t = 0.07. A score that has become NaN meets no threshold.
    """
    return scores >= torch.tensor(threshold, dtype=scores.dtype, device=scores.device)


def largest(scores: Tensor, fraction: float) -> Tensor:
    """True for the largest scores, exactly round(fraction · count) of them; on a tie for those that come first.

    NaN counts as smaller than everything.
    """
    order = scores.flatten().nan_to_num(nan=-math.inf).argsort(descending=True, stable=True)
    kept = torch.zeros(len(order), dtype=torch.bool, device=scores.device)
    kept[order[: round(fraction * len(order))]] = True
    return kept.view(scores.shape)


AMOUNTS: dict[str, Callable[[Tensor, float], Tensor]] = {"threshold": at_least, "fraction": largest}
"""What an amount makes of scores that are ranked together, by a masking's `by`: a mask of their shape."""


def covered_by(network: Network, covers: str) -> Tensor:
    """(P,) bool: True for what a mask may prune: all parameters, or weights and not biases."""
    everything = torch.ones(network.parameters, dtype=torch.bool)
    return is_weight(network) if covers == "weights" else everything


def masks(
    network: Network,
    criterion: Criterion,
    values: Values,
    amounts: Sequence[float],
    *,
    output: Sequence[float] = (),
    by: str = "threshold",
    scope: str = "global",
    covers: str = "all",
    within: Tensor | None = None,
) -> list[Tensor]:
    """One mask (P,) for each amount, of values (P,).

    Args:
        network: whose they are.
        criterion: scores what is ranked together: all of it, or each layer by itself (scope layer).
        values: before and after training.
        amounts: thresholds of the score, or fractions of what is covered and within.
        output: of the output layer, one for each of the amounts, where those are of the other layers alone.
        by: what an amount is.
        scope: global or layer.
        covers: what may be pruned; the rest is kept.
        within: outside it (P,) nothing is kept.
    """
    covered = covered_by(network, covers)
    scored = covered if within is None else covered & within
    together = _by_layer(network, scored) if scope == "layer" else [scored]
    scores = [criterion(values.of(places)) for places in together]
    found = []
    for amount, last in zip(amounts, output or amounts, strict=True):
        kept = ~covered
        for places, score in zip(together, scores, strict=True):
            kept[places] = AMOUNTS[by](score, last if places is together[-1] else amount)
        found.append(kept)
    return found


def _by_layer(network: Network, places: Tensor) -> list[Tensor]:
    """What of these places (P,) lies in each layer."""
    found = [torch.zeros_like(places) for _ in network.layers]
    for one, layer in zip(found, network.layers, strict=True):
        one[layer.parameters] = places[layer.parameters]
    return found


def evaluate(
    engine: Engine,
    models: Callable[[int], Tensor],
    count: int,
    on: TestSet | None = None,
) -> Evaluation:
    """Loss and accuracy of `count` networks, made when they are needed, some at a time: `models(i)` is (P,)."""
    found: list[Evaluation] = []
    for start in range(0, count, MODELS_AT_ONCE):
        some = [models(i) for i in range(start, min(start + MODELS_AT_ONCE, count))]
        found.append(engine.evaluate_parameters(torch.stack(some), on))
    loss = tuple(v for part in found for v in part.loss)
    return Evaluation(loss, tuple(v for part in found for v in part.accuracy))


def evaluate_masks(
    engine: Engine,
    network: Network,
    candidates: Sequence[tuple[float, Tensor]],
    masked: Callable[[Tensor], Tensor],
) -> list[MaskResult]:
    """How each amount's mask (P,) does: `masked` makes the parameters (P,) of it that are evaluated."""
    found = evaluate(engine, lambda i: masked(candidates[i][1]), len(candidates))
    return [
        _result(network, amount, kept, loss, accuracy)
        for (amount, kept), loss, accuracy in zip(candidates, found.loss, found.accuracy, strict=True)
    ]


def choose(
    amounts: Sequence[float], accuracies: Sequence[float], allowed: Callable[[float], bool] = lambda _: True
) -> int | None:
    """Which of them is the supermask: the most accurate, of the smallest amount on a tie (section 2.2).

    An accuracy that is no number is less than any other. None where no amount is allowed.
    """
    places = [i for i, amount in enumerate(amounts) if allowed(amount)]
    comparable = np.nan_to_num(accuracies, nan=-1.0)
    return max(places, key=lambda i: (comparable[i], -amounts[i]), default=None)


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


def _result(network: Network, amount: float, kept: Tensor, loss: float, accuracy: float) -> MaskResult:
    per_layer = tuple(int(kept[layer.parameters].sum()) for layer in network.layers)
    return MaskResult(
        amount=amount,
        layer_sizes=per_layer,
        relative_size=sum(per_layer) / network.parameters,
        val_loss=loss,
        val_accuracy=accuracy,
        bits=pack_bits(kept),
    )

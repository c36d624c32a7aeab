"""What a network's outputs mean: logits of classes, or one logit, positive for class 1 and negative for class 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ltsm.errors import DataError, UsageError
from ltsm.library.batches import no_labels
from ltsm.library.foreign import theirs

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ltsm.library.batches import Pair

    Loss = Callable[[Tensor, Tensor], Tensor]


def check_logits(logits: Any, batch: Pair) -> None:
    """Nothing, where the outputs can be those for this batch.

    Raises:
        UsageError: they are no logits, (images, classes) or (images,).
        DataError: the labels are of other classes.
    """
    is_tensor, n = isinstance(logits, torch.Tensor), len(batch.labels)
    if not is_tensor or logits.ndim not in {1, 2} or len(logits) != n or not logits.is_floating_point():
        shape = tuple(logits.shape) if is_tensor else type(logits).__name__
        raise UsageError(f"the network gives {shape} for {n} images, not (images, classes).")
    outputs = logits.numel() // n
    if batch.targets.is_floating_point() and outputs > 1:
        raise no_labels(batch.targets)
    if int(batch.labels.max()) >= max(2, outputs):
        raise DataError(
            f"there is the label {int(batch.labels.max())}, and the network has {outputs} outputs."
        )


def check_loss(loss: Loss | None) -> None:
    """Refuse the loss that takes probabilities: of those no sign says which class is meant.

    Raises:
        UsageError: it is one.
    """
    if isinstance(loss, nn.BCELoss) or loss is nn.functional.binary_cross_entropy:
        raise UsageError(
            "this loss takes probabilities, and a network is judged by its logits.",
            "nn.BCEWithLogitsLoss(), and no sigmoid at the network's end",
        )


def default_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy, which for one logit is binary cross entropy."""
    if logits.numel() == len(logits):
        flat = logits.reshape(-1)
        return nn.functional.binary_cross_entropy_with_logits(flat, targets.reshape(-1).to(flat.dtype))
    return nn.functional.cross_entropy(logits, targets)


def lost(logits: Tensor, batch: Pair, loss: Loss) -> float:
    """Summed over the batch: of cross entropy in float64, of another loss its mean times the images."""
    if loss is not default_loss or logits.numel() == len(logits):
        return number_of(loss, logits, batch.targets).item() * len(batch.labels)
    log_shares = torch.log_softmax(logits, -1)
    return -float(log_shares.gather(-1, batch.labels[:, None]).sum(dtype=torch.float64))


def number_of(loss: Loss, logits: Tensor, targets: Tensor) -> Tensor:
    """The loss, checked to be one number.

    Raises:
        UsageError: it is something else.
        RunError: the loss is the caller's own, and failed.
    """
    with theirs("the loss"):
        value: Any = loss(logits, targets)
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or value.is_complex():
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise UsageError(f"the loss gives {shape}, not one number for a batch.", "reduction='mean'")
    return value


def correct(logits: Tensor, labels: Tensor) -> int:
    """How many are classified; a logit that is no number has predicted nothing."""
    if logits.numel() == len(logits):
        flat = logits.reshape(-1)
        return int((((flat > 0) == (labels > 0)) & ~flat.isnan()).sum())
    largest, predicted = logits.max(-1)
    return int(((predicted == labels) & ~largest.isnan()).sum())

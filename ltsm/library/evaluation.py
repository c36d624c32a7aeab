"""Loss and accuracy of masked networks, through the caller's own module or through our engines."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call

from ltsm.core.datasets import Dataset
from ltsm.core.engine import choose_engine
from ltsm.core.masking import MODELS_AT_ONCE
from ltsm.core.records import Evaluation
from ltsm.errors import DataError, UsageError
from ltsm.library.batches import Pair, as_pair, evaluation_batches
from ltsm.library.masks import mask_of, masked_state
from ltsm.protocol import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from ltsm.core.network import Network
    from ltsm.library.batches import Data
    from ltsm.library.chains import Chain
    from ltsm.library.weights import State

    Loss = Callable[[Tensor, Tensor], Tensor]

STAND_INS = 1_000
"""So many validation images stand in for a training set where none is needed."""
MEMORY = 2**30
"""So many bytes all thresholds' masked values may take together; more, and they are made anew for every batch."""


def through_ours(
    chain: Chain, initial: State, scores: State, thresholds: Sequence[float], validation: Data | Dataset
) -> tuple[str, Evaluation]:
    """The engine's name, and every threshold's masked network evaluated by it.

    Raises:
        DataError: the images do not fit the network.
    """
    data = as_dataset(validation, chain.network)
    engine = choose_engine(data, chain.network, PAPER.changed(activation=chain.network.activation))
    found = []
    for start in range(0, len(thresholds), MODELS_AT_ONCE):
        masks = [mask_of(scores, t) for t in thresholds[start : start + MODELS_AT_ONCE]]
        masked = torch.stack([chain.flat(masked_state(initial, m)) for m in masks])
        found.append(engine.evaluate_parameters(masked))
    loss = tuple(v for part in found for v in part.loss)
    return engine.name, Evaluation(loss, tuple(v for part in found for v in part.accuracy))


def as_dataset(data: Data | Dataset, network: Network, training: Pair | None = None) -> Dataset:
    """The data as our engines take it: flattened, float32.

    Args:
        data: the validation set.
        network: which it has to fit.
        training: the training set; without one a few of the validation images stand in for it.

    Raises:
        DataError: images or labels do not fit the network.
    """
    if isinstance(data, Dataset):
        _check_fit(data, network)
        return data
    pair = as_pair(data) or _whole(data)
    images = _flat(pair.images)
    few = training or Pair(pair.images[:STAND_INS], pair.labels[:STAND_INS])
    made = Dataset(
        name="own",
        train_images=_flat(few.images),
        train_labels=few.labels.cpu(),
        validation_images=images,
        validation_labels=pair.labels.cpu(),
        classes=network.sizes[-1],
        image_shape=tuple(pair.images.shape[1:]),
        digest="",
    )
    _check_fit(made, network)
    return made


def through_module(
    module: nn.Module,
    initial: State,
    scores: State,
    thresholds: Sequence[float],
    validation: Data | Dataset,
    loss: Loss | None = None,
) -> Evaluation:
    """Every threshold's masked network evaluated by a copy of the module, in evaluation mode.

    The data is gone through once, each batch by all networks: they see the same images, and a loader that
    shuffles or can be used only once will do. What a forward pass writes to buffers, or to parameters that the
    mask does not cover, no other one sees.

    Raises:
        UsageError: the module cannot be copied, or gives no logits.
        DataError: the validation data is no images with labels.
    """
    ours = copied(module).eval()
    return evaluate_states(ours, _masked_states(ours, initial, scores, thresholds), validation, loss)


@torch.no_grad()
def evaluate_states(
    module: nn.Module, states: Sequence[Callable[[], State]], data: Data | Dataset, loss: Loss | None = None
) -> Evaluation:
    """Mean loss and accuracy of a module with each of these states in place of its own."""
    device = device_of(module)
    lost, correct, count = [0.0] * len(states), [0] * len(states), 0
    for batch in _batches(data):
        images, labels = batch.images.to(device), batch.labels.to(device)
        for i, state in enumerate(states):
            logits = functional_call(module, state(), (images,))
            _check_logits(logits, labels)
            lost[i] += _loss(logits, labels, loss)
            correct[i] += _correct(logits, labels)
        count += len(labels)
    return Evaluation(tuple(v / count for v in lost), tuple(v / count for v in correct))


def copied(module: nn.Module) -> nn.Module:
    """A copy to compute with, so that the caller's own module never changes.

    Raises:
        UsageError: it cannot be copied.
    """
    try:
        return copy.deepcopy(module)
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"the network cannot be copied: {reason}", "keep no results of a forward pass in it"
        ) from None


def device_of(module: nn.Module) -> torch.device:
    """Where the module's first parameter is."""
    return next((p.device for p in module.parameters()), torch.device("cpu"))


def _batches(data: Data | Dataset) -> Iterator[Pair]:
    if isinstance(data, Dataset):
        return evaluation_batches((data.validation_images, data.validation_labels))
    return evaluation_batches(data)


def _masked_states(
    module: nn.Module, initial: State, scores: State, thresholds: Sequence[float]
) -> list[Callable[[], State]]:
    """What gives each threshold's state: masked values, made once where memory allows it, and fresh copies of the rest."""
    device = device_of(module)
    names = [*dict(module.named_parameters()), *dict(module.named_buffers())]
    covered = {name: initial[name] for name in names if name in scores}
    others = {name: initial[name] for name in names if name in initial and name not in scores}
    masked: list[Callable[[], State]] = [partial(_masked, covered, scores, t, device) for t in thresholds]
    if len(masked) * sum(t.nbytes for t in covered.values()) <= MEMORY:
        masked = [partial(dict, make()) for make in masked]
    return [partial(_with_copies, make, others, device) for make in masked]


def _masked(values: State, scores: State, threshold: float, device: torch.device) -> State:
    mask = mask_of({name: scores[name] for name in values}, threshold)
    return {name: t.to(device) for name, t in masked_state(values, mask).items()}


def _with_copies(masked: Callable[[], State], others: State, device: torch.device) -> State:
    return {**masked(), **{name: t.to(device, copy=True) for name, t in others.items()}}


def _check_logits(logits: object, labels: Tensor) -> None:
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(labels):  # noqa: PLR2004
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise UsageError(f"the network gives {shape} for {len(labels)} images, not (images, classes).")
    if int(labels.max()) >= logits.shape[1]:
        raise DataError(
            f"there is the label {int(labels.max())}, and the network has {logits.shape[1]} outputs."
        )


def _loss(logits: Tensor, labels: Tensor, loss: Loss | None) -> float:
    """Summed over the batch."""
    if loss is not None:
        return float(loss(logits, labels)) * len(labels)
    log_shares = torch.log_softmax(logits, -1)
    return -float(log_shares.gather(-1, labels[:, None]).sum(dtype=torch.float64))


def _correct(logits: Tensor, labels: Tensor) -> int:
    """How many are classified; a logit that is no number has predicted nothing."""
    largest, predicted = logits.max(-1)
    return int(((predicted == labels) & ~largest.isnan()).sum())


def _flat(images: Tensor) -> Tensor:
    if not images.is_floating_point():
        raise DataError(f"images hold {images.dtype}, and the network takes floats.", "images.float() / 255")
    return images.cpu().reshape(len(images), -1).float().contiguous()


def _whole(data: Data) -> Pair:
    batches = list(evaluation_batches(data))
    return Pair(torch.cat([b.images for b in batches]), torch.cat([b.labels for b in batches]))


def _check_fit(data: Dataset, network: Network) -> None:
    for images in (data.validation_images, data.train_images):
        if images.shape[1] != network.sizes[0]:
            raise DataError(
                f"an image has {images.shape[1]:,} numbers, and the network takes {network.sizes[0]:,}.",
                "the data that this network was trained on",
            )
    largest = int(max(data.validation_labels.max(), data.train_labels.max()))
    if largest >= network.sizes[-1]:
        raise DataError(f"there is the label {largest}, and the network has {network.sizes[-1]} outputs.")

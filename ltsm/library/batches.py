"""Labelled images as a caller has them: tensors, arrays, a DataLoader, or a data set of `ltsm`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from ltsm.core.batches import Batches
from ltsm.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.protocol import Order

Data: TypeAlias = tuple[Any, Any] | Iterable[tuple[Any, Any]]
"""(images, labels) as tensors or arrays, or anything that gives such batches, a DataLoader above all."""
CHUNK = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Images (n, …) and labels (n,) whole, in memory."""

    images: Tensor
    labels: Tensor


def as_pair(data: Data) -> Pair | None:
    """The images and labels, where they were handed over whole; None for what gives batches.

    Raises:
        DataError: they do not belong together, or labels are no whole numbers.
    """
    if isinstance(data, tuple | list) and len(data) == 2 and _is_array(data[0]) and _is_array(data[1]):  # noqa: PLR2004
        return checked(data[0], data[1])
    return None


def checked(images: Any, labels: Any) -> Pair:
    """One batch, as tensors.

    Raises:
        DataError: there is nothing in it, or not one whole number for each image.
    """
    x, y = torch.as_tensor(images), torch.as_tensor(labels)
    if x.ndim < 1 or y.shape != x.shape[:1] or len(y) == 0:
        raise DataError(f"labels of shape {tuple(y.shape)} are not one for each of images {tuple(x.shape)}.")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool or int(y.min()) < 0:
        raise DataError(f"labels are whole numbers of at least 0, not {y.dtype} from {y.min().item():g}.")
    return Pair(x, y.long())


def evaluation_batches(data: Data) -> Iterator[Pair]:
    """All images once.

    Raises:
        DataError: there are none, or a batch is no pair of images and labels.
    """
    pair = as_pair(data)
    if pair is not None:
        yield from map(Pair, torch.split(pair.images, CHUNK), torch.split(pair.labels, CHUNK))
        return
    count = 0
    for batch in data:
        yield _batch(batch)
        count += 1
    if count == 0:
        raise DataError("there is no image to evaluate on.", "a generator gives its batches only once")


def training_batches(data: Data, batch_size: int, order: Order, seed: int) -> Iterator[Pair]:
    """Batches without end: a loader's own, again and again; of whole data in file order or reshuffled every epoch.

    Raises:
        DataError: there are none, or a batch is no pair of images and labels.
    """
    pair = as_pair(data)
    if pair is not None:
        yield from _from_pair(pair, Batches(len(pair.labels), batch_size, order), seed)
    while True:
        count = 0
        for batch in data:
            yield _batch(batch)
            count += 1
        if count == 0:
            raise DataError(
                "the training data has no more batches.", "a DataLoader can be gone through again"
            )


def _from_pair(pair: Pair, batches: Batches, seed: int) -> Iterator[Pair]:
    iteration, shuffled = 0, None
    while True:
        if iteration % batches.per_epoch == 0:
            order = batches.epoch_order(seed, batches.epoch(iteration))
            shuffled = None if order is None else torch.from_numpy(order)
        places = batches.places(iteration)
        chosen = places if shuffled is None else shuffled[places]
        yield Pair(pair.images[chosen], pair.labels[chosen])
        iteration += 1


def _batch(batch: Any) -> Pair:
    if not isinstance(batch, tuple | list) or len(batch) != 2:  # noqa: PLR2004
        raise DataError(f"a batch is a pair of images and labels, not {type(batch).__name__}.")
    return checked(batch[0], batch[1])


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")

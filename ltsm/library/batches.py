"""Labelled images as a caller has them: tensors, arrays, a DataLoader, or a data set of torch's or of `ltsm`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from ltsm.core.batches import Batches
from ltsm.errors import DataError, LtsmError
from ltsm.library.foreign import theirs
from ltsm.library.weights import plain_tensor

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.protocol import Order

Data: TypeAlias = tuple[Any, Any] | Iterable[tuple[Any, Any]]
"""(images, labels) as tensors or arrays, or anything that gives such batches, a DataLoader above all."""
CHUNK = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Images (n, …) with their labels (n,), and the targets that they were handed over as, which a loss of one's own gets.

    Targets are the labels, or floats of 0 and 1, (n,) or (n, 1), for a network with one output.
    """

    images: Tensor
    labels: Tensor
    targets: Tensor

    def part(self, chosen: slice | Tensor) -> Pair:
        """Copies of some of them, which whoever gets them may write to."""
        parts = (t[chosen] for t in (self.images, self.labels, self.targets))
        return Pair(*(t.clone() if isinstance(chosen, slice) else t for t in parts))

    def to(self, device: torch.device) -> Pair:
        """Copies on a device."""
        return Pair(*(t.to(device, copy=True) for t in (self.images, self.labels, self.targets)))


def as_pair(data: Any) -> Pair | None:
    """The images and labels, where they were handed over whole; None for what gives batches.

    Raises:
        DataError: they do not belong together, or labels are no whole numbers.
    """
    if isinstance(data, Pair):
        return data
    if isinstance(data, tuple | list) and len(data) == 2 and _is_array(data[0]) and _is_array(data[1]):  # noqa: PLR2004
        return checked(data[0], data[1])
    if isinstance(data, TorchDataset) and not isinstance(data, IterableDataset):
        return whole(DataLoader(data, CHUNK))
    return None


def checked(images: Any, labels: Any) -> Pair:
    """One batch, as tensors.

    Raises:
        DataError: there is nothing in it, a value is no number, or there is not one whole number for each image.
    """
    x, y = (_tensor(what, value) for what, value in (("images", images), ("labels", labels)))
    flat = y.reshape(-1) if y.is_floating_point() and y.ndim == 2 and y.shape[1] == 1 else y  # noqa: PLR2004
    if x.ndim < 1 or flat.shape != x.shape[:1] or x.numel() == 0:
        raise DataError(f"labels of shape {tuple(y.shape)} are not one for each of images {tuple(x.shape)}.")
    if not x.isfinite().all():
        raise DataError("an image holds values that are no numbers.", "torch.isfinite(images) says which")
    if flat.is_floating_point() and bool(((flat == 0) | (flat == 1)).all()):
        return Pair(x, flat.long(), y)
    whole_numbers = not (flat.is_floating_point() or flat.is_complex() or flat.dtype == torch.bool)
    if not whole_numbers or int(flat.min()) < 0:
        raise no_labels(flat)
    return Pair(x, flat.long(), flat.long())


def no_labels(values: Tensor) -> DataError:
    """What there is to say of labels that name no classes."""
    lowest = "" if values.is_complex() else f" from {values.min().item():g}"
    return DataError(
        f"labels are whole numbers of at least 0, not {values.dtype}{lowest}.",
        "labels.long(), where they name classes; regression is not supported, as accuracy chooses the mask",
    )


def evaluation_batches(data: Data | Pair) -> Iterator[Pair]:
    """All images once.

    Raises:
        DataError: there are none, or a batch is no pair of images and labels.
    """
    pair = as_pair(data)
    if pair is not None:
        for start in range(0, len(pair.labels), CHUNK):
            yield pair.part(slice(start, start + CHUNK))
        return
    count = 0
    for batch in _batches(data):
        yield batch
        count += 1
    if count == 0:
        raise DataError("there is no image to evaluate on.", "a generator gives its batches only once")


def training_batches(data: Data | Pair, batch_size: int, order: Order, seed: int) -> Iterator[Pair]:
    """Batches without end: a loader's own, again and again; of whole data in file order or reshuffled every epoch.

    Raises:
        DataError: there are none, or a batch is no pair of images and labels.
    """
    pair = as_pair(data)
    if pair is not None:
        yield from _from_pair(pair, Batches(len(pair.labels), batch_size, order), seed)
    while True:
        count = 0
        for batch in _batches(data):
            yield batch
            count += 1
        if count == 0:
            raise DataError(
                "the training data has no more batches.", "a DataLoader can be gone through again"
            )


def whole(data: Data) -> Pair:
    """All that gives batches, in memory.

    Raises:
        DataError: as `evaluation_batches`, or the batches do not fit each other.
    """
    batches = list(evaluation_batches(data))
    try:
        return Pair(*(torch.cat([getattr(b, name) for b in batches]) for name in Pair.__slots__))
    except (RuntimeError, TypeError) as error:
        raise DataError(f"the batches do not fit each other: {' '.join(str(error).split())}.") from error


def _from_pair(pair: Pair, batches: Batches, seed: int) -> Iterator[Pair]:
    iteration, shuffled = 0, None
    while True:
        if iteration % batches.per_epoch == 0:
            order = batches.epoch_order(seed, batches.epoch(iteration))
            shuffled = None if order is None else torch.from_numpy(order)
        places = batches.places(iteration)
        yield pair.part(places if shuffled is None else shuffled[places])
        iteration += 1


def _batches(data: Any) -> Iterator[Pair]:
    """What a loader gives, each batch checked; the loader is the caller's code."""
    with theirs("the data"):
        found = iter(_iterable(data))
    while True:
        with theirs("the data"):
            batch = next(found, found)  # no loader gives itself
        if batch is found:
            return
        yield _batch(batch)


def _iterable(data: Any) -> Iterable[Any]:
    if isinstance(data, str | bytes) or not (isinstance(data, Iterable) or hasattr(data, "__getitem__")):
        raise DataError(
            f"data is a pair (images, labels) of tensors or arrays, or a DataLoader, not {type(data).__name__}."
        )
    found: Iterable[Any] = data
    return found


def _batch(batch: Any) -> Pair:
    if not isinstance(batch, tuple | list) or len(batch) != 2:  # noqa: PLR2004
        raise DataError(f"a batch is a pair of images and labels, not {type(batch).__name__}.")
    return checked(batch[0], batch[1])


def _tensor(what: str, value: Any) -> Tensor:
    """A tensor of its own shape and type, in no inference mode.

    Raises:
        DataError: it is none, and cannot be made one.
    """
    try:
        found = plain_tensor(what, value if _is_array(value) else torch.as_tensor(value))
    except LtsmError as error:
        raise DataError(error.message, error.hint) from error
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise DataError(f"{what} must be a tensor or an array, not {type(value).__name__}.") from error
    return found.detach().clone() if found.is_inference() else found.detach()


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")

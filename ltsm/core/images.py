"""Images as they were published or handed over, before they become a data set: the first so many, scaled, hashed."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ltsm.core.streams import permutation
from ltsm.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor


Values: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"
"""Pixels: published ones are unsigned bytes; a file of one's own may hold float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Images (n, …) of any shape and their labels (n,)."""

    images: Values
    labels: NDArray[np.uint8] | NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What data of one's own was read from, as what.

    Attributes:
        train: the folder or array of the training set, as validation is of the validation set.
        test: that of the test set, which selects nothing; empty where there is none.
        classes: their names, in the order of their labels.
        skipped: how many files or arrays were left out, by the reason.
    """

    train: str
    validation: str
    test: str
    classes: tuple[str, ...]
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawData:
    """A data set as published; pixels run from 0 to `white`, which is 1 for those that are used as they are.

    `test` is None where there are but two sets; `origin` for published sets, of whose files all are known.
    """

    train: Labelled
    validation: Labelled
    classes: int
    white: int
    test: Labelled | None = None
    origin: Origin | None = None


def first(part: Labelled, size: int | None, what: str) -> Labelled:
    """The first `size` images and their labels; None: all of them.

    Raises:
        DataError: there are fewer, or none are asked for.
    """
    n = len(part.labels)
    if size is None:
        return part
    if not 1 <= size <= n:
        raise DataError(
            f"there are {n:,} {what}, not {size:,}.", f"a size between 1 and {n}, or none for all"
        )
    return Labelled(part.images[:size], part.labels[:size])


def held_out_of(part: Labelled, count: int, what: str) -> tuple[Labelled, Labelled]:
    """What is left of a set, and `count` of its images that are drawn from it, both in its order; always the same ones.

    Raises:
        DataError: none would be left.
    """
    n = len(part.labels)
    if count >= n:
        raise DataError(
            f"there are {n:,} {what}: {count:,} cannot be held out of them.",
            "a smaller held_out (--held-out)",
        )
    drawn = np.zeros(n, np.bool_)
    drawn[permutation(0, "held out", count=n)[:count]] = True
    left, held = (Labelled(part.images[which], part.labels[which]) for which in (~drawn, drawn))
    return left, held


def scaled(images: Values, centre: float, spread: float) -> Tensor:
    """Flattened (n, features) float32 of (pixel - centre) ÷ spread, by one thread: the same bits everywhere."""
    flat: NDArray[np.float32] = images.reshape(len(images), -1).astype(np.float32)
    if centre:
        flat -= np.float32(centre)
    flat /= np.float32(spread)
    return tensor(flat)


def mean_and_deviation(images: Values) -> tuple[float, float]:
    """Of all pixels together; those of bytes from exact integer sums, so that no order of summation shows.

    Raises:
        DataError: all pixels are the same.
    """
    if images.dtype == np.uint8:
        mean, variance = _byte_moments(images)
    else:
        mean, variance = float(images.mean(dtype=np.float64)), float(images.var(dtype=np.float64))
    if variance == 0:
        raise DataError("every pixel has the same value, so pixels cannot be standardised.", "pixels = 'raw'")
    return mean, math.sqrt(variance)


def content_digest(*parts: Labelled) -> str:
    """SHA-256 over shape and content of every array."""
    digest = hashlib.sha256()
    for array in (a for part in parts for a in (part.images, part.labels)):
        digest.update(f"{array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _byte_moments(images: Values) -> tuple[float, float]:
    n, total = images.size, int(images.sum(dtype=np.int64))
    squares = int(np.square(images, dtype=np.uint16).sum(dtype=np.int64))
    return total / n, (n * squares - total * total) / (n * n)


def tensor(values: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
    """The same values as a tensor; torch is imported here alone, as finding a data set needs none of it."""
    import torch

    return torch.from_numpy(values)

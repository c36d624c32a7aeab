"""Data sets as plain tensors: where they lie, how they are read, and which there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """A training set and a validation set, flattened, in file order.

    Attributes:
        train_images: (n, features), float32.
        train_labels: (n,), int64, in 0 … classes - 1.
        validation_images: (m, features), float32.
        validation_labels: (m,), int64.
        image_shape: the shape of one image before it was flattened, e.g. (28, 28).
        digest: SHA-256 in hexadecimal over all images and labels as used, before pixels are scaled.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    classes: int
    image_shape: tuple[int, ...]
    digest: str

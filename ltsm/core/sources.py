"""Which data sets there are, and how each is read as unsigned bytes: a new one is a new line in `DATASETS`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ltsm.core import idx
from ltsm.core.images import Labelled, RawData
from ltsm.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGITS_TRAIN_SIZE = 1_437
"""Of the 1,797 digits the first 1,437 (80 %) train, the last 360 validate: a fixed split, in file order."""


@dataclass(frozen=True, slots=True)
class Source:
    """How a data set is read from a folder, and the files that have to be there; None: it needs none."""

    read: Callable[[Path], RawData]
    files: idx.IdxSet | None = None


def source(name: str) -> Source:
    """The entry of `DATASETS`.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in DATASETS:
        raise UsageError(
            f"there is no data set {name!r}: there are {', '.join(DATASETS)}.", "or --dataset auto"
        )
    return DATASETS[name]


def read_idx_set(files: idx.IdxSet, folder: Path) -> RawData:
    """A set of four IDX files.

    Raises:
        DataError: a file is missing, damaged or does not fit the others.
    """
    train_images, train_labels, validation_images, validation_labels = idx.read_arrays(files, folder)
    train, validation = Labelled(train_images, train_labels), Labelled(validation_images, validation_labels)
    if not (_fit(train, files.classes) and _fit(validation, files.classes)):
        raise DataError(f"the images and labels of {files.title} in {folder} do not belong together.")
    return RawData(train=train, validation=validation, classes=files.classes, white=255)


def read_digits(_folder: Path) -> RawData:
    """scikit-learn's bundled 1,797 8×8 digits, pixels 0 to 16, split as `DIGITS_TRAIN_SIZE` says."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - costs a second, and MNIST needs none of it

    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    n = DIGITS_TRAIN_SIZE
    train, validation = Labelled(images[:n], labels[:n]), Labelled(images[n:], labels[n:])
    return RawData(train=train, validation=validation, classes=10, white=16)


def _fit(part: Labelled, classes: int) -> bool:
    """Whether there is one label below `classes` for each of at least one image."""
    as_many = part.images.ndim == 3 and part.labels.shape == part.images.shape[:1]  # noqa: PLR2004
    return as_many and part.images.size > 0 and int(part.labels.max()) < classes


DATASETS: dict[str, Source] = {
    "mnist": Source(partial(read_idx_set, idx.MNIST), idx.MNIST),
    "digits": Source(read_digits),
}

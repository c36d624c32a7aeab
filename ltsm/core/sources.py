"""Which data sets there are, and how each is read: a new one is a new line in `DATASETS`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ltsm.core import archives, idx, own
from ltsm.core.images import Labelled, RawData
from ltsm.errors import DataError, UsageError
from ltsm.protocol import is_own_data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGITS_TRAIN_SIZE = 1_437
"""Of the 1,797 digits the first 1,437 (80 %) train, the last 360 validate: a fixed split, in file order."""


NO_FILES = idx.PublishedSet("", 0, ())


@dataclass(frozen=True, slots=True)
class Source:
    """How a data set is read from a folder, and the published files that have to be there, if any."""

    read: Callable[[Path], RawData]
    files: idx.PublishedSet = NO_FILES


def source(name: str) -> Source:
    """The entry of `DATASETS`; data of one's own, named by its path, needs none.

    Raises:
        UsageError: there is none of that name.
    """
    if is_own_data(name):
        return Source(partial(own.read, name))
    if name not in DATASETS:
        raise UsageError(
            f"there is no data set {name!r}: there are {', '.join(DATASETS)}.",
            "or --dataset auto; for data of your own a file NAME.npz or a folder ./NAME of images",
        )
    return DATASETS[name]


def read_idx_set(files: idx.PublishedSet, folder: Path) -> RawData:
    """A set of four IDX files, kept as they were published: packed or not.

    Raises:
        DataError: a file is missing, damaged or does not fit the others.
    """
    return _fitting(files.title, *archives.read_idx(files, folder), files.classes, folder)


def read_emnist(split: str, folder: Path) -> RawData:
    """One split of EMNIST.

    Raises:
        DataError: its archive is missing or damaged.
    """
    classes = archives.EMNIST_CLASSES[split]
    return _fitting(f"EMNIST's {split}", *archives.read_emnist(split, folder), classes, folder)


def read_cifar10(folder: Path) -> RawData:
    """CIFAR-10.

    Raises:
        DataError: its archive is missing or damaged.
    """
    return _fitting("CIFAR10", *archives.read_cifar10(folder), archives.CIFAR10.classes, folder)


def read_digits(_folder: Path) -> RawData:
    """scikit-learn's bundled 1,797 8×8 digits, pixels 0 to 16, split as `DIGITS_TRAIN_SIZE` says."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    n = DIGITS_TRAIN_SIZE
    train, validation = Labelled(images[:n], labels[:n]), Labelled(images[n:], labels[n:])
    return RawData(train=train, validation=validation, classes=10, white=16)


def _fitting(title: str, train: Labelled, validation: Labelled, classes: int, folder: Path) -> RawData:
    if not (_fit(train, classes) and _fit(validation, classes)):
        raise DataError(f"the images and labels of {title} in {folder} do not belong together.")
    return RawData(train=train, validation=validation, classes=classes, white=255)


def _fit(part: Labelled, classes: int) -> bool:
    """Whether there is one label below `classes` for each of at least one image."""
    as_many = part.images.ndim >= 3 and part.labels.shape == part.images.shape[:1]  # noqa: PLR2004
    return as_many and part.images.size > 0 and int(part.labels.max()) < classes


DATASETS: dict[str, Source] = {
    "mnist": Source(partial(read_idx_set, idx.MNIST), idx.MNIST),
    "digits": Source(read_digits),
    "fashion-mnist": Source(partial(read_idx_set, archives.FASHION_MNIST), archives.FASHION_MNIST),
    "kmnist": Source(partial(read_idx_set, archives.KMNIST), archives.KMNIST),
    "emnist": Source(partial(read_emnist, "balanced"), archives.EMNIST),
    "emnist-letters": Source(partial(read_emnist, "letters"), archives.EMNIST),
    "emnist-digits": Source(partial(read_emnist, "digits"), archives.EMNIST),
    "cifar10": Source(read_cifar10, archives.CIFAR10),
}

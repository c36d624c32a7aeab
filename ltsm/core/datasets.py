"""Data sets as plain tensors: where they lie, how they get there, and how they are read.

Which there are is said in `ltsm.core.sources`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ltsm.core import download, idx, own
from ltsm.core.images import content_digest, first, held_out_of, mean_and_deviation, scaled, tensor
from ltsm.core.sources import source
from ltsm.errors import DataError
from ltsm.paths import read_path
from ltsm.protocol import AUTO, is_own_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from ltsm.core.download import Say
    from ltsm.core.images import Labelled, RawData
    from ltsm.protocol import Pixels

DEFAULT_FOLDER = Path("data")
SHARED_FOLDER = Path("..", "shared", "data")
"""Where `auto`, and nothing else, also looks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Dataset:
    """A training set and a validation set, flattened, in file order; what is worked out of the tensors is kept.

    Attributes:
        train_images: (n, features), float32.
        train_labels: (n,), int64, in 0 … classes - 1.
        validation_images: (m, features), float32.
        validation_labels: (m,), int64.
        image_shape: the shape of one image before it was flattened, e.g. (28, 28).
        digest: SHA-256 in hexadecimal over all images and labels as used, before pixels are scaled and images held out.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    classes: int
    image_shape: tuple[int, ...]
    digest: str

    def __post_init__(self) -> None:
        """Refuse what the engines, which do not look, would take for something else.

        Raises:
            DataError: a tensor has another type or shape than it must have.
        """
        _check_tensors("train", self.train_images, self.train_labels)
        _check_tensors("validation", self.validation_images, self.validation_labels)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class TestSet:
    """Images that train and select nothing: who trains, or chooses among networks, is given a `Dataset` and not these.

    Attributes:
        images: (n, features), float32.
        labels: (n,), int64, in the data set's classes.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Refuse what the engines would take for something else.

        Raises:
            DataError: a tensor has another type or shape than it must have.
        """
        _check_tensors("test", self.images, self.labels)


def _check_tensors(part: str, images: Tensor, labels: Tensor) -> None:
    if images.ndim != 2 or labels.shape != images.shape[:1]:  # noqa: PLR2004 - a matrix
        shapes = f"{tuple(images.shape)} and {tuple(labels.shape)}"
        raise DataError(f"{part} images and labels have the shapes {shapes}, not (n, features) and (n,).")
    if (types := f"{images.dtype} and {labels.dtype}") != "torch.float32 and torch.int64":
        raise DataError(
            f"{part} images and labels hold {types}, not torch.float32 and torch.int64.",
            "images.float() and labels.long()",
        )


@dataclass(frozen=True, slots=True)
class Resolved:
    """The data set that a name led to, where it lies, and what the user has to be told in red, if anything.

    Data of one's own is named by its last part and its content, and `folder` is the path to it.
    """

    name: str
    folder: Path
    notice: str = ""


def load_dataset(
    name: str,
    folder: Path,
    *,
    pixels: Pixels = "raw",
    train_size: int | None = None,
    validation_size: int | None = None,
    held_out: int | None = None,
) -> Dataset:
    """The data set as tensors, every file checked against its published MD5; without its test set, see `load_sets`.

    Args:
        name: one of `DATASETS`, or data of one's own as `resolve_dataset` names it.
        folder: where its files lie, ignored by a data set that needs none; of data of one's own where it lies itself.
        pixels: raw is in [0, 1]; standardised also subtracts the mean and divides by the standard deviation
            of all pixels of the training images in use (for all of MNIST 0.1307 and 0.3081).
        train_size: only the first so many training images; None: all of them.
        validation_size: the same for the validation set, which for MNIST is its 10,000 test images.
        held_out: so many of the training images are the validation set; None: the data set's own is.

    Raises:
        UsageError: there is no such data set.
        DataError: a file is missing or damaged, there are fewer images than asked for, or pixels that are
            all the same are to be standardised.
    """
    return load_sets(
        name,
        folder,
        pixels=pixels,
        train_size=train_size,
        validation_size=validation_size,
        held_out=held_out,
    )[0]


def load_sets(
    name: str,
    folder: Path,
    *,
    raw: RawData | None = None,
    pixels: Pixels = "raw",
    train_size: int | None = None,
    validation_size: int | None = None,
    held_out: int | None = None,
) -> tuple[Dataset, TestSet | None]:
    """As `load_dataset`, and the test set: the data set's own, else, where images are held out, its validation images.

    None where it has but two sets and none is held out. `raw` is what lies in the folder, where it has been read.
    """
    raw = raw or source(name).read(folder)
    train, validation = _in_use(raw, name, train_size, validation_size)
    test, digest = raw.test, content_digest(train, validation)
    if held_out is not None:
        test = validation if test is None else test
        train, validation = held_out_of(train, held_out, f"training images in {name}")
    centre, spread = mean_and_deviation(train.images) if pixels == "standardised" else (0.0, float(raw.white))
    data = Dataset(
        name=name,
        train_images=scaled(train.images, centre, spread),
        train_labels=tensor(train.labels.astype(np.int64)),
        validation_images=scaled(validation.images, centre, spread),
        validation_labels=tensor(validation.labels.astype(np.int64)),
        classes=raw.classes,
        image_shape=train.images.shape[1:],
        digest=digest,
    )
    if test is None:
        return data, None
    return data, TestSet(scaled(test.images, centre, spread), tensor(test.labels.astype(np.int64)))


def read_raw(
    name: str, folder: Path, *, train_size: int | None = None, validation_size: int | None = None
) -> tuple[RawData, str]:
    """The data set as published, to be handed to `load_sets` elsewhere, and the digest of what is used of it."""
    raw = source(name).read(folder)
    return raw, content_digest(*_in_use(raw, name, train_size, validation_size))


def _in_use(
    raw: RawData, name: str, train_size: int | None, validation_size: int | None
) -> tuple[Labelled, Labelled]:
    train = first(raw.train, train_size, f"training images in {name}")
    return train, first(raw.validation, validation_size, f"validation images in {name}")


def chosen_folder(option: Path | None, environ: Mapping[str, str]) -> Path:
    """The folder that --data names, else LTSM_DATA, else ./data; whether or not there is anything in it."""
    named = option or environ.get("LTSM_DATA") or DEFAULT_FOLDER
    return read_path(named, "the data's folder")


def find_data_folder(
    name: str,
    option: Path | None,
    environ: Mapping[str, str],
    *,
    say: Say = download.silent,
) -> Path:
    """The folder that holds the data set, downloaded into it (and said so) where files are missing.

    Only one folder is considered, see `chosen_folder`: where --data or LTSM_DATA names one that lacks the
    data, no other takes its place. Files are looked for, not into: `load_dataset` checks them.

    Raises:
        UsageError: there is no such data set.
        DataError: files are missing and cannot be downloaded.
    """
    folder = chosen_folder(option, environ)
    if lacking := missing(name, folder):
        say(f"{folder} lacks {', '.join(lacking)} of {name}: downloading")
        download.download(source(name).files, folder, mirrors_from(environ), say=say)
    return folder


def resolve_dataset(
    name: str,
    option: Path | None,
    environ: Mapping[str, str],
    *,
    say: Say = download.silent,
) -> Resolved:
    """What `name` stands for: itself, or for `auto` MNIST where it can be had and else digits.

    `auto` also takes ../shared/data, where --data and LTSM_DATA name no folder.

    Raises:
        UsageError: there is no such data set.
        DataError: as `find_data_folder`; never for `auto`.
    """
    if is_own_data(name):
        path = own.located(name, chosen_folder(option, environ))
        raw = own.read(name, path)
        say(f"{path}: {own.summary(raw)}")
        return Resolved(own.named(raw, name, path), path, own.doubt(raw))
    if name != AUTO:
        return Resolved(name, find_data_folder(name, option, environ, say=say))
    folder = chosen_folder(option, environ)
    elsewhere = [] if option or environ.get("LTSM_DATA") else [SHARED_FOLDER]
    for place in [folder, *elsewhere]:
        if not missing("mnist", place):
            return Resolved("mnist", place)
    try:
        return Resolved("mnist", find_data_folder("mnist", option, environ, say=say))
    except DataError as error:
        notice = f"These are NOT MNIST but scikit-learn's small 8×8 digits: {error.message}"
        return Resolved("digits", folder, notice)


def missing(name: str, folder: Path) -> list[str]:
    """Names of the data set's files that are not in `folder`; none for one that needs none.

    Raises:
        UsageError: there is no such data set.
    """
    return idx.missing(source(name).files, folder)


def mirrors_from(environ: Mapping[str, str]) -> list[str]:
    """Addresses from LTSM_MIRROR, with spaces between, in place of torchvision's."""
    return environ.get("LTSM_MIRROR", "").split()

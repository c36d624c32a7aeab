"""Data of one's own: an .npz file, or a folder of images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ltsm.core.folders import HINT, read_folder
from ltsm.core.images import content_digest
from ltsm.core.npz import CONTRACT, SUFFIX, read_npz
from ltsm.errors import DataError
from ltsm.paths import read_path

if TYPE_CHECKING:
    from pathlib import Path

    from ltsm.core.images import RawData

DIGEST_DIGITS = 16
"""As many digits of the content's SHA-256 stand in a data set's name."""
USUAL_PIXEL = 10.0
"""Standardised images reach a few deviations; beyond that somebody forgot to divide."""
IMAGE_SIZE = (32, 32)
_SEEN = "are these the files that you meant?"
_FORM = re.compile(
    r"(?P<path>.*?)(?P<form>@(?P<height>\d{1,4})x(?P<width>\d{1,4})(?P<grey>:grey)?)?(#(?P<digest>\w+))?"
)
"""PATH, for images PATH@HEIGHTxWIDTH or PATH@HEIGHTxWIDTH:grey, and once it was read #DIGEST."""


def located(name: str, folder: Path) -> Path:
    """Where the data lies: at its path, or where its last part lies in `folder`.

    What looks like a form or a digest may belong to the name of a file that is there.

    Raises:
        DataError: at neither.
    """
    names = dict.fromkeys([name, name.removesuffix(f"#{_part(name, 'digest')}"), _part(name, "path")])
    paths = [read_path(one, "the data") for one in names if one]
    for path in paths:
        for candidate in (path, folder / path.name):
            if candidate.exists():
                return candidate
    raise DataError(
        f"there is no data at {paths[-1]}, nor in {folder}.",
        f"name the path where it lies; {CONTRACT if paths[-1].suffix.lower() == SUFFIX else HINT}",
    )


def named(raw: RawData, name: str, path: Path) -> str:
    """What a protocol calls the data: its own name and its content's digest, wherever it lies.

    A file that was moved is the same data; one that was changed is not.
    """
    return f"{path.resolve().name}{_part(name, 'form', path)}#{_digest(raw)}"


def read(name: str, path: Path) -> RawData:
    """The data at `path`; `name` says how images are resized, and may say what its digest has to be.

    Raises:
        DataError: it is unreadable, breaks the contract, is not what the name says, or nothing can be learnt of it.
    """
    if path.is_dir():
        raw = read_folder(path, *_image_form(name, path))
    elif path.suffix.lower() == SUFFIX:
        raw = read_npz(path)
    else:
        raise DataError(
            f"{path} is a {path.suffix} file: data of your own is an .npz file or a folder of images.",
            "numpy.savez('mine.npz', x_train=…, y_train=…, x_val=…, y_val=…) writes one: docs/guide.md",
        )
    expected = _part(name, "digest", path)
    if expected and not _digest(raw).startswith(expected):
        raise DataError(
            f"{path} is not the data that {name} names: its content differs.", "bring back that data"
        )
    _check_learnable(path, raw)
    return raw


def contents(raw: RawData) -> dict[str, Any]:
    """What there is in data of one's own, as JSON values: the sets, the classes with their images, what is left out."""
    origin, sets = raw.origin, [part for part in (raw.train, raw.validation, raw.test) if part is not None]
    assert origin is not None  # noqa: S101 - data of one's own says where it comes from
    counts = [np.bincount(part.labels, minlength=raw.classes).tolist() for part in sets]
    words = ("training", "validation", "test")[: len(sets)]
    return {
        "training_set": origin.train,
        "validation_set": origin.validation,
        "test_set": origin.test,
        "training_images": len(raw.train.labels),
        "validation_images": len(raw.validation.labels),
        "test_images": 0 if raw.test is None else len(raw.test.labels),
        "image_shape": list(raw.train.images.shape[1:]),
        "classes": raw.classes,
        "images_of_classes": [
            {"name": name, **dict(zip(words, numbers, strict=True))}
            for name, *numbers in zip(origin.classes, *counts, strict=True)
        ],
        "pixels": [
            min(part.images.min().item() for part in sets),
            max(part.images.max().item() for part in sets),
        ],
        "left_out": {reason: count for reason, count in origin.skipped.items() if count},
    }


def summary(raw: RawData) -> str:
    """The same in a line."""
    found = contents(raw)
    sets = [f"{len(raw.train.labels):,} training images from {found['training_set']}"]
    sets.append(f"{len(raw.validation.labels):,} validation images from {found['validation_set']}")
    if found["test_set"]:
        sets.append(f"{found['test_images']:,} test images from {found['test_set']}")
    left = ", ".join(f"{count:,} {reason}" for reason, count in found["left_out"].items())
    return f"{', '.join(sets)}; {raw.classes} classes{f'; left out: {left}' if left else ''}"


def doubt(raw: RawData) -> str:
    """What a person has to be told of the pixels: floats are used as they are, and large ones train badly."""
    if raw.white != 1:
        return ""
    low, high = contents(raw)["pixels"]
    if max(-low, high) <= USUAL_PIXEL:
        return ""
    return f"the pixels are floats from {low:g} to {high:g}, and used as they are: divide them, or say --pixels standardised"


def _digest(raw: RawData) -> str:
    return content_digest(raw.train, raw.validation)[:DIGEST_DIGITS]


def _part(name: str, which: str, path: Path | None = None) -> str:
    """A part of a name; nothing of it is looked for in what `path`, the file itself, is called."""
    at = name.rfind(path.name) if path is not None and path.name else -1
    rest = name if at < 0 or path is None else f"_{name[at + len(path.name) :]}"
    found = _FORM.fullmatch(rest)
    return (found[which] if found else None) or ""


def _image_form(name: str, path: Path | None = None) -> tuple[tuple[int, int], str]:
    height, width = (int(_part(name, which, path) or 0) for which in ("height", "width"))
    return (height, width) if height * width else IMAGE_SIZE, "L" if _part(name, "grey", path) else "RGB"


def _check_learnable(path: Path, raw: RawData) -> None:
    """Refuse a set whose images are all the same, or all of one class.

    Raises:
        DataError: one is.
    """
    for part, what in ((raw.train, "training"), (raw.validation, "validation")):
        images, labels = part.images, part.labels
        if (images == images[0]).all():
            raise DataError(f"{path}: all {what} images are the same: nothing can be learnt of them.", _SEEN)
        if (labels == labels[0]).all():
            raise DataError(f"{path}: all {what} images are of one class: there is nothing to tell.", _SEEN)

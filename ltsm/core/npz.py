"""An .npz file of four arrays, or of six with a test set: the contract, and what is said where one breaks it."""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ltsm.core.images import Labelled, Origin, RawData
from ltsm.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.lib.npyio import NpzFile
    from numpy.typing import NDArray

    from ltsm.core.images import Values

SUFFIX = ".npz"
ARRAYS = ("x_train", "y_train", "x_val", "y_val")
TEST_ARRAYS = ("x_test", "y_test")
"""Both or neither."""
LARGEST_PIXEL = 1_000.0
MOST_CLASSES = 10_000
MUCH = 2**28
DENSEST = 100
"""An archive of more than `MUCH` bytes that was packed more than so many times smaller holds no images."""
_ARCHIVE = b"PK\3\4"
# zipfile has a sort of error for each thing that it cannot do: RuntimeError for a version or a cipher it lacks
_UNREADABLE = (
    *(ValueError, EOFError, KeyError, MemoryError, RuntimeError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
CONTRACT = "an .npz file has x_train, y_train, x_val and y_val: docs/guide.md"


def read_npz(path: Path) -> RawData:
    """An .npz file of x_train (n, …), y_train (n,), x_val (m, …) and y_val (m,); also x_test and y_test, if both are there.

    Images are unsigned bytes, divided by 255 as MNIST's are, or floats, used as they are: finite, in
    -1,000 … 1,000. Labels are whole numbers 0 … classes - 1; the largest training label says how many classes.

    Raises:
        DataError: the file is unreadable or breaks this contract.
    """
    arrays, others = _arrays(path)
    train = _labelled(path, "train", arrays["x_train"], arrays["y_train"])
    classes = _classes(path, train.labels)
    return RawData(
        train=train,
        validation=_as_training(path, "val", arrays, train, classes),
        test=_as_training(path, "test", arrays, train, classes) if TEST_ARRAYS[0] in arrays else None,
        classes=classes,
        white=255 if train.images.dtype == np.uint8 else 1,
        origin=_origin(arrays, others, classes),
    )


def _as_training(
    path: Path, part: str, arrays: dict[str, NDArray[Any]], train: Labelled, classes: int
) -> Labelled:
    """Another part of the file, whose images and labels have to be as the training set's."""
    found = _labelled(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    if train.images.shape[1:] != found.images.shape[1:] or train.images.dtype != found.images.dtype:
        forms = [f"{one.images.dtype.name} {one.images.shape[1:]}" for one in (train, found)]
        raise _broken(path, f"x_train holds {forms[0]} and x_{part} {forms[1]}")
    if (highest := int(found.labels.max())) >= classes:
        raise _broken(path, f"y_{part} has the label {highest:,}, and y_train only 0 … {classes - 1:,}")
    return found


def _classes(path: Path, labels: NDArray[Any]) -> int:
    """How many classes there are: as many as the largest label says, each with an image.

    Raises:
        DataError: there is one class alone, or one without an image, such as 0 where they are counted from 1.
    """
    counts = np.bincount(labels)
    if len(counts) < 2:  # noqa: PLR2004 - a network with one output has nothing to decide
        raise _broken(path, "y_train knows only one class")
    if lacking := np.flatnonzero(counts == 0).tolist():
        found = f"{int(labels.min()):,} … {len(counts) - 1:,}"
        raise DataError(
            f"{path}: y_train's labels are {found}, and no image has the label {lacking[0]:,}: they have to be 0, 1, 2 …",
            "np.unique(y, return_inverse=True)[1] numbers them so; y_val the same way",
        )
    return len(counts)


def _origin(arrays: dict[str, NDArray[Any]], others: list[str], classes: int) -> Origin:
    return Origin(
        train="x_train",
        validation="x_val",
        test=TEST_ARRAYS[0] if TEST_ARRAYS[0] in arrays else "",
        classes=tuple(map(str, range(classes))),
        skipped={f"other arrays ({', '.join(others[:4])})": len(others)} if others else {},
    )


def _broken(path: Path, what: str) -> DataError:
    return DataError(f"{path}: {what}.", CONTRACT)


def _arrays(path: Path) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The arrays that are used, whatever they hold, and what others there are; no pickled object is ever loaded."""
    try:
        with path.open("rb") as stream:
            # Anything else numpy takes for a bare array, or for a pickle that it then advises to trust.
            if stream.read(len(_ARCHIVE)) != _ARCHIVE:
                raise _broken(path, "it is no readable .npz file, such as numpy.savez writes")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                _refuse_members(path, file)
                _refuse_bombs(path, file)
                used = _used(file)
                return {name: file[name] for name in used}, [n for n in file.files if n not in used]
    except _UNREADABLE as error:
        raise _broken(path, f"it is no readable .npz file ({' '.join(str(error).split())[:120]})") from error
    except OSError as error:
        raise _broken(path, f"it cannot be read ({error.strerror or error})") from error


def _used(file: NpzFile) -> tuple[str, ...]:
    """Which arrays are read: a test set is optional."""
    return (*ARRAYS, *TEST_ARRAYS) if {*TEST_ARRAYS} <= {*file.files} else ARRAYS


def _refuse_members(path: Path, file: NpzFile) -> None:
    """Refuse an archive without the four arrays.

    Raises:
        DataError: naming what it lacks.
    """
    if lacking := [name for name in ARRAYS if name not in file.files]:
        raise _broken(path, f"it lacks {', '.join(lacking)}")
    members = file.zip.namelist() if file.zip else []
    if bare := [name for name in _used(file) if f"{name}.npy" not in members]:
        raise _broken(path, f"its member {bare[0]} is no array {bare[0]}.npy, as numpy.savez writes one")


def _refuse_bombs(path: Path, file: NpzFile) -> None:
    """Refuse an archive that claims far more than it holds, before anything is unpacked.

    Raises:
        DataError: an array's header or the whole archive announces more than can be there.
    """
    archive = file.zip
    assert archive is not None  # noqa: S101 - it was opened just now
    members = [archive.getinfo(f"{name}.npy") for name in _used(file)]
    unpacked, packed = (sum(getattr(m, size) for m in members) for size in ("file_size", "compress_size"))
    if unpacked > MUCH and unpacked > DENSEST * packed:
        raise _broken(
            path, f"its {packed:,} bytes unpack to {unpacked:,}: such a file is made to fill the memory"
        )
    for member in members:
        with archive.open(member) as stream:
            shape, dtype = _announced(stream)
        if dtype.hasobject:
            raise _broken(
                path,
                f"it is no readable .npz file of numbers: {member.filename} holds Python objects; np.stack makes one array of many",
            )
        announced = math.prod(shape) * dtype.itemsize
        if announced > member.file_size:
            raise _broken(
                path, f"{member.filename} announces {announced:,} bytes and holds {member.file_size:,}"
            )


def _announced(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type that an array's header announces."""
    version = np.lib.format.read_magic(stream)
    reader = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
    shape, _, dtype = reader(stream)
    return shape, dtype


def _labelled(path: Path, part: str, images: NDArray[Any], labels: NDArray[Any]) -> Labelled:
    if images.ndim < 2 or images.size == 0:  # noqa: PLR2004 - images, and at least one number of each
        raise _broken(
            path, f"x_{part} has the shape {images.shape}, not (images, …) with at least one of each"
        )
    if labels.shape != images.shape[:1]:
        raise _broken(
            path, f"y_{part} has the shape {labels.shape}, not one label for each of {len(images):,} images"
        )
    return Labelled(_pixels(path, part, images), _labels(path, part, labels))


def _pixels(path: Path, part: str, images: NDArray[Any]) -> Values:
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise _broken(path, f"x_{part} holds {images.dtype.name}, neither uint8 nor floats")
    if not np.isfinite(images).all():
        raise _broken(path, f"x_{part} holds NaN or infinity")
    if (largest := float(np.abs(images).max())) > LARGEST_PIXEL:
        raise _broken(path, f"x_{part} reaches {largest:,.0f}, beyond ±{LARGEST_PIXEL:,.0f}: scale it first")
    return images.astype(np.float32)


def _labels(path: Path, part: str, labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.dtype.kind not in "iu":
        raise _broken(path, f"y_{part} holds {labels.dtype.name}, not whole numbers")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MOST_CLASSES:
        raise _broken(
            path, f"y_{part} has the label {low if low < 0 else high:,}, not 0 … {MOST_CLASSES - 1:,}"
        )
    return labels.astype(np.int64)

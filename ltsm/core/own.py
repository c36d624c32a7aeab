"""Data of one's own: an .npz file, or a folder of images."""

from __future__ import annotations

import lzma
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ltsm.core.images import Labelled, RawData, content_digest
from ltsm.errors import DataError

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile
    from numpy.typing import NDArray

    from ltsm.core.images import Values

ARRAYS = ("x_train", "y_train", "x_val", "y_val")
LARGEST_PIXEL = 1_000.0
MOST_CLASSES = 10_000
MUCH = 2**28
DENSEST = 100
"""An archive of more than `MUCH` bytes that was packed more than so many times smaller holds no images."""
DIGEST_DIGITS = 16
"""As many digits of the content's SHA-256 stand in a data set's name."""
IMAGE_SIZE = (32, 32)
VALIDATION_FOLDERS = ("val", "validation", "test")
_ARCHIVE = b"PK\3\4"
# zipfile has a sort of error for each thing that it cannot do: RuntimeError for a version or a cipher it lacks
_UNREADABLE = (
    *(ValueError, EOFError, KeyError, MemoryError, RuntimeError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
_NPZ = "an .npz file has x_train, y_train, x_val and y_val: docs/guide.md"
_FOLDER = "DIR/train/CLASS/… and DIR/val/CLASS/… hold images: docs/guide.md"
_FORM = re.compile(
    r"(?P<path>.*?)(?P<form>@(?P<height>\d{1,4})x(?P<width>\d{1,4})(?P<grey>:grey)?)?(#(?P<digest>\w+))?"
)
"""PATH, for images PATH@HEIGHTxWIDTH or PATH@HEIGHTxWIDTH:grey, and once it was read #DIGEST."""


def located(name: str, folder: Path) -> Path:
    """Where the data lies: at its path, or where its last part lies in `folder`.

    Raises:
        DataError: at neither.
    """
    path = Path(_part(name, "path")).expanduser()
    for candidate in (path, folder / path.name):
        if candidate.exists():
            return candidate
    raise DataError(
        f"there is no data at {path}, nor in {folder}.",
        f"name the path where it lies; {_NPZ if path.suffix == '.npz' else _FOLDER}",
    )


def content_name(name: str, path: Path) -> str:
    """What a protocol calls the data: its own name and its content's digest, wherever it lies.

    A file that was moved is the same data; one that was changed is not.

    Raises:
        DataError: as `read`.
    """
    raw = read(name, path)
    return f"{path.resolve().name}{_part(name, 'form')}#{_digest(raw)}"


def read(name: str, path: Path) -> RawData:
    """The data at `path`; `name` says how images are resized, and may say what its digest has to be.

    Raises:
        DataError: it is unreadable, breaks the contract, or is not what the name says.
    """
    is_file = path.suffix == ".npz"
    raw = read_npz(path) if is_file else read_folder(path, *_image_form(name))
    expected = _part(name, "digest")
    if expected and not _digest(raw).startswith(expected):
        raise DataError(
            f"{path} is not the data that {name} names: its content differs.", "bring back that data"
        )
    return raw


def read_npz(path: Path) -> RawData:
    """An .npz file of x_train (n, …), y_train (n,), x_val (m, …) and y_val (m,).

    Images are unsigned bytes, divided by 255 as MNIST's are, or floats, used as they are: finite, in
    -1,000 … 1,000. Labels are whole numbers 0 … classes - 1; the largest training label says how many classes.

    Raises:
        DataError: the file is unreadable or breaks this contract.
    """
    arrays = _arrays(path)
    train = _labelled(path, "train", arrays["x_train"], arrays["y_train"])
    validation = _labelled(path, "val", arrays["x_val"], arrays["y_val"])
    if train.images.shape[1:] != validation.images.shape[1:] or train.images.dtype != validation.images.dtype:
        forms = [f"{part.images.dtype.name} {part.images.shape[1:]}" for part in (train, validation)]
        raise _broken(path, f"x_train holds {forms[0]} and x_val {forms[1]}")
    classes = int(train.labels.max()) + 1
    if classes < 2:  # noqa: PLR2004 - a network with one output has nothing to decide
        raise _broken(path, "y_train knows only one class")
    if int(validation.labels.max()) >= classes:
        raise _broken(
            path,
            f"y_val has the label {int(validation.labels.max()):,}, and y_train only 0 … {classes - 1:,}",
        )
    return RawData(
        train=train,
        validation=validation,
        classes=classes,
        white=255 if train.images.dtype == np.uint8 else 1,
    )


def read_folder(path: Path, size: tuple[int, int], mode: str) -> RawData:
    """Images in path/train/CLASS and path/val/CLASS (or validation, or test), resized, in order of their names.

    Args:
        path: the folder.
        size: height and width that every image is brought to.
        mode: Pillow's name for the pixels: RGB, or L for grey.

    Raises:
        DataError: a folder is missing or empty, an image is unreadable, or val has a class that train lacks.
    """
    below = next((path / name for name in VALIDATION_FOLDERS if (path / name).is_dir()), path / "val")
    names, train = _image_folder(path / "train", size, mode)
    found, validation = _image_folder(below, size, mode)
    if unknown := [name for name in found if name not in names]:
        raise DataError(f"{below} has the class {unknown[0]!r}, which {path / 'train'} lacks.", _FOLDER)
    if len(names) < 2:  # noqa: PLR2004
        raise DataError(f"{path / 'train'} has only one class.", _FOLDER)
    places = np.array([names.index(name) for name in found], np.int64)
    return RawData(
        train=train,
        validation=Labelled(validation.images, places[validation.labels]),
        classes=len(names),
        white=255,
    )


def _digest(raw: RawData) -> str:
    return content_digest(raw.train, raw.validation)[:DIGEST_DIGITS]


def _part(name: str, which: str) -> str:
    found = _FORM.fullmatch(name)
    return (found[which] if found else None) or ""


def _image_form(name: str) -> tuple[tuple[int, int], str]:
    height, width = (int(_part(name, which) or 0) for which in ("height", "width"))
    return (height, width) if height * width else IMAGE_SIZE, "L" if _part(name, "grey") else "RGB"


def _broken(path: Path, what: str) -> DataError:
    return DataError(f"{path}: {what}.", _NPZ)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The four arrays, whatever they hold; no pickled object is ever loaded."""
    try:
        with path.open("rb") as stream:
            # Anything else numpy takes for a bare array, or for a pickle that it then advises to trust.
            if stream.read(len(_ARCHIVE)) != _ARCHIVE:
                raise _broken(path, "it is no readable .npz file, such as numpy.savez writes")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                if lacking := [name for name in ARRAYS if name not in file.files]:
                    raise _broken(path, f"it lacks {', '.join(lacking)}")
                _refuse_bombs(path, file)
                return {name: file[name] for name in ARRAYS}
    except _UNREADABLE as error:
        raise _broken(path, f"it is no readable .npz file ({' '.join(str(error).split())[:120]})") from None
    except OSError as error:
        raise _broken(path, f"it cannot be read ({error.strerror or error})") from None


def _refuse_bombs(path: Path, file: NpzFile) -> None:
    """Refuse an archive that claims far more than it holds, before anything is unpacked.

    Raises:
        DataError: an array's header or the whole archive announces more than can be there.
    """
    archive = file.zip
    assert archive is not None  # noqa: S101 - it was opened just now
    members = [archive.getinfo(f"{name}.npy") for name in ARRAYS]
    unpacked, packed = (sum(getattr(m, size) for m in members) for size in ("file_size", "compress_size"))
    if unpacked > MUCH and unpacked > DENSEST * packed:
        raise _broken(
            path, f"its {packed:,} bytes unpack to {unpacked:,}: such a file is made to fill the memory"
        )
    for member in members:
        with archive.open(member) as stream:
            announced = _announced(stream)
        if announced > member.file_size:
            raise _broken(
                path, f"{member.filename} announces {announced:,} bytes and holds {member.file_size:,}"
            )


def _announced(stream: IO[bytes]) -> int:
    """How many bytes an array's header says will follow."""
    version = np.lib.format.read_magic(stream)
    reader = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
    shape, _, dtype = reader(stream)
    return math.prod(shape) * dtype.itemsize


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


def _image_folder(path: Path, size: tuple[int, int], mode: str) -> tuple[list[str], Labelled]:
    """The classes' names and the images of one part, by torchvision's ImageFolder."""
    from ltsm.core.download import torchvision_datasets  # noqa: PLC0415 - costs seconds

    try:
        folder = torchvision_datasets().ImageFolder(str(path))
        images = np.stack([_image(file, size, mode) for file, _ in folder.samples])
    except OSError as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} is no folder of readable images: {reason}", _FOLDER) from None
    return folder.classes, Labelled(images, np.array(folder.targets, np.int64))


def _image(file: str, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    from PIL import Image  # noqa: PLC0415 - comes with torchvision

    try:
        with Image.open(file) as image:
            resized = image.convert(mode).resize(size[::-1], Image.Resampling.BILINEAR)
            return np.asarray(resized, np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OSError(f"{file} ({error})") from None

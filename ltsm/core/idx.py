"""Published data sets: their files found and checked against their MD5; and IDX files (MNIST's) read.

The files are read here and not by torchvision: importing torchvision costs every worker process 1.5 to 2
seconds, more than reading and checking all of MNIST (0.3 s), and its readers take their sizes from the file.
It still says where each file is to be had (`ltsm.core.download`), and the folders are laid out as it lays them out.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import shlex
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ltsm import regular
from ltsm.errors import DataError, explained

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

State = Literal["fine", "missing", "damaged"]
LARGEST_PACKED = 2**30
"""Bytes beyond which no packed file can be a published one; EMNIST's has half of that."""
UNSIGNED_BYTES = 8
"""The IDX type code of unsigned bytes, the only one that these data sets use."""


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One published file: its name, and the size in bytes and MD5 of its content when unpacked.

    Of a `packed` file only the MD5 as it lies is published: that is checked, `size` is None, and it is not longer than
    `largest`.
    """

    name: str
    size: int | None
    md5: str
    packed: bool = False
    largest: int = LARGEST_PACKED

    @property
    def limit(self) -> int:
        """Bytes beyond which it cannot be the published file."""
        return self.largest if self.size is None else self.size

    @property
    def sent(self) -> int:
        """Bytes beyond which what is sent cannot be the published file: nothing grows by more when it is packed."""
        return self.limit + self.limit // 1000 + 1024


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """A published data set.

    Attributes:
        title: the name of its class in `torchvision.datasets`, of its folder, and in sentences.
        classes: how many different labels there are.
        files: for IDX files training images and labels, validation images and labels.
        folder: where torchvision keeps the files; None: in TITLE/raw.
    """

    title: str
    classes: int
    files: tuple[PublishedFile, ...]
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says about one file.

    `path`, `size` and `md5` are None where there is no such file, `md5` also where it is longer than
    expected; a .gz file's size and MD5 are those of what it unpacks to (of nothing, where it is broken),
    unless they were published packed.
    """

    name: str
    state: State
    path: str | None
    expected_size: int | None
    size: int | None
    expected_md5: str
    md5: str | None


def raw_folder(files: PublishedSet, folder: Path) -> Path:
    """Where torchvision keeps the set's files below `folder`."""
    return folder / files.title / "raw" if files.folder is None else folder / files.folder


def locate(files: PublishedSet, file: PublishedFile, folder: Path) -> Path | None:
    """The file, unpacked or else as .gz, in `folder`/TITLE/raw, `folder`/raw or `folder` itself."""
    places = (raw_folder(files, folder), folder / "raw", folder)
    suffixes = ("",) if file.packed else ("", ".gz")
    candidates = (place / f"{file.name}{suffix}" for place in places for suffix in suffixes)
    # Not Path.is_file: that raises where a folder on the way may not be entered.
    return next((path for path in candidates if os.path.isfile(path)), None)  # noqa: PTH113


def missing(files: PublishedSet, folder: Path) -> list[str]:
    """Names of the set's files that lie nowhere in `folder`; those that do are not looked into."""
    return [file.name for file in files.files if locate(files, file, folder) is None]


def check_files(files: PublishedSet, folder: Path) -> list[Finding]:
    """One finding per file, in the order of `files.files`.

    Raises:
        DataError: a file is there but may not be read.
    """
    return [_examine(files, file, folder)[0] for file in files.files]


def read_file(files: PublishedSet, file: PublishedFile, folder: Path) -> bytes:
    """The file's content, unpacked, with the published size and MD5.

    Raises:
        DataError: it is missing, damaged or may not be read.
    """
    finding, content = _examine(files, file, folder)
    if finding.state == "missing":
        raise DataError(f"{folder} has no {file.name} of {files.title}.", _get_into(folder))
    if finding.state == "damaged":
        raise DataError(_damage(finding), f"{_get_into(folder)} replaces it")
    return content


def parse_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes as an array that shares `content`'s memory.

    The header is compared with what follows it before it is believed, so no header makes this allocate.

    Raises:
        DataError: another type or format, or more or fewer values than the header says.
    """
    dimensions = content[3] if len(content) >= 4 else 0  # noqa: PLR2004
    start = 4 + 4 * dimensions
    if content[:3] != bytes((0, 0, UNSIGNED_BYTES)) or dimensions == 0 or len(content) < start:
        raise DataError(f"{name} is no IDX file of unsigned bytes.")
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if math.prod(shape) != len(content) - start:
        sizes = " × ".join(f"{size:,}" for size in shape)
        raise DataError(f"{name} announces {sizes} values and holds {len(content) - start:,}.")
    try:
        return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # more dimensions than numpy has, or a size of 0
        raise DataError(f"{name} announces the shape {shape}, which holds nothing.") from error


def write_files(files: PublishedSet, contents: dict[str, bytes], folder: Path) -> None:
    """Put checked contents, by file name, where torchvision looks for them, each whole or not at all.

    Raises:
        DataError: the folder cannot be written.
    """
    target = raw_folder(files, folder)
    with writing_to(target):
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=target) as part:
            for name, content in contents.items():
                _write_durably(Path(part) / name, content)
                (Path(part) / name).replace(regular.replaceable(target / name))


def writing_to(folder: Path) -> AbstractContextManager[None]:
    """Around what is written to a folder, which may take no data."""
    hint = "ltsm data get --data DIR, or set LTSM_DATA, for another folder"
    return explained(DataError, f"cannot write to {folder}", hint)


def _examine(files: PublishedSet, file: PublishedFile, folder: Path) -> tuple[Finding, bytes]:
    """What is to be said about one file, and its content (empty where it is missing).

    At most one byte more than the published size is read or unpacked, whatever the file holds.
    """
    path = locate(files, file, folder)
    if path is None:
        return Finding(file.name, "missing", None, file.size, None, file.md5, None), b""
    limit = file.limit
    unpacks = path.suffix == ".gz" and not file.packed
    content = _read_bounded(path, limit + 1, unpack=unpacks)
    whole = len(content) <= limit
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() if whole else None
    size = len(content) if whole or unpacks else path.stat().st_size
    state: State = "fine" if file.size in {size, None} and md5 == file.md5 else "damaged"
    return Finding(file.name, state, str(path), file.size, size, file.md5, md5), content


def _read_bounded(path: Path, limit: int, *, unpack: bool) -> bytes:
    """Up to `limit` bytes of the file, or of what it unpacks to; of a broken .gz nothing."""
    hint = "ltsm data get --data DIR for another folder"
    with explained(DataError, f"cannot read {path}", hint), regular.opened(path) as file:
        if not unpack:
            return file.read(min(limit, os.fstat(file.fileno()).st_size))
        try:
            return gzip.GzipFile(fileobj=file).read(limit)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return b""


def _get_into(folder: Path) -> str:
    return f"ltsm data get --data {shlex.quote(str(folder))}"


def _damage(finding: Finding) -> str:
    size, md5 = finding.expected_size, finding.expected_md5
    if size is None or finding.size == size:
        wrong = f"its MD5 is {finding.md5}, not {md5}"
    elif str(finding.path).endswith(".gz"):
        wrong = f"it does not unpack to {size:,} bytes with the MD5 {md5}"
    else:
        wrong = f"it has {finding.size:,} bytes, not {size:,} (MD5 {md5})"
    return f"{finding.path} is damaged: {wrong}."


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


MNIST = PublishedSet(
    title="MNIST",
    classes=10,
    files=(
        PublishedFile("train-images-idx3-ubyte", 47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
        PublishedFile("train-labels-idx1-ubyte", 60_008, "a25bea736e30d166cdddb491f175f624"),
        PublishedFile("t10k-images-idx3-ubyte", 7_840_016, "2646ac647ad5339dbf082846283269ea"),
        PublishedFile("t10k-labels-idx1-ubyte", 10_008, "27ae3e4e09519cfbb04c329615203637"),
    ),
)

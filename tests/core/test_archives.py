"""Fashion-MNIST, KMNIST, EMNIST, CIFAR-10: torchvision's checksums, and made-up archives of their form."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tarfile
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ltsm.core import archives, datasets, download, idx, sources
from ltsm.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def as_idx(array: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


PARTS = [
    np.full((4, 3, 3), 7, np.uint8),
    np.arange(1, 5, dtype=np.uint8),
    np.ones((2, 3, 3), np.uint8),
    np.array([1, 2], np.uint8),
]


def known_as(monkeypatch: pytest.MonkeyPatch, name: str, contents: list[bytes]) -> None:
    """Give a set of `archives` the checksums of these contents."""
    published = getattr(archives, name)
    files = tuple(
        replace(file, md5=hashlib.md5(content, usedforsecurity=False).hexdigest())
        for file, content in zip(published.files, contents, strict=True)
    )
    changed = replace(published, files=files)
    monkeypatch.setattr(archives, name, changed)


def put(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def zipped(split: str) -> bytes:
    buffer = io.BytesIO()
    names = [
        f"gzip/emnist-{split}-{p}-{w}-ubyte.gz"
        for p in ("train", "test")
        for w in ("images-idx3", "labels-idx1")
    ]
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in zip(names, PARTS, strict=True):
            archive.writestr(name, as_idx(array))
    return buffer.getvalue()


class Python2Array:
    """Pickled as Python 2 pickled an array: its memory as text."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __reduce__(self):
        rebuild, arguments, (version, shape, kind, order, memory) = self._array.__reduce__()
        return rebuild, (*arguments[:2], "b"), (version, shape, kind, order, memory.decode("latin1"))


def tarred(batch: object) -> bytes:
    buffer = io.BytesIO()
    content = pickle.dumps(batch, protocol=2)
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in sum(archives.CIFAR_BATCHES, ()):
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "published", [archives.FASHION_MNIST, archives.KMNIST, archives.EMNIST, archives.CIFAR10]
)
def test_checksums_are_torchvisions(published) -> None:
    """Every file has the MD5 that torchvision expects, under the name that it downloads."""
    _, theirs = download._published(published)
    assert theirs == {file.name: file.md5 for file in published.files}


def test_packed_idx_files_are_read(monkeypatch, tmp_path) -> None:
    """Fashion-MNIST's form: four IDX files that stay packed."""
    contents = [as_idx(part) for part in PARTS]
    known_as(monkeypatch, "KMNIST", contents)
    for file, content in zip(archives.KMNIST.files, contents, strict=True):
        put(tmp_path / "KMNIST" / "raw", file.name, content)
    train, validation = archives.read_idx(archives.KMNIST, tmp_path)
    assert np.array_equal(train.images, PARTS[0])
    assert validation.labels.tolist() == [1, 2]
    assert sources.read_idx_set(archives.KMNIST, tmp_path).classes == 10


def test_a_damaged_packed_file_is_named(tmp_path) -> None:
    """A file of another MD5 is never unpacked."""
    for file in archives.KMNIST.files:
        put(tmp_path / "KMNIST" / "raw", file.name, b"no archive")
    with pytest.raises(DataError, match="is damaged: its MD5 is"):
        datasets.load_dataset("kmnist", tmp_path)
    assert {f.state for f in idx.check_files(archives.KMNIST, tmp_path)} == {"damaged"}


def test_letters_count_from_0(monkeypatch, tmp_path) -> None:
    """EMNIST's letters are published as 1 to 26."""
    known_as(monkeypatch, "EMNIST", [zipped("letters")])
    put(tmp_path / "EMNIST" / "raw", "gzip.zip", zipped("letters"))
    train, _ = archives.read_emnist("letters", tmp_path)
    assert train.labels.tolist() == [0, 1, 2, 3]
    assert sources.read_emnist("letters", tmp_path).classes == 26


def test_a_damaged_part_of_an_archive_is_named(monkeypatch, tmp_path) -> None:
    part = "gzip/emnist-letters-test-images-idx3-ubyte.gz"
    buffer = io.BytesIO(zipped("letters"))
    with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(damaged := io.BytesIO(), "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, b"no archive" if name == part else whole.read(name))
    known_as(monkeypatch, "EMNIST", [damaged.getvalue()])
    put(tmp_path / "EMNIST" / "raw", "gzip.zip", damaged.getvalue())
    with pytest.raises(DataError, match=f"^{part} does not hold what was published"):
        archives.read_emnist("letters", tmp_path)


def test_cifar_is_read_channel_last(monkeypatch, tmp_path) -> None:
    """Five training batches in their order, red, green and blue side by side."""
    pixels = np.repeat(np.array([[10, 20, 30]], np.uint8), 1024, axis=1).repeat(2, axis=0)
    content = tarred({"data": Python2Array(pixels), "labels": [3, 9]})
    known_as(monkeypatch, "CIFAR10", [content])
    put(tmp_path, archives.CIFAR10.files[0].name, content)
    train, validation = archives.read_cifar10(tmp_path)
    assert train.images.shape == (10, 32, 32, 3)
    assert train.images[0, 0, 0].tolist() == [10, 20, 30]
    assert validation.labels.tolist() == [3, 9]
    assert sources.read_cifar10(tmp_path).classes == 10


class Harmful:
    """What a pickle could do."""

    def __reduce__(self):
        return os.system, ("exit 1",)


def test_a_pickle_that_calls_anything_is_refused(monkeypatch, tmp_path) -> None:
    """Even one of the right checksum."""
    content = tarred({"data": Harmful(), "labels": []})
    known_as(monkeypatch, "CIFAR10", [content])
    put(tmp_path, archives.CIFAR10.files[0].name, content)
    with pytest.raises(DataError, match="CIFAR-10 does not hold what was published"):
        archives.read_cifar10(tmp_path)


def test_each_is_missing_where_there_is_nothing(tmp_path) -> None:
    """Nothing is read, and the next command is named."""
    for name in ("fashion-mnist", "kmnist", "emnist", "emnist-letters", "cifar10"):
        assert datasets.missing(name, tmp_path)
        with pytest.raises(DataError) as caught:
            datasets.load_dataset(name, tmp_path)
        assert "ltsm data get" in caught.value.hint

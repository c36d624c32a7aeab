"""Data sets published as archives: Fashion-MNIST, KMNIST, EMNIST and CIFAR-10, checked and read as they are packed.

Only the packed files' MD5 are published, so these are kept; unpacking takes less time than checking.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ltsm.core.idx import MNIST, PublishedFile, PublishedSet, parse_idx, read_file
from ltsm.core.images import Labelled
from ltsm.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EMNIST_CLASSES = {"balanced": 47, "letters": 26, "digits": 10}
"""The splits of EMNIST that are offered; `balanced` is meant where only EMNIST is said."""
CIFAR_SHAPE = (3, 32, 32)
CIFAR_BATCHES = (tuple(f"data_batch_{i}" for i in range(1, 6)), ("test_batch",))

_BROKEN = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    pickle.UnpicklingError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_idx(files: PublishedSet, folder: Path) -> tuple[Labelled, Labelled]:
    """Training and validation set from four IDX files, of which some are kept as .gz.

    Raises:
        DataError: a file is missing or damaged.
    """
    contents = [(file, read_file(files, file, folder)) for file in files.files]
    arrays = [(_unpacked if file.packed else parse_idx)(found, file.name) for file, found in contents]
    return Labelled(*arrays[:2]), Labelled(*arrays[2:])


def read_emnist(split: str, folder: Path) -> tuple[Labelled, Labelled]:
    """One split of EMNIST; the letters, published as 1 to 26, are 0 to 25 here.

    Raises:
        DataError: the archive is missing or damaged.
    """
    content = read_file(EMNIST, EMNIST.files[0], folder)
    parts = [
        f"gzip/emnist-{split}-{part}-{what}-ubyte.gz"
        for part in ("train", "test")
        for what in ("images-idx3", "labels-idx1")
    ]
    with _inside("EMNIST"), zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = [_unpacked(archive.read(name), name) for name in parts]
    first_label = 1 if split == "letters" else 0
    arrays[1], arrays[3] = arrays[1] - np.uint8(first_label), arrays[3] - np.uint8(first_label)
    return Labelled(*arrays[:2]), Labelled(*arrays[2:])


def read_cifar10(folder: Path) -> tuple[Labelled, Labelled]:
    """CIFAR-10 as images (n, 32, 32, 3), its five training batches in their order.

    Raises:
        DataError: the archive is missing or damaged.
    """
    content = read_file(CIFAR10, CIFAR10.files[0], folder)
    with _inside("CIFAR-10"), tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        train, validation = (_cifar_part(archive, names) for names in CIFAR_BATCHES)
    return train, validation


def _unpacked(content: bytes, name: str) -> NDArray[np.uint8]:
    with _inside(name):
        return parse_idx(gzip.decompress(content), name)


@contextmanager
def _inside(name: str) -> Iterator[None]:
    """Whatever is wrong inside an archive, in one sentence."""
    try:
        yield
    except _BROKEN as error:
        raise DataError(f"{name} does not hold what was published.", "ltsm data get --force NAME") from error


def _cifar_part(archive: tarfile.TarFile, names: tuple[str, ...]) -> Labelled:
    batches = [_cifar_batch(archive, name) for name in names]
    pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, *CIFAR_SHAPE)
    labels = np.concatenate([np.asarray(batch["labels"], np.uint8) for batch in batches])
    return Labelled(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), labels)


def _cifar_batch(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    member = archive.extractfile(f"cifar-10-batches-py/{name}")
    if member is None:
        raise KeyError(name)
    batch: dict[str, Any] = _ArraysOnly(member, encoding="latin1").load()
    return batch


class _ArraysOnly(pickle.Unpickler):
    """Reads the published pickles, which have to be: builds numpy's arrays and calls nothing else."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """What a pickle may name.

        Raises:
            pickle.UnpicklingError: it names something else.
        """
        rebuild: Any = np.empty(0).__reduce__()[0]
        allowed: dict[str, Callable[..., Any]] = {
            "_reconstruct": rebuild,
            "ndarray": np.ndarray,
            "dtype": np.dtype,
        }
        if not module.startswith("numpy") or name not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return allowed[name]


def _gz_set(title: str, *md5s: str) -> PublishedSet:
    names = (
        f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    )
    # They have as many images as MNIST, of the same size.
    files = (
        PublishedFile(name, None, md5, packed=True, largest=mnist.sent)
        for name, md5, mnist in zip(names, md5s, MNIST.files, strict=True)
    )
    return PublishedSet(title, 10, tuple(files))


FASHION_MNIST = _gz_set(
    "FashionMNIST",
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
KMNIST = _gz_set(
    "KMNIST",
    "bdb82020997e1d708af4cf47b453dcf7",
    "e144d726b3acfaa3e44228e80efcd344",
    "5c965bf0a639b31b8f53240b1b52f4d7",
    "7320c461ea6c1c855c0b718fb2a4b134",
)
EMNIST = PublishedSet(
    "EMNIST",
    47,
    (PublishedFile("gzip.zip", None, "58c8d27c78d21e728a6bc7b3cc06412e", packed=True, largest=561_753_746),),
)
CIFAR10 = PublishedSet(
    "CIFAR10",
    10,
    (
        PublishedFile(
            "cifar-10-python.tar.gz",
            None,
            "c58f30108f718f92721af3b95e74349a",
            packed=True,
            largest=170_498_071,
        ),
    ),
    folder="",
)

"""Data files that were damaged, exchanged or cut: named before a network sees them, and never mixed into a sweep."""

import gzip
import hashlib
import os
import random
from pathlib import Path

import numpy as np
import pytest
from small import results
from torture.counts import counted, tell
from torture.oracle import refused
from torture.test_damage import KINDS, flipped

from ltsm.core import idx, own
from ltsm.core.datasets import content_digest
from ltsm.core.sources import read_idx_set
from ltsm.errors import DataError
from ltsm.store import read, schema


def idx_file(array):
    head = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


def arrays():
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (60, 6, 6), np.uint8), draw.integers(0, 256, (20, 6, 6), np.uint8)
    labels = draw.integers(0, 10, 60, np.uint8), draw.integers(0, 10, 20, np.uint8)
    return {"x_train": images[0], "y_train": labels[0], "x_val": images[1], "y_val": labels[1]}


@pytest.fixture
def published(tmp_path):
    """A set of four files as MNIST is, every other one packed, and their contents."""
    files, contents = [], {}
    for number, (name, array) in enumerate(arrays().items()):
        content = idx_file(array)
        files.append(idx.PublishedFile(name, len(content), hashlib.md5(content).hexdigest()))  # noqa: S324
        path = tmp_path / (f"{name}.gz" if number % 2 else name)
        contents[path] = gzip.compress(content, mtime=0) if number % 2 else content
        path.write_bytes(contents[path])
    return idx.PublishedSet("Small", 10, tuple(files), "."), contents


def damaged(contents, draw, number):
    """One of the files changed, or exchanged with another; which, and back to what it has to be."""
    path = draw.choice(sorted(contents))
    if number % 8 == 7:
        path.write_bytes(contents[draw.choice([other for other in contents if other != path])])
    else:
        path.write_bytes(KINDS[number % 8](contents[path], draw))
    return path


def digest(raw):
    return content_digest(raw.train, raw.validation)


@counted("damages")
def test_a_damaged_published_file_is_named(published, tmp_path, count):
    """MNIST's four files, in small: `.gz` and not. What is read is what was published, or a sentence names the file.

    Taken out: the MD5 in `idx._examine`; changed images were read as what was published.
    """
    files, contents = published
    draw, expected, refusals = random.Random(count), digest(read_idx_set(files, tmp_path)), 0
    for number in range(count):
        path = damaged(contents, draw, number)
        try:
            # a changed time in the head of a .gz changes no image
            assert digest(read_idx_set(files, tmp_path)) == expected, number
        except DataError as error:
            assert path.name in error.message, error.message
            refusals += 1
        path.write_bytes(contents[path])
    assert refusals > count * 0.9
    tell("damaged data files", count)


@counted("damages")
def test_a_damaged_npz_is_named_or_other_data(tmp_path, count):
    """It has no published sum: its own CRC finds the damage, and the protocol's name for it has its content's digest.

    Taken out: the look at the digest in `own.read`; the exchanged file was read.
    """
    path, other = tmp_path / "mine.npz", tmp_path / "other.npz"
    np.savez(path, **arrays())
    np.savez(other, **{**arrays(), "y_val": arrays()["y_val"][::-1]})
    contents = {path: path.read_bytes(), other: other.read_bytes()}
    name = own.named(own.read(str(path), path), str(path), path)
    draw, expected, refusals = random.Random(count), digest(own.read(name, path)), 0
    for number in range(count):
        contents_of_one = {path: contents[path]} if number % 8 != 7 else contents
        changed = damaged(contents_of_one, draw, number)
        try:
            assert digest(own.read(name, path)) == expected, number
        except DataError as error:
            assert path.name in error.message, error.message
            refusals += 1
        changed.write_bytes(contents[changed])
    assert refusals > count / 2
    tell("damaged data files", count)


@pytest.fixture
def mnist(tmp_path):
    """A folder with links to the real files."""
    there = Path(os.environ.get("LTSM_DATA", "data"))
    if idx.missing(idx.MNIST, there):
        pytest.skip(f"there is no MNIST in {there}")
    found = {file.name: idx.locate(idx.MNIST, file, there) for file in idx.MNIST.files}
    folder = tmp_path / "mnist"
    folder.mkdir()
    for path in found.values():
        (folder / path.name).symlink_to(path.absolute())
    return folder


@pytest.mark.mnist
@pytest.mark.parametrize("which", range(4))
def test_a_flipped_bit_in_mnist_ends_a_sweep(ltsm, mnist, which):
    """Named, with how to replace it; no run has failed, and with whole data the same command goes on.

    Taken out: the MD5 in `idx._examine`; the sweep trained on what was there.
    """
    path = sorted(mnist.iterdir())[which]
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(flipped(whole, random.Random(which)))
    sweep = ("sweep", "--protocol", "tiny.toml", "--jobs", "1", "--data", mnist)
    (ltsm.folder / "tiny.toml").write_text(TINY)
    words = refused(ltsm.start(*sweep), 3)
    assert path.name in words
    assert "ltsm data get --data" in words
    assert refused(ltsm.start("data", "check", "--data", mnist), 3)
    assert {run[0] for run in results(ltsm.store).values()} <= {"pending", "interrupted"}
    path.write_bytes(whole)
    assert ltsm.start(*sweep).ended() == 0, ltsm.words


TINY = """base = "paper"
name = "tiny"
dataset = "mnist"
seeds = "0"
hidden = [4, 3]
initial_iterations = 10
iterations = 10
record_every = 10
threshold_step = 0.1
hyperops = []
train_size = 600
validation_size = 100
"""


def test_changed_data_never_mixes_into_a_sweep(ltsm):
    """An .npz that was exchanged is other data, of another protocol; asked for by its digest, it is refused.

    Taken out: the look at the digest in `own.read`; asked for by its digest, the exchanged file was taken.
    """
    toml, mine = ltsm.folder / "small.toml", ltsm.folder / "mine.npz"
    toml.write_text(toml.read_text().replace('"digits"', '"mine.npz"'))
    np.savez(mine, **arrays())
    run = ltsm.sweep()
    assert run.said("initial training done"), run.words
    run.kill()
    before = results(ltsm.store)
    store = schema.open_for_reading(ltsm.store)
    (first,) = read.protocols(store)
    store.close()
    np.savez(mine, **{**arrays(), "y_val": arrays()["y_val"][::-1]})
    named = ("sweep", "--protocol", "small.toml", "--dataset", first.settings["dataset"])
    assert "its content differs" in refused(ltsm.start(*named), 3)
    assert results(ltsm.store) == before
    assert ltsm.sweep().ended() == 0, ltsm.words
    store = schema.open_for_reading(ltsm.store)
    assert len(read.protocols(store)) == 2
    digests = [
        {run.provenance["data_sha256"] for run in read.runs(store, p.id) if run.provenance}
        for p in read.protocols(store)
    ]
    store.close()
    assert [len(some) for some in digests] == [1, 1]
    assert digests[0] != digests[1]

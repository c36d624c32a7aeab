"""Data sets: found, downloaded, checked, read; whatever the files and the network do."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltsm.core import datasets, download, idx, images, sources
from ltsm.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MNIST_DIGEST = "88d991fdc7ccde887ffc4f71beaebdea7f32713839bb7d725186db364a03b513"
DIGITS_DIGEST = "063e0159110e3a3179756d1140a9d5b9f5d939c4a8e682c9816c751b522307da"
OFFLINE = {"LTSM_MIRROR": "http://127.0.0.1:9/"}
"""The discard port, where nobody listens."""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"train_images": torch.zeros(3, 4, dtype=torch.float64)},
            "train images and labels hold torch.float64",
        ),
        (
            {"validation_labels": torch.zeros(2, dtype=torch.int32)},
            "validation images and labels hold torch.float32 and torch.int32",
        ),
        ({"train_labels": torch.zeros(2, dtype=torch.int64)}, r"have the shapes (3, 4) and (2,)"),
        ({"validation_images": torch.zeros(2, 2, 2)}, r"have the shapes (2, 2, 2) and (2,)"),
    ],
)
def test_tensors_of_other_types_and_shapes_are_refused(changed: dict[str, torch.Tensor], words: str) -> None:
    """The kernel in C does not look: they would be read as something else."""
    parts = {
        "train_images": torch.zeros(3, 4),
        "train_labels": torch.zeros(3, dtype=torch.int64),
        "validation_images": torch.zeros(2, 4),
        "validation_labels": torch.zeros(2, dtype=torch.int64),
    }
    with pytest.raises(DataError) as caught:
        datasets.Dataset(name="x", classes=2, image_shape=(2, 2), digest="", **parts | changed)
    assert words in caught.value.message


def test_a_test_set_of_other_types_is_refused_by_its_name() -> None:
    with pytest.raises(DataError, match=r"^test images and labels hold torch\.float32 and torch\.int32"):
        datasets.TestSet(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int32))


def as_idx(array: np.ndarray) -> bytes:
    """An array of bytes as IDX."""
    return (
        bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
    )


def tiny_contents() -> dict[str, bytes]:
    """Twelve training and four validation images of 4×4, under the published names."""
    generator = np.random.default_rng(0)
    names = [file.name for file in idx.MNIST.files]
    arrays = [
        generator.integers(0, 256, (12, 4, 4), np.uint8),
        np.arange(12, dtype=np.uint8) % 10,
        generator.integers(0, 256, (4, 4, 4), np.uint8),
        np.arange(4, dtype=np.uint8),
    ]
    return {name: as_idx(array) for name, array in zip(names, arrays, strict=True)}


CONTENTS = tiny_contents()
PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}
IMAGES, LABELS, *_ = CONTENTS


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


TINY = idx.PublishedSet("MNIST", 10, tuple(idx.PublishedFile(n, len(c), md5(c)) for n, c in CONTENTS.items()))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> idx.PublishedSet:
    """A tiny data set of its own checksums in MNIST's place."""
    monkeypatch.setitem(sources.DATASETS, "mnist", sources.Source(partial(sources.read_idx_set, TINY), TINY))
    mnist = download.torchvision_datasets().MNIST
    monkeypatch.setattr(mnist, "resources", [(name, md5(content)) for name, content in PACKED.items()])
    monkeypatch.setattr(mnist, "mirrors", ["http://127.0.0.1:9/"])
    return TINY


def put(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that holds the whole tiny set as torchvision lays it out."""
    put(tmp_path / "data" / "MNIST" / "raw", CONTENTS)
    return tmp_path / "data"


class Mirror:
    """A server on this machine; `files` is what it sends, `sizes` what it announces where that is a lie."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = dict(PACKED)
        self.sizes: dict[str, int] = {}
        self.asked: list[str] = []
        mirror = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                mirror.asked.append(name)
                if name not in mirror.files:
                    self.send_error(404)
                    return
                self.send_response(200)
                size = mirror.sizes.get(name, len(mirror.files[name]))
                self.send_header("Content-Length", str(size))
                self.end_headers()
                self.wfile.write(mirror.files[name])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/mnist"
        self.thread = Thread(target=partial(self.server.serve_forever, poll_interval=0.01))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    mirror = Mirror()
    yield mirror
    mirror.close()


def everything_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


WHOLE = sorted(f"MNIST/raw/{name}" for name in CONTENTS)


class TestLoad:
    def test_pixels_are_scaled_and_images_flattened_in_file_order(
        self, tiny: idx.PublishedSet, root: Path
    ) -> None:
        data = datasets.load_dataset("mnist", root)
        assert data.train_images.shape == (12, 16)
        assert data.train_images.dtype == torch.float32
        assert data.train_labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
        assert data.train_labels.dtype == torch.int64
        assert data.validation_images.shape == (4, 16)
        assert (data.classes, data.image_shape) == (10, (4, 4))
        pixels = torch.tensor(list(CONTENTS[IMAGES][16:]), dtype=torch.float32).reshape(12, 16)
        assert torch.equal(data.train_images, pixels / 255)

    def test_standardised_pixels_have_the_training_images_mean_and_deviation(
        self, tiny: idx.PublishedSet, root: Path
    ) -> None:
        raw = datasets.load_dataset("mnist", root, train_size=5)
        data = datasets.load_dataset("mnist", root, pixels="standardised", train_size=5)
        std, mean = torch.std_mean(raw.train_images, correction=0)
        assert torch.allclose(data.train_images, (raw.train_images - mean) / std, atol=1e-5)
        assert torch.allclose(data.validation_images, (raw.validation_images - mean) / std, atol=1e-5)
        assert data.digest == raw.digest, "the digest is of what is there before scaling"

    def test_constant_pixels_cannot_be_standardised(self) -> None:
        with pytest.raises(DataError, match="same value"):
            images.mean_and_deviation(np.full((3, 2, 2), 7, np.uint8))

    def test_sizes_take_the_first_images(self, tiny: idx.PublishedSet, root: Path) -> None:
        whole = datasets.load_dataset("mnist", root)
        part = datasets.load_dataset("mnist", root, train_size=3, validation_size=2)
        assert torch.equal(part.train_images, whole.train_images[:3])
        assert torch.equal(part.validation_labels, whole.validation_labels[:2])
        assert part.digest != whole.digest
        assert datasets.load_dataset("mnist", root, train_size=12, validation_size=4).digest == whole.digest

    @pytest.mark.parametrize("sizes", [{"train_size": 13}, {"validation_size": 5}, {"train_size": 0}])
    def test_more_images_than_there_are_is_refused(
        self, tiny: idx.PublishedSet, root: Path, sizes: dict[str, int]
    ) -> None:
        with pytest.raises(DataError, match=r"there are (12|4) (training|validation) images in mnist, not"):
            datasets.load_dataset("mnist", root, **sizes)  # type: ignore[arg-type]

    def test_an_unknown_name_lists_the_known_ones(self) -> None:
        with pytest.raises(UsageError, match="'imagenet': there are mnist, digits"):
            datasets.load_dataset("imagenet", Path())

    def test_packed_files_are_read_as_they_are(
        self, tiny: idx.PublishedSet, root: Path, tmp_path: Path
    ) -> None:
        put(tmp_path / "packed" / "MNIST" / "raw", PACKED)
        packed = datasets.load_dataset("mnist", tmp_path / "packed")
        assert packed.digest == datasets.load_dataset("mnist", root).digest

    @pytest.mark.parametrize("below", [".", "raw", "MNIST/raw"])
    def test_files_may_lie_in_the_folder_itself(
        self, tiny: idx.PublishedSet, tmp_path: Path, below: str
    ) -> None:
        put(tmp_path / below, CONTENTS)
        assert len(datasets.load_dataset("mnist", tmp_path).train_labels) == 12

    def test_images_and_labels_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        for labels in (np.zeros(11, np.uint8), np.full(12, 10, np.uint8), np.zeros((12, 1), np.uint8)):
            contents = CONTENTS | {LABELS: as_idx(labels)}
            files = idx.PublishedSet(
                "MNIST", 10, tuple(idx.PublishedFile(n, len(c), md5(c)) for n, c in contents.items())
            )
            put(tmp_path, contents)
            with pytest.raises(DataError, match="do not belong together"):
                sources.read_idx_set(files, tmp_path)


class TestDamage:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (CONTENTS[IMAGES][:-1], "it has 207 bytes, not 208"),
            (CONTENTS[IMAGES] + b"x", "it has 209 bytes, not 208"),
            (b"", "it has 0 bytes, not 208"),
            (CONTENTS[IMAGES][:-1] + b"\x00", "its MD5 is .*, not "),
        ],
    )
    def test_a_damaged_file_is_named_with_what_was_expected(
        self, tiny: idx.PublishedSet, root: Path, content: bytes, words: str
    ) -> None:
        (root / "MNIST" / "raw" / IMAGES).write_bytes(content)
        with pytest.raises(DataError, match=f"{IMAGES} is damaged: {words}") as caught:
            datasets.load_dataset("mnist", root)
        assert md5(CONTENTS[IMAGES]) in caught.value.message
        assert caught.value.hint.startswith(f"ltsm data get --data {root}")

    @pytest.mark.parametrize(
        "content",
        [PACKED[f"{IMAGES}.gz"][:-9], b"<html>not here</html>", b"", gzip.compress(bytes(10**6))],
        ids=["truncated", "html", "empty", "bomb"],
    )
    def test_a_damaged_packed_file_is_named(
        self, tiny: idx.PublishedSet, tmp_path: Path, content: bytes
    ) -> None:
        put(tmp_path, PACKED | {f"{IMAGES}.gz": content})
        with pytest.raises(DataError, match=rf"{IMAGES}\.gz is damaged: it does not unpack to 208 bytes"):
            datasets.load_dataset("mnist", tmp_path)

    def test_a_missing_file_is_named(self, tiny: idx.PublishedSet, root: Path) -> None:
        (root / "MNIST" / "raw" / LABELS).unlink()
        with pytest.raises(DataError, match=f"has no {LABELS}") as caught:
            datasets.load_dataset("mnist", root)
        assert caught.value.hint == f"ltsm data get --data {root}"

    def test_a_folder_in_a_files_place_is_no_file(self, tiny: idx.PublishedSet, root: Path) -> None:
        (root / "MNIST" / "raw" / LABELS).unlink()
        (root / "MNIST" / "raw" / LABELS).mkdir()
        assert datasets.missing("mnist", root) == [LABELS]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_an_unreadable_file_is_named(self, tiny: idx.PublishedSet, root: Path) -> None:
        (root / "MNIST" / "raw" / LABELS).chmod(0)
        with pytest.raises(DataError, match=f"cannot read .*{LABELS}: Permission denied"):
            datasets.load_dataset("mnist", root)

    def test_check_says_what_is_wrong_with_each_file(self, tiny: idx.PublishedSet, root: Path) -> None:
        raw = root / "MNIST" / "raw"
        (raw / LABELS).unlink()
        (raw / IMAGES).write_bytes(b"short")
        published = {file.name: (file.size, file.md5) for file in TINY.files}
        found = {finding.name: finding for finding in idx.check_files(TINY, root)}
        assert [finding.state for finding in found.values()] == ["damaged", "missing", "fine", "fine"]
        assert {name: (f.expected_size, f.expected_md5) for name, f in found.items()} == published
        assert (found[IMAGES].size, found[IMAGES].md5) == (5, md5(b"short"))
        assert (found[LABELS].path, found[LABELS].size, found[LABELS].md5) == (None, None, None)

    def test_an_oversized_file_is_not_read_to_its_end(self, tiny: idx.PublishedSet, root: Path) -> None:
        with (root / "MNIST" / "raw" / IMAGES).open("ab") as stream:
            stream.truncate(10**12)
        finding = idx.check_files(TINY, root)[0]
        assert (finding.state, finding.size, finding.md5) == ("damaged", 10**12, None)


class TestParse:
    """Bytes that passed no checksum, as those of another data set might not."""

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=200))
    def test_random_bytes_are_refused_or_read(self, content: bytes) -> None:
        self.refused_or_read(content)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.integers(0, 2**32 - 1), max_size=80), st.binary(max_size=50), st.integers(0, 400))
    def test_headers_that_announce_anything_are_refused_or_read(
        self, shape: list[int], values: bytes, cut: int
    ) -> None:
        header = bytes((0, 0, 8, len(shape))) + b"".join(n.to_bytes(4, "big") for n in shape)
        self.refused_or_read((header + values)[:cut])

    @settings(max_examples=50, deadline=None)
    @given(st.integers(0, 207), st.integers(0, 255))
    def test_one_changed_byte_is_refused_or_read(self, position: int, value: int) -> None:
        content = bytearray(CONTENTS[IMAGES])
        content[position] = value
        self.refused_or_read(bytes(content))

    def test_a_header_of_a_billion_images_allocates_nothing(self) -> None:
        content = bytes((0, 0, 8, 3)) + b"\xff\xff\xff\xff" * 3 + b"few"
        with pytest.raises(DataError, match=r"announces 4,294,967,295 × .* and holds 3"):
            idx.parse_idx(content, "big")

    @staticmethod
    def refused_or_read(content: bytes) -> None:
        try:
            array = idx.parse_idx(content, "some-file")
        except DataError as error:
            assert "some-file" in error.message
        else:
            assert array.tobytes() == content[4 + 4 * array.ndim :]

    @settings(max_examples=100, deadline=None)
    @given(content=st.binary(max_size=400), packed=st.booleans())
    def test_random_files_are_found_damaged(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes, packed: bool
    ) -> None:
        folder = tmp_path_factory.mktemp("random")
        (folder / f"{IMAGES}{'.gz' if packed else ''}").write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            idx.read_file(TINY, TINY.files[0], folder)


@pytest.mark.usefixtures("tiny")
class TestDownload:
    def test_whole_files_and_nothing_else_come(
        self, mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said: list[str] = []
        download.download(TINY, tmp_path, [mirror.url], say=said.append)
        assert everything_in(tmp_path) == WHOLE
        assert len(datasets.load_dataset("mnist", tmp_path).train_labels) == 12
        assert said == [f"{name} from {mirror.url}/" for name in PACKED]
        assert capsys.readouterr() == ("", ""), "no bar where there is no terminal"

    def test_nothing_is_asked_for_twice(self, mirror: Mirror, root: Path) -> None:
        download.download(TINY, root, [mirror.url])
        assert mirror.asked == []
        download.download(TINY, root, [mirror.url], force=True)
        assert set(mirror.asked) == set(PACKED)

    def test_torchvisions_mirrors_are_the_default(
        self, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download.torchvision_datasets().MNIST, "mirrors", [f"{mirror.url}/"])
        download.download(TINY, tmp_path)
        assert everything_in(tmp_path) == WHOLE

    @pytest.mark.parametrize("first", ["http://127.0.0.1:9/", "no-address", "http://127.0.0.1:9/[", ""])
    def test_a_dead_mirror_is_passed_over(self, mirror: Mirror, tmp_path: Path, first: str) -> None:
        download.download(TINY, tmp_path, [first, mirror.url])
        assert everything_in(tmp_path) == WHOLE

    @pytest.mark.parametrize(
        ("sent", "words"),
        [
            (gzip.compress(CONTENTS[IMAGES][::-1]), "not the published file"),
            (PACKED[f"{IMAGES}.gz"][:50], "not the published file"),
            (b"<html>Please log in</html>", "not the published file"),
            (b"", "not the published file"),
            (None, "HTTP Error 404"),
        ],
        ids=["wrong", "truncated", "html", "empty", "404"],
    )
    @pytest.mark.parametrize("announced", [None, 120], ids=["", "broken off"])
    def test_what_is_not_the_published_file_is_refused(
        self, mirror: Mirror, tmp_path: Path, sent: bytes | None, words: str, announced: int | None
    ) -> None:
        mirror.sizes = {} if announced is None else {f"{IMAGES}.gz": announced}
        mirror.files.pop(f"{IMAGES}.gz")
        if sent is not None:
            mirror.files[f"{IMAGES}.gz"] = sent
        with pytest.raises(DataError, match=words) as caught:
            download.download(TINY, tmp_path, [mirror.url])
        assert mirror.url in caught.value.message
        assert everything_in(tmp_path) == []

    def test_no_network_names_every_mirror_and_two_ways_out(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"127\.0\.0\.1:9/ .*refused.*; http://127\.0\.0\.1:10/"
        ) as caught:
            download.download(TINY, tmp_path, ["http://127.0.0.1:9/", "http://127.0.0.1:10/"])
        assert "\n" not in caught.value.message
        assert "--from DIR" in caught.value.hint
        assert "--dataset digits" in caught.value.hint
        assert everything_in(tmp_path) == []

    def test_a_mirror_that_never_answers_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download, "TIMEOUT", 0.05)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            with pytest.raises(DataError, match="timed out"):
                download.download(TINY, tmp_path, [address])
        assert socket.getdefaulttimeout() is None

    def test_a_half_finished_download_is_finished(self, mirror: Mirror, tmp_path: Path) -> None:
        """Whatever an interrupted torchvision left: a partial .gz, a partly unpacked file, good files."""
        raw = put(tmp_path / "MNIST" / "raw", {IMAGES: CONTENTS[IMAGES][:100], LABELS: CONTENTS[LABELS]})
        third = list(PACKED)[2]
        put(raw, {third: PACKED[third][:30]})
        download.download(TINY, tmp_path, [mirror.url])
        assert {f.state for f in idx.check_files(TINY, tmp_path)} == {"fine"}
        assert f"{LABELS}.gz" not in mirror.asked, "a good file stays"

    def test_files_that_came_whole_stay_when_a_later_one_fails(self, mirror: Mirror, tmp_path: Path) -> None:
        del mirror.files[list(PACKED)[2]]
        with pytest.raises(DataError, match="404"):
            download.download(TINY, tmp_path, [mirror.url])
        assert everything_in(tmp_path) == sorted([f"MNIST/raw/{IMAGES}", f"MNIST/raw/{LABELS}"])

    def test_a_folder_that_cannot_be_written_is_named(self, mirror: Mirror, tmp_path: Path) -> None:
        (tmp_path / "MNIST").write_text("a file in the folder's place")
        with pytest.raises(DataError, match=r"cannot write to .*raw: Not a directory") as caught:
            download.download(TINY, tmp_path, [mirror.url])
        assert "--data DIR" in caught.value.hint
        with pytest.raises(DataError, match="cannot write to"):
            idx.write_files(TINY, CONTENTS, tmp_path)


class TestCopy:
    @pytest.mark.parametrize("contents", [CONTENTS, PACKED], ids=["plain", "packed"])
    @pytest.mark.parametrize("below", [".", "raw", "MNIST/raw"])
    def test_files_are_found_checked_and_copied(
        self, tiny: idx.PublishedSet, tmp_path: Path, contents: dict[str, bytes], below: str
    ) -> None:
        put(tmp_path / "from" / below, contents)
        download.copy(TINY, tmp_path / "from", tmp_path / "to")
        assert everything_in(tmp_path / "to") == WHOLE
        assert {f.state for f in idx.check_files(TINY, tmp_path / "to")} == {"fine"}

    def test_a_file_that_someone_packed_again_is_as_good(
        self, tiny: idx.PublishedSet, tmp_path: Path
    ) -> None:
        put(tmp_path / "from", {f"{n}.gz": gzip.compress(c, 1) for n, c in CONTENTS.items()})
        download.copy(TINY, tmp_path / "from", tmp_path / "to")
        assert everything_in(tmp_path / "to") == WHOLE

    def test_one_bad_file_and_nothing_is_written(
        self, tiny: idx.PublishedSet, root: Path, tmp_path: Path
    ) -> None:
        last = list(CONTENTS)[-1]
        (root / "MNIST" / "raw" / last).write_bytes(b"bad")
        with pytest.raises(DataError, match=f"{last} is damaged") as caught:
            download.copy(TINY, root, tmp_path / "to")
        assert caught.value.hint.startswith("ltsm data get --from")
        (root / "MNIST" / "raw" / last).unlink()
        with pytest.raises(DataError, match=f"lacks {last}"):
            download.copy(TINY, root, tmp_path / "to")
        assert not (tmp_path / "to").exists()


class TestWhere:
    def test_the_option_comes_before_the_environment_before_data(self) -> None:
        environ = {"LTSM_DATA": "~/kept"}
        assert datasets.chosen_folder(Path("here"), environ) == Path("here")
        assert datasets.chosen_folder(None, environ) == Path.home() / "kept"
        assert datasets.chosen_folder(None, {"LTSM_DATA": ""}) == Path("data")

    def test_a_named_folder_without_the_data_is_not_passed_over(
        self, tiny: idx.PublishedSet, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert datasets.find_data_folder("mnist", None, OFFLINE) == Path("data")
        with pytest.raises(DataError, match="MNIST is not whole in empty and could not be downloaded"):
            datasets.find_data_folder("mnist", Path("empty"), OFFLINE)
        with pytest.raises(DataError, match="not whole in elsewhere"):
            datasets.resolve_dataset("mnist", None, OFFLINE | {"LTSM_DATA": "elsewhere"})

    def test_missing_data_is_downloaded_into_the_named_folder_and_said_so(
        self, tiny: idx.PublishedSet, mirror: Mirror, tmp_path: Path
    ) -> None:
        said: list[str] = []
        environ = {"LTSM_MIRROR": f"http://127.0.0.1:9/ {mirror.url}"}
        folder = datasets.find_data_folder("mnist", tmp_path / "new", environ, say=said.append)
        assert everything_in(folder) == WHOLE
        assert said[0].startswith(f"{folder} lacks {IMAGES}, ")

    def test_digits_need_no_folder(self) -> None:
        assert datasets.find_data_folder("digits", None, OFFLINE) == Path("data")
        files = sources.source("digits").files
        assert idx.check_files(files, Path()) == []
        download.download(files, Path())
        download.copy(files, Path(), Path())

    def test_auto_takes_mnist_where_it_is(
        self, tiny: idx.PublishedSet, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert datasets.resolve_dataset("auto", None, OFFLINE) == datasets.Resolved("mnist", Path("data"))
        (tmp_path / "project").mkdir()
        root.rename(tmp_path / "elsewhere")
        put(tmp_path / "shared" / "data", PACKED)
        monkeypatch.chdir(tmp_path / "project")
        assert datasets.resolve_dataset("auto", None, OFFLINE).folder == Path("../shared/data")

    def test_auto_looks_nowhere_else_when_a_folder_is_named(
        self, tiny: idx.PublishedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(tmp_path / "shared" / "data", CONTENTS)
        (tmp_path / "project").mkdir()
        monkeypatch.chdir(tmp_path / "project")
        resolved = datasets.resolve_dataset("auto", Path("mine"), OFFLINE)
        assert resolved.name == "digits"
        assert "mine" in resolved.notice

    def test_auto_falls_back_to_digits_and_says_so_loudly(
        self, tiny: idx.PublishedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        resolved = datasets.resolve_dataset("auto", None, OFFLINE)
        assert resolved.name == "digits"
        assert "NOT MNIST" in resolved.notice
        assert datasets.load_dataset(resolved.name, resolved.folder).name == "digits"

    @pytest.mark.parametrize("name", ["mnist", "imagenet"])
    def test_no_other_name_falls_back(self, tiny: idx.PublishedSet, tmp_path: Path, name: str) -> None:
        with pytest.raises((DataError, UsageError)):
            datasets.resolve_dataset(name, tmp_path, OFFLINE)


class TestHeldOut:
    def test_held_out_images_validate_and_the_others_train(self) -> None:
        """Drawn from all of the training images, each in one of the two sets, both in file order."""
        whole = datasets.load_dataset("digits", Path())
        data, test = datasets.load_sets("digits", Path(), held_out=400)
        assert test is not None
        assert (len(data.train_labels), len(data.validation_labels), len(test.labels)) == (1_037, 400, 360)
        assert torch.equal(test.images, whole.validation_images)
        places = {tuple(image.tolist()): i for i, image in enumerate(whole.train_images)}
        train, held = (
            [places[tuple(image.tolist())] for image in images]
            for images in (data.train_images, data.validation_images)
        )
        assert train == sorted(train)
        assert held == sorted(held)
        assert held[:6] == [1, 4, 5, 11, 13, 19]  # the same ones wherever and whenever
        assert sorted(train + held) == list(range(1_437))
        assert 40 < sum(place < 200 for place in held) < 75
        assert torch.equal(data.validation_labels, whole.train_labels[held])
        assert data.digest == whole.digest

    def test_the_first_images_are_taken_before_any_are_held_out(self) -> None:
        data, test = datasets.load_sets("digits", Path(), train_size=100, validation_size=30, held_out=20)
        assert test is not None
        assert (len(data.train_labels), len(data.validation_labels), len(test.labels)) == (80, 20, 30)

    def test_something_has_to_be_left_to_train_on(self) -> None:
        with pytest.raises(DataError, match="1,437 training images in digits: 1,437 cannot be held out"):
            datasets.load_dataset("digits", Path(), held_out=1_437)

    def test_who_trains_and_selects_is_given_no_test_set(self) -> None:
        """By types: a `Dataset` has no field for one."""
        fields = {field.name for field in dataclasses.fields(datasets.Dataset)}
        assert not [name for name in fields if "test" in name]
        assert datasets.load_sets("digits", Path())[1] is None


def test_digits_are_split_at_a_fixed_place_in_file_order() -> None:
    data = datasets.load_dataset("digits", Path())
    assert data.train_images.shape == (1437, 64)
    assert data.validation_images.shape == (360, 64)
    assert data.image_shape == (8, 8)
    assert data.train_labels[:10].tolist() == list(range(10))
    assert (data.train_images.min().item(), data.train_images.max().item()) == (0, 1)
    assert data.digest == DIGITS_DIGEST


def mnist_root() -> Path:
    """Where the real MNIST lies, or skip."""
    named = os.environ.get("LTSM_DATA")
    places = [Path(named)] if named else [ROOT / "data", ROOT.parent / "shared" / "data"]
    found = [place for place in places if not idx.missing(idx.MNIST, place)]
    if not found:
        pytest.skip(f"no MNIST in {' or '.join(map(str, places))}")
    return found[0]


@pytest.mark.mnist
def test_mnist_is_the_published_one() -> None:
    data = datasets.load_dataset("mnist", mnist_root())
    assert data.train_images.shape == (60_000, 784)
    assert data.validation_images.shape == (10_000, 784)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.validation_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert (data.train_images == 0).float().mean().item() == pytest.approx(0.809, abs=5e-4)
    assert data.train_images.max() == 1
    assert data.digest == MNIST_DIGEST


@pytest.mark.mnist
def test_our_reader_agrees_with_torchvisions() -> None:
    root = mnist_root()
    if not idx.raw_folder(idx.MNIST, root).is_dir():
        pytest.skip("MNIST does not lie as torchvision lays it out")
    data = datasets.load_dataset("mnist", root)
    theirs = download.torchvision_datasets().MNIST(root, train=True)
    assert torch.equal(data.train_labels, theirs.targets)
    assert torch.equal(data.train_images, theirs.data.reshape(60_000, 784) / 255)


@pytest.mark.mnist
def test_the_standardised_mean_and_deviation_are_the_known_ones() -> None:
    raw = sources.source("mnist").read(mnist_root())
    mean, deviation = images.mean_and_deviation(raw.train.images)
    assert (round(mean / 255, 4), round(deviation / 255, 4)) == (0.1307, 0.3081)


def test_reading_data_needs_no_torchvision() -> None:
    """A worker process reads and never downloads; importing torchvision would cost each of them seconds."""
    code = (
        "import json, sys, ltsm.core.datasets as d, pathlib; d.load_dataset('digits', pathlib.Path());"
        "print(json.dumps([m for m in sys.modules if m.startswith('torchvision')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []

"""Folders of images: which files are taken, as what, and what is said of the others."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ltsm.core import own
from ltsm.core.download import torchvision_datasets
from ltsm.core.folders import read_folder
from ltsm.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from ltsm.core.images import RawData


def drawn(file: Path, shade: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((4, 4), shade, np.uint8)
    pixels[0] = 255 - shade
    Image.fromarray(pixels).save(file)


def photos(folder: Path, *parts: str) -> Path:
    """Two classes of two images in each part, each image another."""
    for number, part in enumerate(parts):
        for i, name in enumerate(("cat", "dog")):
            for j in range(2):
                drawn(folder / part / name / f"{j}.png", 40 * number + 10 * i + j)
    return folder


def read(folder: Path) -> RawData:
    return read_folder(folder, (4, 4), "L")


class TestParts:
    @pytest.mark.parametrize(
        ("parts", "train", "validation", "test"),
        [
            (("train", "val"), "train", "val", ""),
            (("train", "val", "test"), "train", "val", "test"),
            (("train", "valid", "test"), "train", "valid", "test"),
            (("training", "validation", "testing"), "training", "validation", "testing"),
            (("train", "test"), "train", "test", ""),
            (("Train", "Dev", "Test"), "Train", "Dev", "Test"),
        ],
    )
    def test_each_folder_is_what_it_is_called(
        self, tmp_path: Path, parts: tuple[str, ...], train: str, validation: str, test: str
    ) -> None:
        """As labelling services export them; a test set validates only where there is nothing else."""
        raw = read(photos(tmp_path, *parts))
        assert raw.origin is not None
        assert (raw.origin.train, raw.origin.validation, raw.origin.test) == (train, validation, test)
        assert raw.train.images[0, 1, 0] == 40 * parts.index(train)
        assert raw.validation.images[0, 1, 0] == 40 * parts.index(validation)
        assert (f"4 test images from {test}" in own.summary(raw)) == bool(test)
        assert (raw.test is not None) == bool(test)
        if raw.test is not None:
            assert raw.test.images[0, 1, 0] == 40 * parts.index(test)
            assert raw.test.labels.tolist() == [0, 0, 1, 1]

    def test_a_test_set_without_labels_is_left_out(self, tmp_path: Path) -> None:
        """As competitions hand them out: files without folders, or classes that nothing trained."""
        photos(tmp_path, "train", "val")
        drawn(tmp_path / "test" / "0.png", 7)
        assert read(tmp_path).test is None
        drawn(tmp_path / "test" / "bird" / "0.png", 7)
        raw = read(tmp_path)
        assert raw.test is None
        assert "1 test set without the classes of the training set (test)" in own.summary(raw)

    def test_two_that_could_be_meant_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="has both val and valid: which is meant") as caught:
            read(photos(tmp_path, "train", "val", "valid"))
        assert caught.value.message.startswith(str(tmp_path))

    def test_where_nothing_but_training_images_lie_the_folder_that_lacks_is_named(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(DataError) as caught:
            read(photos(tmp_path, "train"))
        assert caught.value.message.startswith(str(tmp_path / "val"))

    def test_a_class_without_images_is_named(self, tmp_path: Path) -> None:
        (photos(tmp_path, "train", "val") / "train" / "bird").mkdir()
        with pytest.raises(DataError, match="the class 'bird' has none"):
            read(tmp_path)


class TestFiles:
    def test_what_is_hidden_is_no_class_and_no_image(self, tmp_path: Path) -> None:
        """What notebooks, macOS, Windows and file servers leave behind is left out, and counted."""
        plain = read(photos(tmp_path / "plain", "train", "val"))
        folder = photos(tmp_path / "odd", "train", "val")
        for place in (
            "train/.ipynb_checkpoints",
            "train/cat/.ipynb_checkpoints",
            "train/@eaDir",
            "val/__MACOSX",
        ):
            drawn(folder / place / "copy.png", 99)
        for name in ("train/cat/._0.png", "train/.DS_Store", "train/cat/Thumbs.db", "val/dog/.directory"):
            (folder / name).write_bytes(b"\0\5\26\7")
        found = read(folder)
        assert found.origin is not None
        assert found.origin.classes == ("cat", "dog")
        assert {reason: n for reason, n in found.origin.skipped.items() if n} == {"hidden": 8}
        assert np.array_equal(found.train.images, plain.train.images)

    def test_what_else_is_left_out_is_counted_by_its_reason(self, tmp_path: Path) -> None:
        folder = photos(tmp_path, "train", "val")
        (folder / "train" / "cat" / "gone.png").symlink_to("/nowhere/gone.png")
        (folder / "train" / "cat" / "notes.txt").write_text("x")
        (folder / "train" / "cat" / "README").write_text("x")
        (folder / "train" / "labels.csv").write_text("x")
        found = read(folder)
        assert found.origin is not None
        assert {reason: n for reason, n in found.origin.skipped.items() if n} == {
            "links that lead nowhere": 1,
            ".txt": 1,
            "files without a suffix": 1,
            "files beside the classes' folders": 1,
        }
        assert "left out: 1" in own.summary(found)

    def test_a_suffix_in_capitals_and_rarer_formats_are_taken(self, tmp_path: Path) -> None:
        folder = photos(tmp_path, "train", "val")
        for suffix in ("PNG", "JPG", "gif", "jfif", "Tiff"):
            drawn(folder / "train" / "cat" / f"more.{suffix}", 7)
        assert len(read(folder).train.labels) == 9

    def test_a_link_to_the_folder_above_ends(self, tmp_path: Path) -> None:
        """Nothing is read twice."""
        folder = photos(tmp_path, "train", "val")
        (folder / "train" / "cat" / "again").symlink_to(folder / "train" / "cat")
        assert len(read(folder).train.labels) == 4

    def test_the_order_is_that_of_torchvision(self, tmp_path: Path) -> None:
        """Stores that were made when torchvision listed the files go on with the same data."""
        image_folder = torchvision_datasets().ImageFolder
        folder = photos(tmp_path, "train", "val")
        for number, name in enumerate(("b/1.png", "b.x/0.png", "a/2.png", "B/3.png", "10.png", "9.png")):
            drawn(folder / "train" / "cat" / name, 60 + number)
        theirs = image_folder(str(folder / "train"))
        found = read(folder)
        expected = [np.asarray(image.convert("L")) for image, _ in theirs]
        assert np.array_equal(found.train.images, np.stack(expected))
        assert found.train.labels.tolist() == theirs.targets


def test_images_that_are_all_the_same_are_refused(tmp_path: Path) -> None:
    """Nothing can be learnt of them."""
    folder = photos(tmp_path / "photos", "train", "val")
    for file in folder.rglob("*.png"):
        shutil.copy(folder / "train" / "cat" / "0.png", tmp_path / "one.png")
        shutil.copy(tmp_path / "one.png", file)
    with pytest.raises(DataError, match="all training images are the same"):
        own.read(str(folder), folder)

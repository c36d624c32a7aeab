"""Data of one's own: what an .npz file and a folder of images have to be, and what is said where they are not."""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from ltsm.core import datasets, own
from ltsm.errors import DataError
from ltsm.protocol import PAPER, is_own_data, load

if TYPE_CHECKING:
    from pathlib import Path


def arrays(**changed: Any) -> dict[str, Any]:
    """Six training and three validation images of 2×2 in three classes."""
    images = np.arange(36, dtype=np.uint8).reshape(9, 2, 2)
    labels = np.arange(9) % 3
    whole = {"x_train": images[:6], "y_train": labels[:6], "x_val": images[6:], "y_val": labels[6:]}
    return {**whole, **changed}


def saved(folder: Path, name: str = "mine.npz", **changed: Any) -> Path:
    np.savez(folder / name, **arrays(**changed))
    return folder / name


def loaded(path: Path, **options: Any) -> datasets.Dataset:
    found = datasets.resolve_dataset(str(path), None, {})
    return datasets.load_dataset(found.name, found.folder, **options)


def content_name(path: Path) -> str:
    return own.named(own.read(str(path), path), str(path), path)


def images_below(folder: Path) -> Path:
    """Two classes, 5×7 pixels, three training images and one validation image each, in colour."""
    for part, count in (("train", 3), ("val", 1)):
        for shade, name in ((40, "cat"), (200, "dog")):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (7, 5), (shade, i, 0)).save(place / f"{i}.png")
    return folder


class TestNpz:
    @pytest.mark.parametrize(
        ("header", "at", "value"),
        [(6, 8, 0x01), (4, 6, 0xAD), (8, 10, 14), (8, 10, 12), (8, 10, 99)],
        ids=["a cipher", "a version to come", "lzma", "bzip2", "no method"],
    )
    def test_archives_of_other_sorts_are_a_sentence(
        self, tmp_path: Path, header: int, at: int, value: int
    ) -> None:
        """One byte of every member's two headers. Taken out: RuntimeError and LZMAError in `own._UNREADABLE`."""
        images = np.zeros((6, 100, 100), np.uint8)  # long enough for what lzma takes for its options
        path = saved(tmp_path, x_train=images)
        content = bytearray(path.read_bytes())
        for magic, offset in ((b"PK\3\4", header), (b"PK\1\2", at)):
            start = content.find(magic)
            while start >= 0:
                content[start + offset] = value
                start = content.find(magic, start + 1)
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"mine\.npz: it (is no readable|cannot be read)"):
            own.read_npz(path)

    def test_bytes_are_divided_by_255(self, tmp_path: Path) -> None:
        data = loaded(saved(tmp_path))
        assert torch.equal(data.train_images[1], torch.tensor([4.0, 5.0, 6.0, 7.0]) / 255)
        assert data.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
        assert (data.classes, data.image_shape) == (3, (2, 2))

    def test_a_test_set_is_read_and_is_no_part_of_what_the_data_is_called(self, tmp_path: Path) -> None:
        """It decides no result but its own: a store's protocol stays the same one."""
        plain = datasets.resolve_dataset(str(saved(tmp_path)), None, {})
        extra = {"x_test": arrays()["x_val"][:2] + 1, "y_test": np.array([2, 0])}
        found = datasets.resolve_dataset(str(saved(tmp_path, **extra)), None, {})
        assert found.name == plain.name
        data, test = datasets.load_sets(found.name, found.folder)
        assert test is not None
        assert (test.images * 255).round().tolist() == extra["x_test"].reshape(2, 4).tolist()
        assert test.labels.tolist() == [2, 0]
        assert len(data.validation_labels) == 3

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            ({"y_test": np.array([2, 3])}, "y_test has the label 3, and y_train only 0 … 2"),
            ({"y_test": np.array([2])}, "y_test has the shape"),
            ({"x_test": np.zeros((2, 3, 3), np.uint8)}, "x_test uint8"),
        ],
    )
    def test_a_test_set_that_breaks_the_contract_is_refused(
        self, tmp_path: Path, extra: dict[str, Any], words: str
    ) -> None:
        whole = {"x_test": arrays()["x_val"][:2], "y_test": np.array([2, 0]), **extra}
        with pytest.raises(DataError, match=words):
            loaded(saved(tmp_path, **whole))

    def test_half_a_test_set_is_left_out(self, tmp_path: Path) -> None:
        """Images without labels, as competitions hand them out."""
        found = datasets.resolve_dataset(str(saved(tmp_path, x_test=arrays()["x_val"])), None, {})
        assert datasets.load_sets(found.name, found.folder)[1] is None

    def test_floats_are_used_as_they_are(self, tmp_path: Path) -> None:
        x = np.linspace(-3, 3, 24).reshape(6, 4)
        data = loaded(saved(tmp_path, x_train=x, x_val=x[:3]))
        assert torch.equal(data.train_images, torch.from_numpy(x.astype(np.float32)))

    def test_floats_can_be_standardised(self, tmp_path: Path) -> None:
        x = np.linspace(-3, 9, 24).reshape(6, 4)
        data = loaded(saved(tmp_path, x_train=x, x_val=x[:3]), pixels="standardised")
        assert abs(float(data.train_images.mean())) < 1e-6
        assert abs(float(data.train_images.std(correction=0)) - 1) < 1e-6

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"x_train": np.zeros((5, 2, 2), np.uint8)}, "y_train has the shape (6,), not one label"),
            ({"x_train": np.zeros(6, np.uint8)}, "x_train has the shape (6,)"),
            ({"x_val": np.zeros((3, 4), np.uint8)}, "x_train holds uint8 (2, 2) and x_val uint8 (4,)"),
            ({"x_val": np.zeros((3, 2, 2))}, "x_train holds uint8 (2, 2) and x_val float32 (2, 2)"),
            ({"x_train": np.full((6, 2, 2), np.nan)}, "x_train holds NaN"),
            ({"x_train": np.full((6, 2, 2), np.inf)}, "NaN or infinity"),
            ({"x_train": np.full((6, 2, 2), 1e300)}, "beyond ±1,000"),
            ({"x_train": np.zeros((6, 2, 2), int)}, "int64, neither uint8 nor floats"),
            ({"y_train": np.array([0, 1, 2, 0, 1, 10**9])}, "the label 1,000,000,000, not 0 … 9,999"),
            ({"y_train": np.array([0, 1, 2, 0, 1, -1])}, "the label -1"),
            ({"y_train": np.arange(6.0)}, "float64, not whole numbers"),
            ({"y_train": np.zeros(6, int)}, "only one class"),
            ({"y_val": np.array([0, 1, 3])}, "y_val has the label 3, and y_train only 0 … 2"),
            (
                {"x_val": np.zeros((0, 2, 2), np.uint8), "y_val": np.zeros(0, int)},
                "x_val has the shape (0, 2, 2)",
            ),
            (
                {"x_train": np.zeros((0, 2, 2), np.uint8), "y_train": np.zeros(0, int)},
                "x_train has the shape",
            ),
            ({"x_train": np.array([{}] * 6)}, "no readable .npz"),
            ({"x_train": np.array([{}] * 6)}, "x_train.npy holds Python objects; np.stack"),
        ],
    )
    def test_what_breaks_the_contract_is_refused_in_a_sentence(
        self, tmp_path: Path, changed: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(DataError) as caught:
            loaded(saved(tmp_path, **changed))
        assert words in caught.value.message
        assert "docs/guide.md" in caught.value.hint

    def test_the_name_holds_no_folder_whatever_that_is_called(self, tmp_path: Path) -> None:
        odd = tmp_path / "mine@home"
        odd.mkdir()
        plain, moved = saved(tmp_path), odd / "moved.npz"
        shutil.copy(plain, moved)
        name = content_name(moved)
        assert name.startswith("moved.npz#")
        assert name.partition("#")[2] == content_name(plain).partition("#")[2]

    def test_a_file_without_an_array_is_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "half.npz", x_train=np.zeros((2, 2)))
        with pytest.raises(DataError, match="lacks y_train, x_val, y_val"):
            loaded(tmp_path / "half.npz")

    @pytest.mark.parametrize("content", [b"", b"PK\3\4 no archive", b"text", b"\x93NUMPY"])
    def test_a_file_of_something_else_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "no.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"no\.npz: it is no readable"):
            loaded(tmp_path / "no.npz")

    def test_a_bare_array_is_refused_and_no_pickle_is_recommended(self, tmp_path: Path) -> None:
        with (tmp_path / "bare.npz").open("wb") as stream:
            np.save(stream, np.zeros((2, 2)))
        (tmp_path / "text.npz").write_text("text")
        for name in ("bare.npz", "text.npz"):
            with pytest.raises(DataError, match="no readable") as caught:
                loaded(tmp_path / name)
            assert "pickle" not in caught.value.message

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            ([1, 2, 3, 1, 2, 3], "labels are 1 … 3, and no image has the label 0"),
            ([0, 2, 5, 0, 2, 5], "labels are 0 … 5, and no image has the label 1"),
            ([0, 255, 0, 255, 0, 255], "no image has the label 1"),
        ],
    )
    def test_labels_that_are_not_numbered_from_0_on_are_refused(
        self, tmp_path: Path, labels: list[int], words: str
    ) -> None:
        """They would be classes without an image; it is said how to number them."""
        with pytest.raises(DataError, match=words) as caught:
            loaded(saved(tmp_path, y_train=np.array(labels), y_val=np.array(labels[:3])))
        assert "np.unique" in caught.value.hint

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"x_train": np.full((6, 2, 2), 7, np.uint8)}, "all training images are the same"),
            ({"x_val": np.full((3, 2, 2), 7, np.uint8)}, "all validation images are the same"),
            ({"y_val": np.array([1, 1, 1])}, "all validation images are of one class"),
        ],
    )
    def test_data_of_which_nothing_can_be_learnt_is_refused(
        self, tmp_path: Path, changed: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(DataError, match=words):
            loaded(saved(tmp_path, **changed))

    def test_a_member_that_is_no_array_is_named(self, tmp_path: Path) -> None:
        """An archive that another program has packed."""
        with zipfile.ZipFile(tmp_path / "bare.npz", "w") as archive:
            for name, values in arrays().items():
                archive.writestr(name, values.tobytes())
        with pytest.raises(DataError, match=r"its member x_train is no array x_train\.npy"):
            loaded(tmp_path / "bare.npz")

    @pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
    def test_every_version_of_numpys_header_is_read(self, tmp_path: Path, version: tuple[int, int]) -> None:
        """NumPy writes the first wherever it can; other programs may write the others."""
        with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
            for name, values in arrays().items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, values, version=version)
        assert torch.equal(
            loaded(tmp_path / "mine.npz").train_images, loaded(saved(tmp_path, "other.npz")).train_images
        )

    def test_a_suffix_in_capitals_is_the_same(self, tmp_path: Path) -> None:
        here = saved(tmp_path).rename(tmp_path / "MINE.NPZ")
        assert is_own_data("MINE.NPZ")
        assert len(loaded(here).train_labels) == 6

    @pytest.mark.parametrize("name", ["mine.csv", "mine.mat", "mine.npy", "mine.pt", "mine"])
    def test_another_kind_of_file_is_called_one(self, tmp_path: Path, name: str) -> None:
        """And it is said how to make the one that is read."""
        (tmp_path / name).write_bytes(b"1,2,3")
        assert is_own_data(name) == ("." in name)
        with pytest.raises(DataError, match=r"data of your own is an \.npz file or a folder") as caught:
            loaded(tmp_path / name)
        assert "numpy.savez" in caught.value.hint

    @pytest.mark.parametrize("odd", ["mine#1.npz", "mine@8x8.npz", "a#b", "photos@8x8", "photos@8x8:grey"])
    def test_a_name_may_look_like_a_form_or_a_digest(self, tmp_path: Path, odd: str) -> None:
        """What is there is taken, its own name belongs to no form, and the stored name finds it again."""
        path = tmp_path / odd
        plain = saved(tmp_path) if odd.endswith(".npz") else images_below(tmp_path / "photos")
        plain.rename(path)
        found = datasets.resolve_dataset(str(path), None, {})
        assert found.folder == path
        assert found.name.rpartition("#")[0] == odd
        again = datasets.resolve_dataset(found.name, tmp_path, {})
        assert again == found
        shape = datasets.load_dataset(again.name, again.folder).image_shape
        assert shape == ((2, 2) if odd.endswith(".npz") else (32, 32, 3))
        if not odd.endswith(".npz"):
            sized = datasets.resolve_dataset(f"{path}@4x6:grey", None, {})
            assert datasets.load_dataset(sized.name, sized.folder).image_shape == (4, 6)

    def test_every_truncation_is_refused(self, tmp_path: Path) -> None:
        content = saved(tmp_path).read_bytes()
        for length in range(0, len(content), 97):
            (tmp_path / "cut.npz").write_bytes(content[:length])
            with pytest.raises(DataError):
                loaded(tmp_path / "cut.npz")


class TestName:
    def test_a_moved_file_is_the_same_data_and_a_changed_one_another(self, tmp_path: Path) -> None:
        here, there = tmp_path / "a", tmp_path / "b"
        here.mkdir()
        there.mkdir()
        first = datasets.resolve_dataset(str(saved(here)), None, {}).name
        assert datasets.resolve_dataset(str(saved(there)), None, {}).name == first
        y = np.array([0, 2, 1, 0, 1, 2])
        assert datasets.resolve_dataset(str(saved(there, y_train=y)), None, {}).name != first
        assert str(tmp_path) not in first

    def test_a_stored_name_finds_the_file_in_the_data_folder(self, tmp_path: Path) -> None:
        name = datasets.resolve_dataset(str(saved(tmp_path)), None, {}).name
        assert datasets.resolve_dataset(name, tmp_path, {}).name == name

    def test_a_stored_name_refuses_other_content(self, tmp_path: Path) -> None:
        name = datasets.resolve_dataset(str(saved(tmp_path)), None, {}).name
        saved(tmp_path, y_train=np.array([2, 1, 0, 2, 1, 0]))
        with pytest.raises(DataError, match="its content differs"):
            datasets.resolve_dataset(name, tmp_path, {})

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"there is no data at nowhere\.npz, nor in "):
            datasets.resolve_dataset("nowhere.npz", tmp_path, {})


class TestFolder:
    def test_images_are_resized_and_labelled_by_their_folders(self, tmp_path: Path) -> None:
        data = loaded(images_below(tmp_path / "photos"))
        assert data.train_images.shape == (6, 32 * 32 * 3)
        assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert data.image_shape == (32, 32, 3)
        assert float(data.train_images[0, 0]) == pytest.approx(40 / 255)

    def test_the_name_says_size_and_grey(self, tmp_path: Path) -> None:
        path = images_below(tmp_path / "photos")
        found = datasets.resolve_dataset(f"{path}@4x6:grey", None, {})
        data = datasets.load_dataset(found.name, found.folder)
        assert data.image_shape == (4, 6)
        assert found.name.startswith("photos@4x6:grey#")

    def test_a_validation_class_that_training_lacks_is_refused(self, tmp_path: Path) -> None:
        path = images_below(tmp_path / "photos")
        os.renames(path / "val" / "cat", path / "val" / "bird")
        with pytest.raises(DataError, match="the class 'bird'"):
            loaded(path)

    def test_a_broken_image_is_named(self, tmp_path: Path) -> None:
        path = images_below(tmp_path / "photos")
        (path / "train" / "cat" / "1.png").write_bytes(b"no image")
        with pytest.raises(DataError, match=r"1\.png"):
            loaded(path)

    def test_a_folder_of_something_else_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no folder of readable images"):
            loaded(tmp_path)


class TestOrder:
    def test_own_data_is_reshuffled_unless_told_otherwise(self) -> None:
        assert PAPER.changed(dataset="a/b.npz").order == "shuffled"
        assert PAPER.changed(dataset="a/b.npz", order="file").order == "file"
        assert PAPER.changed(dataset="kmnist").order == "file"

    def test_so_it_is_in_a_protocol_file(self, tmp_path: Path) -> None:
        (tmp_path / "p.toml").write_text('dataset = "./photos"\n')
        assert load(tmp_path / "p.toml").order == "shuffled"

    def test_the_label_says_which_and_holds_no_folders(self) -> None:
        assert PAPER.changed(dataset="/a/b.npz").name == "paper dataset=b.npz order=shuffled"

    def test_the_path_is_no_part_of_the_fingerprint(self, tmp_path: Path) -> None:
        found = datasets.resolve_dataset(str(saved(tmp_path)), None, {})
        assert str(tmp_path) not in str(replace(PAPER, dataset=found.name).settings())


def test_the_form_of_a_name_is_read_back() -> None:
    """Size, grey and digest are taken off the path."""
    assert own._image_form("x/y@28x30:grey#abc") == ((28, 30), "L")
    assert own._part("x/y@28x30:grey#abc", "path") == "x/y"


def test_other_arrays_are_counted_and_a_test_set_is_named(tmp_path: Path) -> None:
    """Nothing of a file is passed over in silence."""
    test = {"x_test": np.zeros((2, 2, 2), np.uint8), "y_test": np.array([0, 2])}
    path = saved(tmp_path, **test, weights=np.ones(3), names=np.ones(3))
    assert own.contents(own.read(str(path), path)) == {
        "training_set": "x_train",
        "validation_set": "x_val",
        "test_set": "x_test",
        "training_images": 6,
        "validation_images": 3,
        "test_images": 2,
        "image_shape": [2, 2],
        "classes": 3,
        "images_of_classes": [
            {"name": "0", "training": 2, "validation": 1, "test": 1},
            {"name": "1", "training": 2, "validation": 1, "test": 0},
            {"name": "2", "training": 2, "validation": 1, "test": 1},
        ],
        "pixels": [0, 35],
        "left_out": {"other arrays (weights, names)": 2},
    }
    path = saved(tmp_path)
    found = own.contents(own.read(str(path), path))
    assert (found["test_set"], found["test_images"], found["left_out"]) == ("", 0, {})


@pytest.mark.parametrize(("scale", "doubted"), [(1.0, False), (4.0, False), (300.0, True), (-300.0, True)])
def test_pixels_that_nobody_divided_are_doubted(tmp_path, scale, doubted):
    """They are taken, and said in red; bytes are divided by 255, whatever they hold."""
    floats = np.linspace(0, 1, 36, dtype=np.float32).reshape(9, 2, 2) * scale
    path = saved(tmp_path, x_train=floats[:6], x_val=floats[6:])
    notice = datasets.resolve_dataset(str(path), None, {}).notice
    assert ("--pixels standardised" in notice) == doubted
    assert datasets.resolve_dataset(str(saved(tmp_path, "bytes.npz")), None, {}).notice == ""

"""Image files as pixels: what a person sees, whatever the mode and format, or a refusal that names the file."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ltsm.core.pictures import SUFFIXES, pixels
from ltsm.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

GREY = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8 + 4
"""What every drawing below looks like; black and white only in mode 1."""
SIZE = (16, 16)


def ink(mode: str) -> Image.Image:
    """Black on a transparent ground: what is seen is on white."""
    drawing = np.zeros((*SIZE, 4), np.uint8)
    drawing[..., 3] = 255 - GREY
    return Image.fromarray(drawing).convert(mode)


def lab() -> Image.Image:
    neutral = Image.new("L", SIZE, 128)
    return Image.merge("LAB", [Image.fromarray(GREY), neutral, neutral])


MODES = {
    **{mode: lambda m=mode: Image.fromarray(GREY).convert(m) for mode in ("1", "L", "P")},
    **{
        mode: lambda m=mode: Image.fromarray(GREY).convert("RGB").convert(m)
        for mode in ("RGB", "RGBX", "CMYK", "YCbCr", "HSV")
    },
    **{mode: lambda m=mode: ink(m) for mode in ("LA", "PA", "RGBA", "RGBa")},
    "LAB": lab,
    "F": lambda: Image.fromarray(GREY.astype(np.float32) / 255),
    "I": lambda: Image.fromarray(GREY.astype(np.int32) * 257),
    "I;16": lambda: Image.fromarray(GREY.astype(np.uint16) * 257),
    "I;16B": lambda: Image.frombytes("I;16B", SIZE, (GREY.astype(">u2") * 257).tobytes()),
}
FINER = frozenset({"I", "I;16", "I;16B", "F"})
LOST = {
    **dict.fromkeys([".avif", ".webp"], FINER),  # written with eight bits, by clipping
    ".gif": {*FINER, "LA", "RGBA"},  # likewise, and a place is transparent or not
    **dict.fromkeys([".pbm", ".pfm", ".pgm", ".pnm", ".ppm", ".bmp", ".dib"], frozenset({"RGBA"})),  # without what is transparent
    ".j2k": {"CMYK", "YCbCr"},  # without saying that they are
}  # fmt: skip
"""What Pillow's writers lose: such a file does not hold the drawing."""
LOSSY = {".jpg": 32, ".jpeg": 32, ".jpe": 32, ".jfif": 32, ".webp": 16, ".avif": 10}
REFUSED = {("LAB", ".tif"), ("LAB", ".tiff"), ("I", ".tif"), ("I", ".tiff")}


def written(drawing: Image.Image, file: Path) -> bool:
    """Whether Pillow writes such a file."""
    try:
        drawing.save(file)
    except (OSError, ValueError, KeyError):
        return False
    return True


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_in_every_format_is_what_a_person_sees(tmp_path: Path, mode: str) -> None:
    """All that Pillow can write: grey, colours, palettes, transparency, CMYK, sixteen bits, floats."""
    drawing, seen = MODES[mode](), GREY
    if mode == "1":
        seen = np.where(np.asarray(drawing), 255, 0)
    read = 0
    for suffix in sorted(SUFFIXES):
        file = tmp_path / f"drawing{suffix}"
        if mode in LOST.get(suffix, ()) or not written(drawing, file):
            continue
        read += 1
        if (mode, suffix) in REFUSED:
            with pytest.raises(DataError, match=f"drawing{suffix} is no readable image"):
                pixels(file, SIZE, "L")
            continue
        for form, expected in (("L", seen), ("RGB", seen[..., None])):
            difference = np.abs(pixels(file, SIZE, form).astype(int) - expected)
            assert difference.max() <= LOSSY.get(suffix, 1), suffix
    assert read >= 2


def test_transparent_places_are_white_whatever_colour_they_hide(tmp_path: Path) -> None:
    """Also where one colour of a palette, or one grey, is declared to be transparent."""
    half = np.zeros((4, 4), np.uint8)
    half[:, 2:] = 200
    for mode in ("L", "P", "RGB"):
        image, hidden = Image.fromarray(half).convert(mode), {"L": 0, "P": 0, "RGB": (0, 0, 0)}[mode]
        image.save(tmp_path / f"{mode}.png", transparency=hidden)
        expected = np.where(half == 0, 255, 200)
        assert np.array_equal(pixels(tmp_path / f"{mode}.png", (4, 4), "L"), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "jpg"])
def test_an_image_is_turned_as_it_says(tmp_path: Path, orientation: int, suffix: str) -> None:
    """All eight orientations of EXIF."""
    upright = np.zeros((8, 16), np.uint8)
    upright[:4, :8] = 250
    upright[4:, :8] = 120
    stored = {
        1: upright, 2: np.fliplr(upright), 3: np.rot90(upright, 2), 4: np.flipud(upright),
        5: upright.T, 6: np.rot90(upright), 7: np.rot90(upright, 2).T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"a.{suffix}", exif=exif, **options)
    found = pixels(tmp_path / f"a.{suffix}", upright.shape, "L").astype(int)
    assert np.abs(found - upright).max() <= (20 if suffix == "jpg" else 0)


@pytest.mark.parametrize("size", [(2, 2), (9, 40), (64, 64)])
def test_another_size_makes_nothing_darker_or_lighter_than_it_was(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Beside an edge there are no halos, which the sharper ways to resize an image draw."""
    edge = np.full((16, 16), 60, np.uint8)
    edge[5:, 7:] = 190
    Image.fromarray(edge).save(tmp_path / "edge.png")
    found = pixels(tmp_path / "edge.png", size, "L")
    assert found.shape == size
    assert found.min() >= 60
    assert found.max() <= 190


def test_grey_multiplied_by_its_opacity_is_what_it_was(tmp_path: Path) -> None:
    """Some programs write TIFFs so; Pillow reads them and writes none: in its file the mark of the other kind is turned."""
    grey = np.array([[[50, 128], [128, 255], [0, 0]]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.tiff")
    apart, multiplied = (bytes.fromhex(f"5201 0300 01000000 0{i}000000") for i in (2, 1))
    written = (tmp_path / "a.tiff").read_bytes()
    assert written.count(apart) == 1
    (tmp_path / "a.tiff").write_bytes(written.replace(apart, multiplied))
    assert np.abs(pixels(tmp_path / "a.tiff", (1, 3), "L").astype(int) - [[177, 128, 255]]).max() <= 1


def test_floats_may_be_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.float32([[0, 0.2, 1]])).save(tmp_path / "a.tiff")
    assert pixels(tmp_path / "a.tiff", (1, 3), "L").tolist() == [[0, 51, 255]]


def test_a_tiff_of_any_size_is_read(tmp_path: Path) -> None:
    """BigTIFF; and an image that Pillow finds large raises no warning."""
    Image.fromarray(GREY).save(tmp_path / "big.tiff", big_tiff=True)
    assert np.array_equal(pixels(tmp_path / "big.tiff", SIZE, "L"), GREY)
    Image.new("1", (9_600, 9_600), 1).save(tmp_path / "large.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (pixels(tmp_path / "large.png", (2, 2), "L") == 255).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.float32([[0, 255]]), "run from 0 to 255, not from 0 to 1"),
        (np.float32([[-1, 1]]), "from -1 to 1"),
        (np.float32([[0, np.nan]]), "nan"),
        (np.int32([[0, 70_000]]), "whole numbers of 32 bits"),
    ],
)
def test_numbers_that_nobody_can_scale_are_refused(tmp_path: Path, values: np.ndarray, words: str) -> None:
    """Nothing says which of them is white."""
    Image.fromarray(values).save(tmp_path / "odd.tiff")
    with pytest.raises(DataError, match=words) as caught:
        pixels(tmp_path / "odd.tiff", (1, 2), "L")
    assert "odd.tiff" in caught.value.message


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"II*\0" + b"\xff" * 40, b"no image"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "no.png").write_bytes(content)
    with pytest.raises(DataError, match=r"no\.png is no readable image"):
        pixels(tmp_path / "no.png", SIZE, "L")

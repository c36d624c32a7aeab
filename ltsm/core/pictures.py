"""One image file as pixels of eight bits, as a person sees it; or a refusal."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from ltsm.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

SUFFIXES = frozenset(
    [
        ".apng",
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".ico",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pcx",
        ".pfm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
"""Of what is taken for an image, in lower case."""
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats whose whole numbers, where they have more than eight bits, have sixteen."""


def pixels(file: Path, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """(height, width) grey, or (height, width, 3), of an image turned as it says, on white where it is transparent.

    Args:
        file: in any format and mode that Pillow reads; of several frames the first is taken.
        size: height and width that it is brought to.
        mode: Pillow's name for the pixels: RGB, or L for grey.

    Raises:
        DataError: it cannot be read, or nothing says which of its numbers are black and white.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large image, or a broken description, is no fault here
            # from a stream: of a path Pillow maps a plain TIFF into memory, and mistakes height for width if it is turned
            with file.open("rb") as stream, Image.open(stream) as opened:
                upright = ImageOps.exif_transpose(opened)
                plain = _on_white(_in_eight_bits(upright, opened.format or ""))
                resized = plain.convert(mode).resize(size[::-1], Image.Resampling.BILINEAR)
                return np.asarray(resized, np.uint8)
    except Exception as error:  # on damaged files Pillow's plugins raise whatever they stumble over
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{file} is no readable image: {reason or type(error).__name__}.", "mend it, or take it away"
        ) from error


def _in_eight_bits(image: Image, kind: str) -> Image:
    """The image with values of 0 to 255, where it has finer ones; ValueError where their range is anyone's guess."""
    from PIL import Image as Images

    if image.mode == "F":
        values = np.asarray(image, np.float64)
        low, high = float(values.min()), float(values.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"its floats run from {low:g} to {high:g}, not from 0 to 1")
        return Images.fromarray(np.rint(values * 255).astype(np.uint8))
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in _SIXTEEN_BITS):
        wide = np.asarray(image).astype(np.int64)
        return Images.fromarray(((wide * 255 + 32_767) // 65_535).astype(np.uint8))
    if image.mode == "I":
        raise ValueError("it holds whole numbers of 32 bits, of which nothing says which one is white")
    return image


def _on_white(image: Image) -> Image:
    """The image without transparency."""
    from PIL import Image as Images

    if not image.has_transparency_data:
        return image
    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)
    above = image.convert(straight).convert("RGBA")
    return Images.alpha_composite(Images.new("RGBA", image.size, "white"), above).convert("RGB")

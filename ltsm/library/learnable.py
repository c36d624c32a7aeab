"""Refuses labelled images of which nothing can be learnt, or judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


class Variety:
    """Whether batches of a set differ at all, in images and in labels.

    Args:
        part: which set, in a word.
    """

    def __init__(self, part: str) -> None:
        self._part = part
        self._first: tuple[Tensor, Tensor] | None = None
        self._images = self._labels = False

    def see(self, images: Tensor, labels: Tensor) -> None:
        """Take note of images (n, …) and labels (n,)."""
        if self._first is None:
            self._first = images[0].clone(), labels[0].clone()
        image, label = self._first
        self._labels = self._labels or bool((labels != label).any())
        self._images = self._images or image.shape != images.shape[1:] or bool((images != image).any())

    def check(self) -> None:
        """Refuse what has been seen, if it was all the same.

        Raises:
            DataError: it was.
        """
        if self._first is None or (self._images and self._labels):
            return
        what = f"has the label {int(self._first[1])}" if self._images else "is the same"
        raise DataError(
            f"every {self._part} image {what}: nothing can be learnt of them.",
            "ltsm data check FILE|FOLDER says what is in it",
        )


def check_learnable(images: Tensor, labels: Tensor, part: str) -> None:
    """The same for a whole set, which must not hold NaN or infinity either.

    Raises:
        DataError: nothing can be learnt of it.
    """
    if not images.isfinite().all():
        raise DataError(f"a {part} image holds values that are no numbers.")
    variety = Variety(part)
    variety.see(images, labels)
    variety.check()

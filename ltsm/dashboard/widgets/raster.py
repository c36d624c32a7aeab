"""Curves as dots: each terminal cell is a braille character of two by four."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ACROSS, DOWN = 2, 4
"""Dots per cell."""
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BRAILLE = np.array([chr(0x2800 + code) for code in range(256)])
DASHES = ((1, 0), (8, 3), (2, 3), (8, 3, 2, 3))
"""Dots on, dots off, … along a line, so that lines differ without colour."""
ACROSS_ALL = (4, 4)
"""The dashes of what is less sure than a line."""


@dataclass(slots=True)
class Raster:
    """A picture of `width` × `height` cells being drawn.

    `ink`, `(height × 4, width × 2)`, says which layer's line owns each dot, `wash`, `(height, width)`, whose band
    each cell; -1 for none. What is drawn later covers what was drawn before.
    """

    width: int
    height: int
    ink: NDArray[np.int16] = field(init=False)
    wash: NDArray[np.int16] = field(init=False)

    def __post_init__(self) -> None:
        self.ink = np.full((self.height * DOWN, self.width * ACROSS), -1, dtype=np.int16)
        self.wash = np.full((self.height, self.width), -1, dtype=np.int16)

    @property
    def columns(self) -> Floats:
        """Where each column of dots lies, 0 … 1 from left to right."""
        return (np.arange(self.width * ACROSS) + 0.5) / (self.width * ACROSS)

    def line(self, at: Floats, layer: int, dashes: tuple[int, ...] = DASHES[0]) -> None:
        """A line through heights `at`, one for each column of dots: 0 at the bottom, 1 at the top, NaN for a gap."""
        rows = self._rows(at)
        # Up and down to halfway to each neighbour, so that a steep line has no holes.
        before, after = np.concatenate([rows[:1], rows[:-1]]), np.concatenate([rows[1:], rows[-1:]])
        near = np.stack([rows, _halfway(rows, before), _halfway(rows, after)])
        drawn = np.isfinite(rows) & _dashed(len(rows), dashes)
        self.ink[self._between(np.where(drawn, near.min(0), np.nan), near.max(0))] = layer

    def band(self, low: Floats, high: Floats, layer: int) -> None:
        """Every cell that is half covered by what lies between two lines; where that is thinner, the lines say as much."""
        top, bottom = self._rows(high), self._rows(low)
        between = self._between(np.where(bottom - top < DOWN - 1, np.nan, top), bottom)
        self.wash[2 * self._cells(between).sum(axis=(1, 3)) >= ACROSS * DOWN] = layer

    def _between(self, top: Floats, bottom: Floats) -> NDArray[np.bool_]:
        """Every dot from row `top` down to row `bottom`, column by column; none where one of them is NaN."""
        rows = np.arange(self.height * DOWN)[:, None]
        inside: NDArray[np.bool_] = (rows >= np.round(top)) & (rows <= np.round(bottom))
        return inside

    def _rows(self, at: Floats) -> Floats:
        return (1 - at) * (self.height * DOWN - 1)

    def characters(self, *, dotted: bool) -> NDArray[np.str_]:
        """The braille characters, `(height, width)`; bands are sparse dots if `dotted`, else not drawn."""
        dots = self._cells(self.ink >= 0)
        if dotted:
            free = (self.wash >= 0) & (dots.max(axis=(1, 3)) == 0)
            dots[:, [0, 2], :, [0, 1]] |= free
        codes = (dots * _BITS[None, :, None, :]).sum(axis=(1, 3))
        text: NDArray[np.str_] = _BRAILLE[codes]
        return text

    def ink_of_cells(self) -> NDArray[np.int16]:
        """Which line owns each cell, -1 for none."""
        owner: NDArray[np.int16] = self._cells(self.ink).max(axis=(1, 3))
        return owner

    def _cells(self, dots: NDArray[np.int16] | NDArray[np.bool_]) -> NDArray[np.int16]:
        return dots.reshape(self.height, DOWN, self.width, ACROSS).astype(np.int16)


def _halfway(rows: Floats, others: Floats) -> Floats:
    """Between each row and the other one; the row itself where there is no other."""
    return np.where(np.isfinite(others), (rows + others) / 2, rows)


def _dashed(length: int, dashes: tuple[int, ...]) -> NDArray[np.bool_]:
    pattern = np.concatenate([np.full(n, i % 2 == 0) for i, n in enumerate(dashes)])
    return np.resize(pattern, length)

"""Dots."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ltsm.dashboard.widgets.raster import DASHES, Raster


def test_a_flat_line_is_one_row_of_dots():
    raster = Raster(3, 2)
    raster.line(np.full(6, 1.0), layer=0)
    assert raster.characters(dotted=False).tolist() == [["⠉"] * 3, ["⠀"] * 3]
    assert raster.ink_of_cells().tolist() == [[0] * 3, [-1] * 3]


def test_a_steep_line_has_no_holes():
    raster = Raster(1, 4)
    raster.line(np.array([0.0, 1.0]), layer=0)
    assert (raster.ink >= 0).any(axis=1).all()


def test_a_gap_stays_a_gap():
    raster = Raster(2, 1)
    raster.line(np.array([0.5, np.nan, np.nan, 0.5]), layer=0)
    assert (raster.ink >= 0).any(axis=0).tolist() == [True, False, False, True]


def test_what_is_drawn_later_covers():
    raster = Raster(2, 1)
    raster.line(np.zeros(4), layer=0)
    raster.line(np.zeros(4), layer=1)
    assert raster.ink_of_cells().tolist() == [[1, 1]]


def test_dashes_tell_lines_apart_without_colour():
    drawn = set()
    for dashes in DASHES:
        raster = Raster(20, 1)
        raster.line(np.zeros(40), 0, dashes)
        drawn.add("".join(raster.characters(dotted=False)[0]))
    assert len(drawn) == len(DASHES)


def test_a_band_is_a_wash_and_sparse_dots_without_colour():
    raster = Raster(4, 4)
    raster.band(np.full(8, 0.0), np.full(8, 0.6), layer=0)
    assert raster.wash[:, 0].tolist() == [-1, 0, 0, 0], "half a cell is a cell"
    assert set("".join(raster.characters(dotted=True)[3])) != {"⠀"}
    assert set("".join(raster.characters(dotted=False)[3])) == {"⠀"}


def test_where_a_band_ends_the_one_beneath_it_shows():
    raster = Raster(1, 4)
    raster.band(np.zeros(2), np.ones(2), layer=0)
    raster.band(np.zeros(2), np.full(2, 0.5), layer=1)
    assert raster.wash.tolist() == [[0], [0], [1], [1]]


LINES = arrays(float, 12, elements=st.floats(-5, 5) | st.just(np.nan))


@given(LINES, LINES)
def test_nothing_is_ever_drawn_outside(line, other):
    raster = Raster(6, 3)
    raster.line(line, 0)
    raster.band(np.minimum(line, other), np.maximum(line, other), 1)
    assert raster.characters(dotted=True).shape == (3, 6)
    inside = np.isfinite(line) & (line >= 0) & (line <= 1)
    assert (raster.ink[:, inside] >= 0).any(axis=0).all()

"""Mean and deviation over seeds."""

from dataclasses import astuple
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltsm.report.bands import band

VALUES = st.floats(-1e6, 1e6)


@given(st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=2, max_size=6))
def test_it_is_numpys_mean_and_sample_deviation(seeds):
    found = band([list(enumerate(seed)) for seed in seeds])
    np.testing.assert_allclose(found.mean, np.mean(seeds, axis=0), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found.deviation, np.std(seeds, axis=0, ddof=1), rtol=1e-6, atol=1e-3)
    assert found.n.tolist() == [len(seeds)] * 4


def test_seeds_may_stop_at_different_points():
    found = band([[(0, 1.0), (100, 3.0), (200, 9.0)], [(0, 3.0), (100, 5.0)]])
    assert found.mean.tolist() == [2, 4, 9]
    assert found.n.tolist() == [2, 2, 1]
    assert isnan(found.deviation[2])


def test_a_diverged_loss_is_left_out_and_n_says_so():
    found = band([[(0, 1.0), (100, nan)], [(0, 3.0), (100, 5.0)]])
    assert astuple(found.at(100)) == (1, 5.0, pytest.approx(nan, nan_ok=True))
    assert isnan(band([[(0, nan)]]).mean[0])


def test_nothing_gives_an_empty_band():
    assert band([]).at(0) is None


def test_values_are_read_at_the_nearest_point_and_not_beyond_the_ends():
    found = band([[(0, 1.0), (100, 2.0)]])
    assert found.at(60).mean == 2
    assert found.at(160) is None

"""Axes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltsm.dashboard.widgets.scale import Scale, spanning, tick_label

NUMBERS = st.floats(-1e3, 1e3)


@given(NUMBERS, st.floats(1e-4, 1e9), st.integers(1, 12))
def test_ticks_lie_inside_and_are_not_too_many(low, width, count):
    ticks = Scale(low, low + width).ticks(count)
    assert len(ticks) <= 2 * count + 2
    assert all(low - width * 1e-6 - 1e-9 <= tick <= low + width * (1 + 1e-6) + 1e-9 for tick in ticks)


def test_ticks_are_round():
    assert Scale(0, 5000).ticks(5) == [0, 1000, 2000, 3000, 4000, 5000]
    assert Scale(-0.1, 0.4).ticks(5) == [-0.1, 0.0, 0.1, 0.2, 0.3, 0.4]
    assert Scale(0.08, 2.5, log=True).ticks(10) == pytest.approx([0.1, 0.2, 0.5, 1.0, 2.0])


def test_a_logarithmic_axis_has_each_decade_as_long_as_the_others():
    assert Scale(0.01, 1, log=True).place([0.01, 0.1, 1]).tolist() == pytest.approx([0, 0.5, 1])


def test_nan_has_no_place():
    assert np.isnan(Scale(0, 1).place(np.nan))


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[], [np.nan], [0.5], [0.5, 0.5], [1, 2, np.inf]])
def test_a_scale_spans_whatever_there_is(values, log):
    scale = spanning(np.array(values, dtype=float), log=log)
    assert scale.low < scale.high
    places = scale.place([value for value in values if np.isfinite(value)])
    assert ((places > 0) & (places < 1)).all()


@pytest.mark.parametrize(
    ("value", "text"), [(20000.0, "20,000"), (0.1, "0.1"), (-0.1, "-0.1"), (0.0975, "0.0975")]
)
def test_labels_are_as_short_as_the_number_is_round(value, text):
    assert tick_label(value) == text

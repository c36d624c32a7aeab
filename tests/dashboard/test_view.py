"""What a chart shows of a panel, and how it is looked at."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltsm.dashboard.widgets import plot
from ltsm.dashboard.widgets.view import View, settled_axes
from ltsm.report.bands import band
from ltsm.report.figures.curves import layers
from ltsm.report.figures.values import Axis, Curve, Panel, Points, Shade, ticks

STEPS = np.arange(0, 5001, 100.0)
FALLING = layers(band([[(x, 2.3 * np.exp(-x / 300) + 0.1) for x in STEPS]] * 2), "first", "a")


def panel(*drawn, settles=True):
    return Panel(*settled_axes(drawn, "x", "y", settles=settles), drawn, title="t")


PANEL = panel(*FALLING)


def test_the_first_look_is_at_the_settled_part():
    assert View().axes(PANEL)[1].high < 0.3
    assert View(log=True).axes(PANEL)[1].high > 2


def test_all_that_lies_in_the_window_is_seen():
    assert View(window=(0, 500)).axes(PANEL)[1].high > 2.3


def test_published_values_and_points_are_always_in_sight():
    across = Curve((0.0, 5000.0), (0.01, 0.01), "first", dashed=True)
    _, y = View().axes(panel(across, *FALLING, Points((4000.0,), (0.5,), "first")))
    assert y.low < 0.01
    assert y.high > 0.5


def test_an_empty_panel_has_axes():
    x, y = View().axes(panel())
    assert (x.low, x.high, y.low, y.high) == (0, 1, 0, 1)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[], [math.nan], [0.5], [0.5, 0.5], [1, 2, math.inf], [0.0, 1.0]])
def test_an_axis_spans_whatever_there_is(values, log):
    curve = Curve(tuple(map(float, range(len(values)))), tuple(map(float, values)), "first")
    _, y = View(log=log).axes(panel(curve, settles=False))
    assert y.low < y.high
    seen = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    assert all(0 < plot.place(y, value) < 1 for value in seen)


def test_zooming_in_keeps_the_cursor_where_it_is_and_out_again_shows_all():
    view = View(cursor=1000.0).zoomed(PANEL, 2)
    assert view.window == (500, 3000)
    assert view.zoomed(PANEL, 0.5).window is None
    assert view.zoomed(PANEL, 0.5) == View(cursor=1000.0)


def test_the_cursor_goes_from_record_to_record_and_stops_at_the_ends():
    view = View().moved(PANEL, STEPS, 1)
    assert view.cursor == 0
    assert view.moved(PANEL, STEPS, 3).cursor == 300
    assert view.moved(PANEL, STEPS, -3).cursor == 0
    assert View().moved(PANEL, STEPS, -1).cursor == 5000
    assert View().moved(PANEL, np.empty(0), 1) == View()


def test_the_window_follows_the_cursor():
    view = View(window=(0, 1000), cursor=1000.0)
    assert view.moved(PANEL, STEPS, 5).window == pytest.approx((500, 1500))


def test_a_logarithmic_axis_has_each_decade_as_long_as_the_others():
    axis = Axis("", 0.01, 1, log=True)
    assert plot.place(axis, [0.01, 0.1, 1]).tolist() == pytest.approx([0, 0.5, 1])
    assert np.isnan(plot.place(axis, math.nan))
    assert [tick for tick, _ in ticks(Axis("", 0.08, 2.5, log=True), 10)] == pytest.approx(
        [0.1, 0.2, 0.5, 1, 2]
    )
    assert [text for _, text in ticks(Axis("", 0.008, 2.5, log=True), 4)] == ["0.01", "0.1", "1"]


@given(st.floats(-1e3, 1e3), st.floats(1e-4, 1e9), st.integers(1, 12))
def test_ticks_lie_inside_and_are_not_too_many(low, width, count):
    found = [tick for tick, _ in ticks(Axis("", low, low + width), count)]
    assert len(found) <= 2 * count + 2
    assert all(low - width * 1e-5 - 1e-9 <= tick <= low + width * (1 + 1e-5) + 1e-9 for tick in found)


def drawn(what, view=None, size=(40, 12)):
    view = view or View()
    frame = plot.frame(what, view, *size)
    rows = plot.cells(what, view, frame, dotted=False)
    return ["".join(cell.text for cell in row) for row in rows], plot.below(what, view, frame), rows


def test_a_curve_has_its_letter_at_its_end_and_a_longer_label_is_not_written():
    text, _, _ = drawn(PANEL)
    assert sum(row.endswith("a") for row in text) == 1
    text, _, _ = drawn(panel(*layers(band([[(0, 1.0), (1, 2.0)]]), "first", "mean")))
    assert not any("m" in row for row in text)


def test_points_cursor_and_shade_are_seen():
    what = Panel(
        Axis("", 0, 1), Axis("", 0, 1), (Shade(0.4, 0.6, ""), Points((0.5,), (0.5,), "first", small=True))
    )
    text, (axis, _), rows = drawn(what, View(cursor=0.25))
    assert sum("◇" in row for row in text) == 1
    assert all("┊" in row for row in text)
    assert "━" in axis
    assert "▲" in axis
    assert {cell.look.shaded for cell in rows[0]} == {True, False}

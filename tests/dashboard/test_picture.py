"""What a chart shows, and how it is looked at."""

import numpy as np
import pytest

from ltsm.dashboard.widgets.picture import Level, Picture, Point, View, axes, band_curve
from ltsm.report.bands import band

STEPS = np.arange(0, 5001, 100.0)
FALLING = band([[(x, 2.3 * np.exp(-x / 300) + 0.1) for x in STEPS]] * 2)
PICTURE = Picture(curves=(band_curve(FALLING, tone="series-1"),), settles=True)


def test_the_first_look_is_at_the_settled_part():
    assert axes(PICTURE, View()).y.high < 0.3
    assert axes(PICTURE, View(log=True)).y.high > 2


def test_all_that_lies_in_the_window_is_seen():
    scale = axes(PICTURE, View(window=(0, 500))).y
    assert scale.high > 2.3


def test_published_values_and_points_are_always_in_sight():
    picture = Picture(
        curves=PICTURE.curves, levels=(Level(0.01, "series-1"),), points=(Point(4000, 0.5, "good"),)
    )
    scale = axes(picture, View()).y
    assert scale.low < 0.01
    assert scale.high > 0.5


def test_an_empty_picture_has_axes():
    scales = axes(Picture(), View())
    assert (scales.x.low, scales.x.high) == (0, 1)


def test_zooming_in_keeps_the_cursor_where_it_is_and_out_again_shows_all():
    view = View(cursor=1000.0).zoomed(PICTURE, 2)
    assert view.window == (500, 3000)
    assert view.zoomed(PICTURE, 0.5).window is None
    assert view.zoomed(PICTURE, 0.5) == View(cursor=1000.0)


def test_the_cursor_goes_from_record_to_record_and_stops_at_the_ends():
    view = View().moved(PICTURE, STEPS, 1)
    assert view.cursor == 0
    assert view.moved(PICTURE, STEPS, 3).cursor == 300
    assert view.moved(PICTURE, STEPS, -3).cursor == 0
    assert View().moved(PICTURE, STEPS, -1).cursor == 5000
    assert View().moved(PICTURE, np.empty(0), 1) == View()


def test_the_window_follows_the_cursor():
    view = View(window=(0, 1000), cursor=1000.0)
    assert view.moved(PICTURE, STEPS, 5).window == pytest.approx((500, 1500))

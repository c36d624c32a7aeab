"""Figures 1 to 8: what they show, and the files they become."""

import dataclasses
import math

import pytest
from odd_stores import STORES
from pages import WellFormed

from ltsm.protocol import PAPER
from ltsm.report.figures.all import FIGURES, figures
from ltsm.report.figures.draw import draw
from ltsm.report.figures.shape import Shape, layer_sizes, network_shape
from ltsm.report.figures.svg import svg
from ltsm.report.figures.values import Axis, Band, Bars, Curve, Level, Picture, Points, Shade, ticks


def layers(figure, kind):
    return [layer for panel in figure.panels for layer in panel.layers if isinstance(layer, kind)]


@pytest.fixture
def full(evaluations):
    return {figure.number: figure for figure in figures(evaluations("full"))}


def test_the_mean_of_the_initial_training_is_over_all_seeds(evaluations, full):
    (curve,) = layers(full[1], Curve)
    assert curve.x == tuple(range(0, 20_001, 100))
    evaluation = evaluations("full")
    at_3000 = [evaluation.records[r.run_id][30].val_loss for r in evaluation.finished("initial")]
    assert curve.y[30] == pytest.approx(sum(at_3000) / 10)
    assert "over n = 10 seeds; data: MNIST" in full[1].caption


def test_early_stopping_shows_where_each_seed_stopped(evaluations, full):
    (stops,) = layers(full[2], Points)
    ends = sorted(run.iterations for run in evaluations("full").runs if run.kind == "baseline")
    assert list(stops.x) == ends
    whole, rest = layers(full[2], Curve)
    assert whole.x[-1] == ends[0] == rest.x[0]
    assert rest.x[-1] == ends[-1]
    assert rest.dashed
    assert f"After iteration {ends[0]}" in full[2].caption


@pytest.mark.parametrize("form", ["png", "svg"])
def test_minima_at_iteration_0_are_drawn(evaluations, form):
    """Training at far too large a step never gets below its first loss: each retraining has one record, at 0."""
    one = evaluations("one")
    first = {run: [records[0]] for run, records in one.records.items() if records}
    for figure in figures(dataclasses.replace(one, records=first)):
        assert draw(figure, form)
        assert "nan" not in svg(figure)
        for panel in (panel for panel in figure.panels if figure.number == 2):
            (stop,) = layers(figure, Points)
            assert panel.y.low < stop.y[0] < panel.y.high


def test_the_considered_thresholds_are_shaded_in_a_wider_range(full):
    for number in (3, 4):
        (shade,) = layers(full[number], Shade)
        assert (shade.low, shade.high) == (PAPER.select_min, PAPER.select_max)
        mean = next(layer for layer in layers(full[number], Curve) if layer.label == "mean")
        assert (mean.x[0], mean.x[-1]) == (-0.1, 0.4)


def test_each_seed_and_its_selected_threshold_are_in_figure_4(evaluations, full):
    assert sum(curve.faint for curve in layers(full[4], Curve)) == 10
    (selected,) = layers(full[4], Points)
    wanted = [m for m in evaluations("full").masks if m.selected]
    assert selected.x == tuple(m.threshold for m in wanted)
    assert layers(full[4], Level) == [Level(10.0, "chance")]


def test_groups_have_their_runs_pooled(full):
    labels = [curve.label for curve in layers(full[5], Curve)]
    assert labels == [
        "Lottery tickets (n = 10)",
        "High performers (n = 50)",
        "Medium performers (n = 30)",
        "Low performers (n = 20)",
    ]
    (bars,) = layers(full[6], Bars)
    assert bars.heights[1] == pytest.approx((100 + 49.1 + 49.8 + 73.6 + 74.6) / 5, abs=0.1)


def test_the_trade_off_has_a_point_for_each_run_and_a_mean_for_each_network(full):
    points = layers(full[7], Points)
    assert sum(len(layer.x) for layer in points if layer.small) == 110
    means = [layer for layer in points if not layer.small]
    assert len(means) == 11
    assert len(means[0].x_error) == len(means[0].y_error) == 1
    assert all(mean.x_error == () for mean in means[1:])


def test_a_far_run_is_cut_off_and_said(evaluations, full):
    """A single dead network must not press all others flat."""
    panel = full[7].panels[0]
    above = sum(y > panel.y.high for layer in layers(full[7], Points) for y in layer.y)
    assert ("Above the picture" in full[7].caption) == (above > 0)


def test_the_pixel_map_counts_the_supermasks_first_layer(evaluations, full):
    one, mean = layers(full[8], Picture)
    mask = evaluations("full").supermasks[0]
    assert len(one.rows) == len(one.rows[0]) == len(mean.rows) == 28
    weights = sum(v for row in one.rows for v in row) / 100 * 200
    biases = 200
    assert mask.layer_sizes[0] - biases <= round(weights) <= mask.layer_sizes[0]


@pytest.mark.parametrize("number", [3, 4, 8])
def test_without_masks_a_panel_says_so(evaluations, number):
    """Curves without points once counted as layers: empty axes with a key of what was not there."""
    hyperops = dataclasses.replace(evaluations("full"), masks=(), supermasks=())
    (figure,) = figures(hyperops, (number,))
    assert [(p.layers, p.missing) for p in figure.panels] == [((), "No supermask has been looked for yet.")]


EMPTY = [
    (1, ["initial"], "initial training"),
    (2, ["baseline"], "retraining"),
    *[(number, ["ticket", "hyperop"], "ticket or hyperop") for number in (5, 6, 7)],
]


@pytest.mark.parametrize(("number", "kinds", "one"), EMPTY)
def test_where_all_diverged_a_figure_says_that(evaluations, number, kinds, one):
    """“Not finished yet” is what one would wait for in vain."""
    full = evaluations("full")
    others = tuple(r for r in full.results if r.kind not in kinds)
    diverged = tuple(dataclasses.replace(r, state="diverged") for r in full.results if r.kind in kinds)
    running = tuple(
        dataclasses.replace(r, state="running") if r.seed and r.kind in kinds else r for r in full.runs
    )
    for runs, results, sentence in [
        (running, others, f"No {one} is finished yet."),
        (running, others + diverged, f"Every {one} that has ended diverged."),
        (full.runs, others + diverged, f"Every {one} diverged."),
    ]:
        (figure,) = figures(dataclasses.replace(full, runs=runs, results=results), (number,))
        assert [(panel.layers, panel.missing) for panel in figure.panels] == [((), sentence)]


def test_inputs_and_classes_are_told_from_the_sizes(evaluations):
    assert network_shape(evaluations("full")) == Shape(784, 10)
    assert network_shape(evaluations("digits")) == Shape(64, 10)
    assert network_shape(evaluations("none")) is None
    assert layer_sizes(evaluations("full")) == (157_000, 6_030, 310)
    assert Shape(784, 10).side == 28
    assert Shape(3072, 10).side is None


@pytest.mark.parametrize("name", [name for name in STORES if name != "different"])
def test_every_store_has_every_figure(evaluations, name):
    """Each is either drawn or says what is missing; nothing in it is infinite."""
    for figure in figures(evaluations(name)):
        assert figure.caption.endswith(".")
        assert figure.caption[0].isupper()
        for panel in figure.panels:
            assert panel.layers or panel.missing
            assert panel.x.low < panel.x.high
            assert panel.y.low < panel.y.high
            for layer in panel.layers:
                if isinstance(layer, Curve | Points):
                    assert all(map(math.isfinite, (*layer.x, *layer.y)))
                if isinstance(layer, Band):
                    assert all(map(math.isfinite, (*layer.low, *layer.high)))


@pytest.mark.parametrize("name", [name for name in STORES if name != "different"])
def test_pictures_for_the_page_are_well_formed(evaluations, name):
    for figure in figures(evaluations(name)):
        page = WellFormed()
        page.feed(svg(figure))
        assert page.open == []
        assert "nan" not in svg(figure)


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_files_are_the_same_bytes_every_time(full, form):
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[form]
    content = draw(full[7], form)
    assert content.startswith(start)
    assert draw(full[7], form) == content


def test_fonts_are_embedded_and_no_date_is_named(full):
    assert b"/FontFile2" in draw(full[7], "pdf")
    assert b"CreationDate" not in draw(full[7], "pdf")
    assert b"<text" not in draw(full[7], "svg")


@pytest.mark.parametrize("name", ["none", "one", "mixed"])
def test_files_come_out_of_incomplete_stores(evaluations, name):
    for figure in figures(evaluations(name)):
        assert draw(figure, "svg")


def test_there_are_eight():
    assert list(FIGURES) == list(range(1, 9))


def test_ticks_are_round_and_within():
    assert ticks(Axis("", 0, 5000)) == [(1000.0 * i, str(1000 * i)) for i in range(6)]
    assert [text for _, text in ticks(Axis("", -0.1, 0.4))] == ["−0.1", "0.0", "0.1", "0.2", "0.3", "0.4"]
    assert ticks(Axis("", -0.5, 1.5, ("a", "b"))) == [(0.0, "a"), (1.0, "b")]

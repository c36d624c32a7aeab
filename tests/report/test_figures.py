"""Figures 1 to 8: what they show, and the files they become."""

import dataclasses
import math
import re
import statistics
import struct

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from odd_stores import STORES
from pages import WellFormed

from ltsm.errors import UsageError
from ltsm.protocol import PAPER
from ltsm.report.all import figures
from ltsm.report.figures.draw import Sheet, _panel, draw, for_page
from ltsm.report.figures.groups import STYLES
from ltsm.report.figures.values import (
    Axis,
    Band,
    Bars,
    Curve,
    Figure,
    Level,
    Panel,
    Picture,
    Points,
    Shade,
    ticks,
)
from ltsm.report.measure import MEASURES
from ltsm.studies import paper


def layers(figure, kind):
    return [layer for panel in figure.panels for layer in panel.layers if isinstance(layer, kind)]


@pytest.fixture
def full(evaluations):
    return {figure.number: figure for figure in figures(evaluations("full"))}


def test_the_mean_of_the_initial_training_is_over_all_seeds(evaluations, full):
    (curve,) = layers(full[1], Curve)
    assert curve.x == tuple(range(0, 20_001, 100))
    evaluation = evaluations("full")
    at_3000 = [
        evaluation.records[r.run_id][30].val_loss for r in evaluation.results if r.recipe == paper.INITIAL
    ]
    assert curve.y[30] == pytest.approx(sum(at_3000) / 10)
    assert "over n = 10 seeds; data: MNIST" in full[1].caption


def test_early_stopping_shows_where_each_seed_stopped(evaluations, full):
    (stops,) = layers(full[2], Points)
    ends = sorted(run.iterations for run in evaluations("full").runs if run.recipe == paper.BASELINE)
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
        assert "nan" not in "".join(for_page(figure))
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
    assert selected.x == tuple(m.amount for m in wanted)
    assert layers(full[4], Level) == [Level(10.0, "chance")]


def test_groups_are_averaged_for_each_seed_before_the_deviation(evaluations, full):
    """Ten seeds, not fifty runs: the deviation was one over a pool of fixed networks."""
    curves = layers(full[5], Curve)
    assert [curve.label for curve in curves] == [
        "Lottery tickets (n = 10)",
        "High performers (n = 10)",
        "Medium performers (n = 10)",
        "Low performers (n = 10)",
    ]
    evaluation = evaluations("full")
    ids = {r.recipe: {} for r in evaluation.results}
    for r in evaluation.results:
        ids[r.recipe][r.seed] = r.run_id
    low = [paper.hyperop(hidden) for hidden in ((100, 5), (50, 5))]
    at_3000 = [sum(evaluation.records[ids[n][s]][30].val_loss for n in low) / 2 for s in range(10)]
    band = layers(full[5], Band)[3]
    assert curves[3].y[30] == pytest.approx(statistics.mean(at_3000))
    assert (band.high[30] - band.low[30]) / 2 == pytest.approx(statistics.stdev(at_3000))
    (bars,) = layers(full[6], Bars)
    assert bars.heights[1] == pytest.approx((100 + 49.1 + 49.8 + 73.6 + 74.6) / 5, abs=0.1)
    assert [math.isnan(error) for error in bars.errors] == [False, True, True, True]


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
    (figure,) = (f for f in figures(hyperops) if f.number == number)
    assert [(p.layers, p.missing) for p in figure.panels] == [((), "No supermask has been looked for yet.")]


EMPTY = [
    (1, [paper.INITIAL], "initial training"),
    (2, [paper.BASELINE], "retraining"),
    *[(n, [paper.TICKET, *map(paper.hyperop, PAPER.hyperops)], "ticket or hyperop") for n in (5, 6, 7)],
]


@pytest.mark.parametrize(("number", "recipes", "one"), EMPTY)
def test_where_all_diverged_a_figure_says_that(evaluations, number, recipes, one):
    """“Not finished yet” is what one would wait for in vain."""
    full = evaluations("full")
    others = tuple(r for r in full.results if r.recipe not in recipes)
    diverged = tuple(r._replace(state="diverged") for r in full.results if r.recipe in recipes)
    running = tuple(r._replace(state="running") if r.seed and r.recipe in recipes else r for r in full.runs)
    for runs, results, sentence in [
        (running, others, f"No {one} is finished yet."),
        (running, others + diverged, f"Every {one} that has ended diverged."),
        (full.runs, others + diverged, f"Every {one} diverged."),
    ]:
        found = figures(dataclasses.replace(full, runs=runs, results=results))
        (figure,) = (f for f in found if f.number == number)
        assert [(panel.layers, panel.missing) for panel in figure.panels] == [((), sentence)]


def test_where_an_old_store_names_no_inputs_a_map_says_so(evaluations):
    full = evaluations("full")
    unknown = tuple(run._replace(inputs=None, classes=None) for run in full.runs)
    found = {figure.number: figure for figure in figures(dataclasses.replace(full, runs=unknown))}
    left, right = found[8].panels
    assert "does not say how many inputs and classes" in left.missing
    assert "does not say how many inputs" in right.missing
    figure = found[4]
    assert layers(figure, Level) == []


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


@pytest.mark.parametrize("name", ["full", "mixed", "none", "controls"])
def test_pictures_for_the_page_are_well_formed(evaluations, name):
    """Text stays text; colours are the page's, but for those of a map."""
    for figure in figures(evaluations(name)):
        for panel, drawn in zip(figure.panels, for_page(figure), strict=True):
            page = WellFormed()
            page.feed(drawn)
            assert page.open == []
            assert "nan" not in drawn
            assert not panel.layers or panel.y.label in " ".join(page.texts)
            assert layers(figure, Picture) or not re.search(r"(?<!url\()#[0-9a-f]{6}\b", drawn)


def test_a_pictures_names_are_its_own_and_referred_to(full):
    """Each panel is drawn alone; matplotlib names parts that nobody refers to, alike in every picture."""
    for figure in full.values():
        for drawn in for_page(figure):
            named = set(re.findall(r'\bid="([^"]*)"', drawn))
            assert named <= set(re.findall(r"#([\w-]+)", drawn))


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_files_are_the_same_bytes_every_time(full, form):
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[form]
    content = draw(full[7], form)
    assert content.startswith(start)
    assert draw(full[7], form) == content


def drawn_names(figure, width):
    """Where matplotlib puts the names of a figure's only panel, and its markers, in pixels."""
    canvas = Canvas(figsize=(width, 4.2), layout="constrained")
    axes = canvas.subplots()
    _panel(axes, figure.panels[0], 2, above=False)
    renderer = FigureCanvasAgg(canvas).get_renderer()
    canvas.draw(renderer)
    names = [text.get_window_extent(renderer) for text in axes.texts if text.get_text()]
    points = [p for layer in layers(figure, Points) for p in zip(layer.x, layer.y, strict=True)]
    return names, axes.transData.transform([p for p in points if p[1] <= figure.panels[0].y.high])


@pytest.mark.parametrize("store", ["full", "one"])
def test_no_name_in_figure_7_lies_on_a_marker_or_on_another_name(evaluations, store):
    """As it is drawn; of every run's small marker, too."""
    figure = next(f for f in figures(evaluations(store)) if f.number == 7)
    names, markers = drawn_names(figure, 6.4)
    assert len(names) == 11
    for i, name in enumerate(names):
        assert not any(name.overlaps(other) for other in names[i + 1 :])
        assert not any(name.contains(*marker) for marker in markers)


@pytest.mark.parametrize(("width", "dpi"), [(4.0, 100), (8.0, 50), (None, 300)])
@pytest.mark.parametrize("style", ["paper", "slides"])
def test_a_figure_is_as_wide_and_fine_as_asked_for(full, width, dpi, style):
    own = struct.unpack(">II", draw(full[5], "png", Sheet(None, 100, style))[16:24])
    wide, high = struct.unpack(">II", draw(full[5], "png", Sheet(width, dpi, style))[16:24])
    assert wide == pytest.approx((width or own[0] / 100) * dpi, abs=1)
    assert high / wide == pytest.approx(own[1] / own[0], rel=0.01)


def test_a_figure_that_has_no_room_is_refused_and_not_drawn_over_itself(full):
    with pytest.raises(UsageError, match="figure 8 has no room for its words in 4 inches") as caught:
        draw(full[8], "png", Sheet(4.0, 100, "slides"))
    assert caught.value.hint == "--width 8, or --style paper"
    assert draw(full[8], "png", Sheet(8.0, 50, "slides"))
    assert draw(full[8], "png", Sheet(4.0, 50))


def test_figure_8s_maps_have_one_scale(full):
    one, mean = layers(full[8], Picture)
    assert (one.low, one.high) == (mean.low, mean.high)
    values = [value for picture in (one, mean) for row in picture.rows for value in row]
    assert (one.low, one.high) == (min(values), max(values))


def test_fonts_are_embedded_and_no_date_is_named(full):
    assert b"/FontFile2" in draw(full[7], "pdf")
    assert b"CreationDate" not in draw(full[7], "pdf")
    assert b"<text" not in draw(full[7], "svg")


@pytest.mark.parametrize("name", ["none", "one", "mixed"])
def test_files_come_out_of_incomplete_stores(evaluations, name):
    for figure in figures(evaluations(name)):
        assert draw(figure, "svg")


def test_the_paper_has_eight_and_a_study_as_many_as_it_has_something_to_draw_for(evaluations):
    assert [figure.number for figure in figures(evaluations("none"))] == list(range(1, 9))
    controls = evaluations("controls")
    assert [figure.number for figure in figures(controls)] == [1, 2, 3, 4]
    one_amount = tuple(mask for mask in controls.masks if mask.selected)
    assert [f.number for f in figures(dataclasses.replace(controls, masks=one_amount))] == [1, 2, 3]


def test_a_studys_figures_show_its_groups(evaluations):
    """A curve, a bar and a mean for each, and one small marker for each run."""
    evaluation = evaluations("controls")
    groups = len(evaluation.study.groups)
    curves, bars, scatter, _ = figures(evaluation)
    assert len(layers(curves, Curve)) == groups
    assert layers(curves, Curve)[-1].x[-1] == 5000  # the dense network is cut where its group says
    assert len(layers(bars, Bars)[0].heights) == groups
    points = layers(scatter, Points)
    assert sum(len(layer.x) for layer in points if layer.small) == 10 * groups
    assert sum(not layer.small for layer in points) == groups
    assert len({layer.style for layer in points}) == groups


def test_only_masks_that_were_chosen_among_several_are_drawn_against_their_amount(evaluations):
    """A random mask has the amount of the one that it stands in for, which differs between seeds."""
    *_, amounts = figures(evaluations("controls"))
    sizes, accuracies = amounts.panels
    assert [curve.label for curve in sizes.layers if isinstance(curve, Curve)] == ["Supermask"]
    (chosen,) = (layer for layer in accuracies.layers if isinstance(layer, Points))
    assert len(chosen.x) == 10
    assert sizes.x.label == accuracies.x.label == "Threshold"


def test_ticks_are_round_and_within():
    assert ticks(Axis("", 0, 5000)) == [(1000.0 * i, str(1000 * i)) for i in range(6)]
    assert [text for _, text in ticks(Axis("", -0.1, 0.4))] == ["−0.1", "0.0", "0.1", "0.2", "0.3", "0.4"]
    assert ticks(Axis("", -0.5, 1.5, ("a", "b"))) == [(0.0, "a"), (1.0, "b")]


@pytest.mark.parametrize(("name", "numbers"), [("full", (1, 2, 5)), ("controls", (1,))])
def test_by_accuracy_the_curves_are_accuracies(evaluations, name, numbers):
    """In per cent, and cut below instead of above; what shows no curves is the same either way."""
    evaluation = evaluations(name)
    by_loss, by_accuracy = (
        {figure.number: figure for figure in figures(evaluation, measure=measure)}
        for measure in MEASURES.values()
    )
    for number in numbers:
        (panel,) = by_accuracy[number].panels
        assert panel.y.label == "Validation accuracy (%)"
        assert 80 < panel.y.low < panel.y.high <= 101
        assert "validation accuracy" in by_accuracy[number].caption
        assert "lie below the picture" in by_accuracy[number].caption
    assert {n: f for n, f in by_accuracy.items() if n not in numbers} == {
        n: f for n, f in by_loss.items() if n not in numbers
    }


def test_on_a_page_a_panels_title_and_its_key_stand_below_each_other():
    """There every panel is alone, also one of several."""
    axis = Axis("x", 0, 1)
    panel = Panel(axis, axis, (Curve((0, 1), (0, 1), STYLES[0], "A: paper"),), title="Lottery ticket")
    for drawn in for_page(Figure(1, "", "", (panel, panel))):
        words = re.findall(r'y="([\d.]+)"[^>]*>(A: paper|Lottery ticket)<', drawn)
        heights = {word: float(y) for y, word in words}
        assert heights["Lottery ticket"] - heights["A: paper"] > 10

"""Several protocols at once: what is pinned stays drawn; smoothing, differences, the table's columns on demand."""

import math
import sqlite3

import made_up
import pytest

from ltsm.dashboard import curve_groups, pins
from ltsm.dashboard.curve_groups import Asked, curves_of, difference
from ltsm.dashboard.moment import Choice
from ltsm.dashboard.source import Source
from ltsm.dashboard.widgets.chart import Chart
from ltsm.protocol import PAPER
from ltsm.report.bands import smoothed
from ltsm.report.figures.values import Curve
from ltsm.report.paired import in_units
from ltsm.report.table import FINAL_LOSS
from ltsm.studies import controls, paper

FIRST, SECOND = Choice("1"), Choice("2")


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """Two protocols, the second worse, with the seeds 1 and 2 in common. Nobody may write to it."""
    path = tmp_path_factory.mktemp("two") / "ltsm.db"
    made_up.evaluation(path, seeds=(0, 1, 2))
    return made_up.evaluation(path, seeds=(1, 2, 3), protocol=PAPER.changed(lr=0.01), factor=1.5)


def drawn(watched):
    """The lines of the chart: their letters and last values."""
    layers = watched.screen.query_one(Chart).panel.layers
    return {layer.label: layer.y[-1] for layer in layers if isinstance(layer, Curve) and layer.label}


def line(watched, name):
    return next(entry for entry in watched.screen.legend.rows if entry.line.name == name)


async def test_a_pinned_group_stays_beside_those_of_another_protocol(watching, two):
    """Whatever protocol is chosen, and it goes where it is pinned off again."""
    async with watching(two, size=(100, 30), choice=FIRST) as watched:
        await watched.press("2", "i")
        assert "[a]* Ticket" in watched.text
        (note,) = watched.app._notifications
        assert note.message.startswith("Pinned 1: Ticket")
        before = drawn(watched)["a"]
        await watched.press("p")
        watched.screen.dismiss(SECOND)
        await watched.settle()
        await watched.look()
        assert watched.screen.NAME == "curves"
        assert watched.app.moment.protocol_id == 2
        assert "1: Ticket" in watched.text
        entry = line(watched, "1: Ticket")
        assert entry.pinned
        assert drawn(watched)[entry.tag] == before
        assert drawn(watched)["a"] == pytest.approx(1.5 * before, rel=0.1)
        await watched.press("home", "i")
        assert watched.app.pins == ()
        assert "1: Ticket" not in watched.text


async def test_the_number_of_the_protocol_that_is_shown_is_never_cut(watching, two):
    """Its name may be long; by the number `p`, pins and commands call it."""
    async with watching(two, size=(60, 24), choice=SECOND) as watched:
        assert watched.text.startswith("ltsm.db:2 · ")


async def test_the_command_that_goes_on_stands_there_whole(watching, two):
    async with watching(two, size=(60, 24), choice=FIRST) as watched:
        said = "".join(text.strip() for text in watched.text.splitlines())
        assert f"ltsm report --protocol paper --store{two}" in said.replace("--store ", "--store")


async def test_a_pinned_line_is_hidden_and_shown_like_every_other(watching, two):
    async with watching(two, choice=FIRST) as watched:
        await watched.press("2", "i")
        watched.app._choose(SECOND)
        await watched.settle()
        lines = len(drawn(watched))
        await watched.press("home", "space")
        assert len(drawn(watched)) == lines - 1
        await watched.press("space")
        assert len(drawn(watched)) == lines
        await watched.press("end", "a")
        assert list(drawn(watched)) == ["a"]
        await watched.press("home", "a")
        assert line(watched, "1: Ticket").tag == "a"


async def test_a_group_that_is_pinned_and_shown_has_one_line(watching, two):
    async with watching(two, choice=FIRST) as watched:
        await watched.press("2", "i")
        names = [entry.line.name for entry in watched.screen.legend.rows]
        assert names.count("Ticket") == 1
        assert "1: Ticket" not in names


async def test_a_run_is_pinned_from_the_list_and_from_its_window(watching, two):
    async with watching(two, size=(100, 30), choice=FIRST) as watched:
        await watched.press("5", "slash", *"kind:ticket seed:2", "enter", "i")
        assert [pin.name for pin in watched.app.pins] == ["1: Ticket, seed 2"]
        await watched.press("2")
        entry = line(watched, "1: Ticket, seed 2")
        assert (entry.line.started, entry.at.n) == (1, 1)
        await watched.press("5", "enter", "i")
        assert watched.app.pins == ()
        await watched.press("i", "escape", "2")
        assert line(watched, "1: Ticket, seed 2").tag


async def test_what_is_pinned_of_a_protocol_that_is_gone_draws_nothing(watching, two):
    gone = pins.Pin(two, 9, "ticket", frozenset({"x"}))
    async with watching(two, choice=FIRST) as watched:
        watched.app.pins = (gone,)
        await watched.press("2")
        assert line(watched, "9: Ticket").line.started == 0


async def test_m_smooths_over_more_records_and_then_over_none(watching, two):
    async with watching(two, size=(100, 30), choice=FIRST) as watched:
        await watched.press("2")
        rough, number = drawn(watched)["a"], line(watched, "Ticket").at.mean
        await watched.press("m")
        assert "smoothed over 5 records" in watched.text
        assert drawn(watched)["a"] != rough
        assert line(watched, "Ticket").at.mean == number, "numbers are as they were recorded"
        await watched.press("m")
        assert "smoothed over 15 records" in watched.text
        await watched.press("m")
        assert drawn(watched)["a"] == rough


async def test_d_shows_each_group_minus_the_one_under_the_cursor(watching, two):
    """In 80 columns, paired by seed; of the same group again it goes."""
    async with watching(two, choice=FIRST) as watched:
        await watched.press("2", "d")
        assert "minus [a]" in watched.text
        assert "paper min" not in watched.text
        records = Source(two)
        moment = records.look()
        assert moment is not None
        other = line(watched, "Hyperop (200, 30)").versus
        results = watched.app.source._evaluation(watched.app.moment)
        ticket, hyperop = (
            in_units(results.by_seed(group, "final_val_loss"), FINAL_LOSS)
            for group in results.study.groups[:2]
        )
        wanted = [hyperop[seed] - ticket[seed] for seed in ticket]
        assert (other.n, other.mean) == (3, pytest.approx(sum(wanted) / 3))
        assert line(watched, "Ticket").versus is None
        lines = watched.text.splitlines()
        assert any(f"{other.mean:.4f} ± {other.sd:.4f}" in text for text in lines)
        await watched.press("left")
        assert line(watched, "Hyperop (200, 30)").versus.n == 3
        await watched.press("d")
        assert "paper min" in watched.text


def test_a_difference_is_over_the_seeds_that_both_have_there():
    def curves(*seeds):
        return curves_of({seed: [(0.0, 9.0), (100.0, value)] for seed, value in seeds})

    found = difference(curves((1, 2.0), (2, 4.0), (3, 99.0)), curves((0, 7.0), (1, 1.0), (2, 1.0)), 100.0)
    assert (found.n, found.mean, found.sd) == (2, 2.0, pytest.approx(2**0.5))
    apart = difference(curves((1, 2.0), (2, 4.0)), curves((5, 1.0)), None)
    assert (apart.n, apart.mean) == (0, 2.0)
    assert math.isnan(apart.sd)
    assert math.isnan(difference(curves((1, 2.0)), curves((1, 1.0)), 50.0).mean)


def test_smoothing_is_the_mean_of_the_records_around_and_leaves_gaps_out():
    points = [(0.0, 1.0), (1.0, 3.0), (2.0, math.nan), (3.0, 5.0)]
    assert smoothed(points, 1)[:2] == points[:2]
    found = [value for _, value in smoothed(points, 3)]
    assert found[0] == 2.0
    assert found[1] == 2.0
    assert math.isnan(found[2])
    assert found[3] == 5.0
    assert [x for x, _ in smoothed(points, 15)] == [0.0, 1.0, 2.0, 3.0]
    assert smoothed([], 5) == []


def test_a_pinned_group_of_another_study_is_read_by_its_recipes(tmp_path):
    """Under the name that the store has, with what its group says of how far."""
    path = made_up.evaluation(tmp_path / "ltsm.db", seeds=(0, 1), study=controls.study)
    of_controls = Source(path, Choice(None, controls.NAME)).look()
    dense = next(group for group in of_controls.study.groups if group.label == controls.DENSE)
    pin = pins.of_group(of_controls, dense)
    source = Source(path, Choice(None, paper.NAME))
    found = curve_groups.drawing(source, source.look(), Asked([pin.key], pins=(pin,)))
    assert found.curves[pin.key].band.x[-1] == dense.until
    assert sorted(found.curves[pin.key].seeds) == [0, 1]


@pytest.mark.parametrize("study", [paper.NAME, controls.NAME])
async def test_the_table_fits_100_columns(watching, tmp_path, study):
    """By loss and by accuracy; the published values and the differences come on demand."""
    make = {paper.NAME: paper.study, controls.NAME: controls.study}[study]
    path = made_up.evaluation(tmp_path / "ltsm.db", seeds=tuple(range(10)), study=make)
    async with watching(path, size=(100, 30), choice=Choice(None, study)) as watched:
        await watched.press("4")
        for measure in ("loss", "accuracy"):
            assert watched.screen.measure == measure
            assert watched.screen.grid.virtual_size.width <= 100
            assert not any("…" in text for text in watched.text.splitlines()[2:-4])
            await watched.press("v")
        assert "final accuracy" not in watched.text


async def test_the_tables_differences_are_the_reports(watching, two):
    async with watching(two, size=(120, 30), choice=SECOND) as watched:
        await watched.press("4", "d")
        grid = watched.screen.grid
        column = grid.columns[2]
        assert column.title.split() == ["final", "loss", "Ticket", "−"]
        comparison = watched.app.source.differences(
            watched.app.moment, watched.app.source.table(watched.app.moment).measure
        )
        for row in grid.rows[1:]:
            (pair,) = (p for p in comparison.pairs if p.label.lower() == row.group.label)
            assert column.value(row) == pair.difference.mean
            assert column.deviation(row) == pair.difference.sd
        assert column.value(grid.rows[0]) is None
        await watched.press("v")
        assert grid.columns[2].title.split()[:2] == ["final", "accuracy"]
        await watched.press("d")
        assert "−" not in grid.columns[2].title


async def test_a_runs_window_shows_loss_accuracy_and_size(watching, two):
    async with watching(two, size=(120, 50), choice=FIRST) as watched:
        await watched.press("5", "slash", *"kind:ticket seed:1", "enter", "enter")
        (one,) = [
            one
            for one in watched.app.source.listed(watched.app.moment)
            if one.run.recipe == "ticket" and one.run.seed == 1
        ]
        await watched.until(lambda: "Measured" in watched.text)
        assert f"5,000: validation loss {one.loss:.4f}, accuracy {100 * one.accuracy:.2f} %" in watched.text
        assert f"{one.run.best_iteration:,}: validation loss" in watched.text
        assert "relative size" in watched.text
        await watched.press(
            "escape", "slash", *["backspace"] * 18, *"kind:supermask seed:1", "enter", "enter"
        )
        await watched.until(lambda: "Measured" in watched.text)
        mask = next(m for m in watched.app.moment.masks.values() if m.seed == 1)
        assert f"accuracy {100 * mask.val_accuracy:.2f} %" in watched.text


@pytest.mark.parametrize("key", "12345")
async def test_the_palette_has_whatever_the_screen_has_a_key_for(watching, two, key):
    async with watching(two, choice=FIRST) as watched:
        await watched.press(key)
        commands = {c.title: c for c in watched.app.get_system_commands(watched.screen)}
        assert {"Copy row", "Copy table", "Export CSV", "Export SVG"} <= commands.keys()
        assert ("Measure" in commands) == (key in "24")
        assert commands["Export CSV"].help == "Key e"


async def test_a_command_of_the_palette_does_what_its_key_does(watching, two):
    async with watching(two, choice=FIRST) as watched:
        await watched.press("2")
        commands = {c.title: c for c in watched.app.get_system_commands(watched.screen)}
        await commands["Measure"].callback()
        await watched.settle()
        assert watched.screen.measure == "val_accuracy"
        await watched.press("ctrl+p")
        await watched.until(lambda: "Search for commands" in watched.text)
        await watched.press(*"copy table")
        await watched.until(lambda: "Key" in watched.text)
        await watched.press("enter")
        await watched.until(lambda: "\t" in watched.app.clipboard)


def test_the_store_is_untouched(two):
    assert sqlite3.connect(two).execute("SELECT count(*) FROM protocol").fetchone() == (2,)


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (160, 50)], ids=lambda size: f"{size[0]}")
async def test_the_difference_is_in_sight_in_every_size(watching, two, size):
    async with watching(two, size=size, choice=FIRST) as watched:
        await watched.press("2", "i", "d")
        other = line(watched, "Hyperop (200, 30)").versus
        await watched.until(lambda: f"{other.mean:.4f} ± {other.sd:.4f}" in watched.text)


async def test_every_filter_of_the_page_filters(watching, two):
    """In the list itself: what is typed, and which runs are left."""
    filters = {
        "loss<0.1": lambda one: one.loss < 0.1,
        "loss>=0.1": lambda one: one.loss >= 0.1,
        "accuracy>=0.97": lambda one: one.accuracy >= 0.97,
        "accuracy<97%": lambda one: one.accuracy < 0.97,
        "size<20%": lambda one: one.run.relative_size < 0.2,
        "size<=0.2 or size>0.5": lambda one: not 0.2 < one.run.relative_size <= 0.5,
        "seed:0-1,7": lambda one: one.run.seed < 2,
        "seed=2": lambda one: one.run.seed == 2,
        "seed!=2": lambda one: one.run.seed != 2,
        "iteration=5000": lambda one: one.run.iteration == 5000,
        "best<4000": lambda one: (one.run.best_iteration or 9999) < 4000,
        "seconds>6": lambda one: one.run.seconds > 6,
        "kind:ticket": lambda one: one.run.recipe == "ticket",
        "recipe:hyperop-50-5,initial": lambda one: one.run.recipe in {"hyperop (50, 5)", "initial training"},
        'recipe:"hyperop (50, 5)"': lambda one: one.run.recipe == "hyperop (50, 5)",
        "state:done": lambda one: True,
        "state:failed,diverged": lambda one: False,
        "hidden:100,15": lambda one: one.run.hidden == (100, 15),
        "hyperop": lambda one: "hyperop" in one.run.recipe,
        "kind:ticket loss<0.1": lambda one: one.run.recipe == "ticket" and one.loss < 0.1,
        "kind:ticket and loss<0.1": lambda one: one.run.recipe == "ticket" and one.loss < 0.1,
        "not (seed:0-1 or size>20%)": lambda one: one.run.seed > 1 and one.run.relative_size <= 0.2,
    }
    async with watching(two, choice=FIRST) as watched:
        await watched.press("5")
        every = watched.app.source.listed(watched.app.moment)
        for typed, wanted in filters.items():
            watched.screen.query_one("#filter").value = typed
            await watched.settle()
            assert watched.screen.grid.rows == [one for one in every if wanted(one)], typed

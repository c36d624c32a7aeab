"""Every screen for every study: the controls, one of a user's own, and several in one store."""

import sys

import made_up
import pytest

from ltsm.dashboard.moment import Choice
from ltsm.dashboard.screens.run import OneRun
from ltsm.dashboard.screens.windows import Choosing
from ltsm.dashboard.seeds import columns
from ltsm.dashboard.widgets.chart import Chart
from ltsm.protocol import PAPER
from ltsm.report.figures.values import Band, Curve, Points
from ltsm.store import schema, write
from ltsm.studies import controls, iterative, paper
from ltsm.studies.study import Study

SCREENS = {"1": "overview", "2": "curves", "3": "masks", "4": "table", "5": "runs"}
OWN = """
from ltsm.studies.recipe import Mask, Masking, Random, Recipe, Weights
from ltsm.studies.study import Study

def study(protocol):
    at_birth = Weights("dense", "initial")
    masking = Masking(criterion="magnitude", before=at_birth, after=Weights("dense"), amounts=(0.1, 0.5), by="fraction")
    return Study(name="mine", title="pruned by size", recipes={
        "dense": Recipe(hidden=(20,), start=Random(("mine",)), iterations=200),
        "prune": Recipe(hidden=(20,), start=at_birth, mask=masking, trains="nothing"),
        "pruned": Recipe(hidden=(20,), start=at_birth, mask=Mask("prune"), iterations=200),
    })
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A store of a study of a user's own, and by which name it is found."""
    (tmp_path / "my_study.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_study", raising=False)
    from my_study import study

    def curve(final):
        return [(0, 2.3, 0.1), (100, 0.9, 0.5), (200, final, 0.8)]

    curves = {(name, seed): curve(0.5 + 0.1 * seed) for name in ("dense", "pruned") for seed in (0, 1)}
    masks = {("prune", seed): [(0.1, 0.1, 2.0, 0.3, False), (0.5, 0.5, 1.5, 0.4, True)] for seed in (0, 1)}
    return made_up.exact(tmp_path / "ltsm.db", study(PAPER), curves, masks=masks), "my_study:study"


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_shows_a_study_of_ones_own(watching, own, size):
    path, name = own
    async with watching(path, size=size, choice=Choice(None, name)) as watched:
        assert f"study {name}" in watched.text
        for key, screen in SCREENS.items():
            await watched.press(key)
            assert screen == watched.screen.NAME
        await watched.press("2")
        assert "[a] Dense" in watched.text
        assert "[b] Pruned" in watched.text
        assert "paper min" not in watched.text
        await watched.press("3")
        assert "fraction" in watched.text
        assert "paper" not in watched.text.split("fraction")[1]
        await watched.press("4")
        assert "0.550 ± 0.071" in watched.text
        await watched.press("5", "slash", *"recipe:prune ", "enter")
        assert "4 of 6 runs" in watched.text


async def test_a_study_that_is_not_named_is_asked_for_by_the_name_that_its_runs_have(watching, own):
    path, _ = own
    async with watching(path, size=(120, 24)) as watched:
        assert "holds runs of no study that is known here" in watched.app.problem.message
        assert watched.app.problem.hint == "ltsm dashboard MODULE:FUNCTION"


async def test_the_controls_have_their_own_columns_groups_and_table(watching, controlled):
    async with watching(controlled, size=(160, 50)) as watched:
        titles = [column.title for column in watched.screen.grid.columns]
        assert titles[5:9] == ["redrawn", "same\nsigns", "shuffled", "signed\nconstants"]
        assert "✓ t=0.04" in watched.text
        await watched.press("2")
        assert "[a] Ticket" in watched.text
        assert "[b] Redrawn " in watched.text
        await watched.press("4")
        assert [row.group.label for row in watched.screen.grid.rows][-2:] == ["fine-tuned", "dense"]
        assert not any("paper" in column.title for column in watched.screen.grid.columns)
        assert "Seed 2 random mask failed" in watched.text


async def test_a_failed_run_of_any_recipe_is_found_and_opened(watching, controlled):
    async with watching(controlled, size=(100, 60)) as watched:
        await watched.press("f", "enter")
        assert isinstance(watched.screen, OneRun)
        assert "seed 2 random mask" in watched.text
        assert "checkpoint 1900" in watched.text


async def test_a_failed_search_is_a_failed_run(watching, tmp_path):
    path = made_up.evaluation(tmp_path / "ltsm.db", seeds=(0,), states={("supermask", 0): "failed"})
    async with watching(path, size=(160, 24)) as watched:
        assert "✗ seed 0 supermask failed" in watched.text
        await watched.press("f", "enter")
        assert isinstance(watched.screen, OneRun)
        assert "trains nothing" in watched.text
        await watched.press("escape", "3")
        assert watched.screen.choices.rows == []


async def test_masks_are_chosen_among_the_recipes_that_make_some(watching, controlled):
    """One mask a seed, as a control has, is drawn without a line: it would join what does not belong together."""
    async with watching(controlled, size=(100, 30)) as watched:
        await watched.press("3")
        layers = watched.screen.query_one("#size", Chart).panel.layers
        assert "supermask · relative size" in watched.text
        assert any(isinstance(layer, Band) for layer in layers)
        await watched.press("m")
        layers = watched.screen.query_one("#size", Chart).panel.layers
        assert "random mask · relative size" in watched.text
        assert not any(isinstance(layer, Band) for layer in layers)
        assert sum(len(layer.x) for layer in layers if isinstance(layer, Points)) == 3
        await watched.press("m", "m")
        assert "supermask · relative size" in watched.text


@pytest.fixture
def both(tmp_path):
    """A store with the paper's evaluation and the controls, which were made later."""
    path = made_up.evaluation(tmp_path / "ltsm.db", seeds=(0, 1))
    store = schema.open_for_writing(path)
    ids = made_up.add_runs(store, 1, controls.study(PAPER), (0, 1))
    write.stop(store, ids["shuffled", 1], "failed", "made up", made_up.NOW.replace(year=2027))
    store.close()
    return path


async def test_of_two_studies_the_one_that_changed_last_is_shown_and_p_leads_to_the_other(watching, both):
    async with watching(both, size=(120, 30)) as watched:
        assert watched.app.moment.asked == "controls"
        assert watched.app.moment.stored == {1: ("paper", "controls")}
        assert "8/22 runs done" in watched.text
        await watched.press("p")
        assert isinstance(watched.screen, Choosing)
        assert "1  paper  (mnist)  paper" in watched.text
        assert "1  paper  (mnist)  controls" in watched.text
        await watched.press("up", "enter")
        assert watched.app.moment.asked == "paper"
        assert "28/28 runs done" in watched.text
        await watched.press("4")
        assert watched.screen.grid.rows[1].group.label == "hyperop (200, 30)"
        await watched.press("p", "down", "enter")
        assert watched.screen.grid.rows[1].group.label == "redrawn"


async def test_a_study_that_the_store_has_no_run_of_says_what_to_type(watching, finished):
    async with watching(finished, size=(120, 24), choice=Choice(None, "controls")) as watched:
        assert "12/12 runs done" in watched.text, "what the two studies share"
    study = controls.study(PAPER)
    assert len({*study.fingerprints().values()} & {*paper.study(PAPER).fingerprints().values()}) == 4


def test_dense_networks_beyond_the_protocols_have_columns_too(tmp_path):
    from ltsm.dashboard.source import Source

    path = made_up.evaluation(tmp_path / "ltsm.db", seeds=(0,))
    store = schema.open_for_writing(path)
    made_up.add_runs(store, 1, paper.study(PAPER, ((77, 7),)), (0,))
    store.close()
    assert list(Source(path).look().study.recipes)[-1] == "hyperop (77, 7)"


def test_a_stored_run_is_called_as_the_study_calls_it(tmp_path):
    """Two studies may have one recipe under two names."""
    from ltsm.dashboard.source import Source

    paper_ = paper.study(PAPER)
    initial = paper_.recipes[paper.INITIAL]
    other = Study(name="other", title="another", recipes={"first": initial})
    path = made_up.exact(tmp_path / "ltsm.db", other, {("first", 0): [(0, 2.0, 0.1), (20_000, 1.0, 0.2)]})
    (run,) = Source(path).look().runs
    assert run.recipe == paper.INITIAL


@pytest.mark.parametrize("width", [80, 100, 160])
def test_short_titles_of_any_names_fit_and_tell_recipes_apart(width):
    for study in (paper.study(PAPER), controls.study(PAPER)):
        found = columns(tuple(study.recipes), width)
        titles = [column.title for column in found]
        assert len(set(titles)) == len(titles)
        assert sum(column.width + 1 for column in found) <= width
        assert all(len(line) <= column.width for column in found for line in column.title.split("\n"))


def rounds(path):
    """A store of three rounds and a control, one mask of each round for two seeds."""
    study = iterative.study(PAPER, rounds="3", controls="2")
    curve = [(0, 2.3, 0.1), (100, 0.9, 0.5), (200, 0.5, 0.8)]
    curves = {(name, seed): curve for name in study.recipes for seed in (0, 1)}
    masks = {
        (f"round {k}", seed): [(0.8, 0.8**k, 2.0, 0.1 * k + 0.1 * seed, True)]
        for k in (1, 2, 3)
        for seed in (0, 1)
    }
    return made_up.exact(path, study, curves, masks=masks)


async def test_the_masks_of_all_rounds_are_one_line_by_size(watching, tmp_path):
    """Each makes a single mask, and says little alone."""
    path = rounds(tmp_path / "ltsm.db")
    async with watching(path, choice=Choice(None, "iterative/rounds=3/controls=2")) as watched:
        await watched.press("3")
        size, accuracy = (chart.panel for chart in watched.screen.query(Chart))
        assert size.title.startswith("round · ")
        (line, *_) = [layer for layer in accuracy.layers if isinstance(layer, Curve)]
        assert line.x == pytest.approx((0.512, 0.64, 0.8))
        assert line.y == pytest.approx((35, 25, 15))
        assert accuracy.x.label == "relative size"


def test_rounds_stand_by_their_numbers_and_a_control_says_what_it_is():
    titles = [column.title for column in columns(("round 0", "round 1", "round 7", "reinitialised 7"), 40)]
    assert titles[1:4] == ["0", "1", "7"]
    assert titles[4].replace("\n", "").startswith("rein")

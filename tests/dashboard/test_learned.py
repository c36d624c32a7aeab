"""Every screen for masks that are learned: while they are, and when they are done."""

import math

import made_up
import pytest

from ltsm.dashboard.curve_groups import measures
from ltsm.dashboard.moment import Choice
from ltsm.dashboard.screens.run import OneRun
from ltsm.dashboard.widgets.chart import Chart
from ltsm.protocol import FRANKLE
from ltsm.report.figures.values import Points
from ltsm.store import read, schema, write
from ltsm.store.values import Artifact, MaskRow, Metric, Segment
from ltsm.studies import all as studies
from ltsm.studies import paper
from ltsm.studies.learned import BERNOULLI, CONSTANTS

STUDY = "learned/method=bernoulli/length=200"
SCREENS = {"1": "overview", "2": "curves", "3": "masks", "4": "table", "5": "runs"}


def record(iteration, seed, trained):
    """Density and drawn masks are of a mask that is trained alone."""
    accuracy = 0.1 + 0.4 * iteration / 100 + 0.01 * seed
    more = (0.2 * iteration / 100, 1.0, accuracy - 0.02, accuracy - 0.03) if trained else ()
    return Metric(iteration, 0.5, 1.0 / (1 + iteration), accuracy, 0.9, accuracy - 0.01, *more)


@pytest.fixture
def path(tmp_path):
    """Two seeds: `bernoulli` has ended, `bernoulli, constants` is under way, the dense network is trained."""
    path, study = tmp_path / "ltsm.db", studies.study(STUDY, FRANKLE)
    store = schema.open_for_writing(path)
    protocol = write.add_protocol(store, FRANKLE, made_up.NOW)
    ids = made_up.add_runs(store, protocol, study, (0, 1))
    for seed in (0, 1):
        for name, state in ((BERNOULLI, "done"), (CONSTANTS, "running"), (paper.INITIAL, "done")):
            run, trained = ids[name, seed], name != paper.INITIAL
            first = Artifact(f"weights/{run}.initial", "0" * 64)
            made_up._begin(store, run, 200, first, (), None if trained else 1.0)
            done = state == "done"
            records = [record(i, seed, trained) for i in ((0, 100, 200) if done else (0, 100))]
            density = 0.4 + 0.01 * seed
            mask = MaskRow(0, seed, density, density, (40,), 0.3, 0.9, True, b"\x00", "fraction", 0.3, 0.9,
                           (1,) * 20)  # fmt: skip
            final = Artifact(f"weights/{run}.final", "1" * 64)
            segment = Segment(
                metrics=records, iteration=records[-1].iteration, state=state, seconds=1.0,
                final=final if done else None, checkpoint=None if done else final,
                masks=(mask,) if done and trained else (), relative_size=density if done and trained else None,
            )  # fmt: skip
            write.record(store, run, segment, made_up.NOW)
    store.close()
    return path


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_shows_it(watching, path, size):
    async with watching(path, size=size, choice=Choice(None, STUDY)) as watched:
        assert "learned" in watched.text
        for key, screen in SCREENS.items():
            await watched.press(key)
            assert screen == watched.screen.NAME
        await watched.press("4")
        assert "Bernoulli" in watched.text
        assert "90.00" in watched.text


async def test_curves_show_what_masks_keep_and_what_drawn_ones_do(watching, path):
    """The key goes through them, and what a run of weights has not is not drawn."""
    async with watching(path, size=(160, 50), choice=Choice(None, STUDY)) as watched:
        await watched.press("2")
        seen = []
        for _ in range(5):
            seen.append(watched.screen.query_one(Chart).panel.title.partition(" · ")[0])
            await watched.press("v")
        assert seen == ["validation loss", "validation accuracy", "training loss", "share of weights kept", "accuracy of drawn masks"]  # fmt: skip
        assert watched.screen.query_one(Chart).panel.title.startswith("validation loss")


async def test_masks_are_points_of_what_each_seed_keeps(watching, path):
    """No line joins what each seed has one of."""
    async with watching(path, size=(160, 50), choice=Choice(None, STUDY)) as watched:
        await watched.press("3")
        assert "Bernoulli" in watched.text or "bernoulli" in watched.text
        found = [
            layer
            for layer in watched.screen.query_one("#size", Chart).panel.layers
            if isinstance(layer, Points)
        ]
        assert sorted(x for layer in found for x in layer.x) == pytest.approx([0.4, 0.41])
        assert "seed 1" in watched.text


async def test_a_run_says_what_it_learned(watching, path):
    async with watching(path, size=(160, 50), choice=Choice(None, STUDY)) as watched:
        await watched.press("enter")
        assert isinstance(watched.screen, OneRun)
        table = watched.screen.table()
        assert table.titles[-2:] == ["density", "sampled_accuracy"]
        assert table.rows[-1][-2:] == [0.4, pytest.approx(0.88)]
        assert "200 of 200" in watched.text


def test_the_store_gives_back_probabilities_and_what_drawn_masks_do(path):
    store = schema.open_for_reading(path)
    try:
        assert [mask.probabilities for mask in read.masks(store, 1)] == [(1,) * 20] * 2
        sampled = {r.seed: (r.sampled_val_accuracy, r.sampled_test_accuracy) for r in read.results(store, 1) if r.recipe == BERNOULLI}  # fmt: skip
        assert sampled == {0: pytest.approx((0.88, 0.87)), 1: pytest.approx((0.89, 0.88))}
        assert all(
            math.isnan(r.sampled_val_accuracy) for r in read.results(store, 1) if r.recipe == paper.INITIAL
        )
    finally:
        store.close()


def test_other_studies_have_no_such_measures():
    assert measures(paper.study(FRANKLE).recipes.values()) == ["val_loss", "val_accuracy", "train_loss"]

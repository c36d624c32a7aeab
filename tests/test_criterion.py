"""A criterion is one function and one line: with these it works in every room."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SMALL, execution
from torch import nn
from typer.testing import CliRunner

import ltsm
from ltsm.cli.commands import app
from ltsm.core import criteria
from ltsm.dashboard.app import Dashboard
from ltsm.dashboard.moment import Choice
from ltsm.store import read, schema
from ltsm.studies import all as studies
from ltsm.studies import paper
from ltsm.studies.study import Group, Study

PROTOCOL = SMALL.changed(seeds=(0, 1), hyperops=())


def closeness(values):
    """What moved least is kept: no score that the program has."""
    return -(values.trained - values.initial).abs()


@pytest.fixture(autouse=True)
def _added(monkeypatch):
    """All that anybody has to do."""
    monkeypatch.setitem(criteria.CRITERIA, "closeness", closeness)


def study(protocol):
    """The paper's chain by this criterion, keeping half."""
    chain = paper.chain(protocol)
    search = chain[paper.SUPERMASK]
    masking = replace(search.mask, criterion="closeness", by="fraction", amounts=(0.5, 0.25), choose=None)
    recipes = chain | {paper.SUPERMASK: replace(search, mask=masking)}
    return Study(
        name="closest", title="what moved least", recipes=recipes, groups=(Group("closest", (paper.TICKET,)),)
    )


@pytest.fixture
def store(tmp_path, monkeypatch):
    """That study, run."""
    monkeypatch.setitem(studies.STUDIES, "closest", study)
    path = tmp_path / "ltsm.db"
    opened = schema.open_for_writing(path)
    assert execution(opened, PROTOCOL, study(PROTOCOL)).run().failed == {}
    opened.close()
    return path


def test_in_a_study(store):
    """Its masks keep those that moved least, as many as were asked for."""
    from safetensors.torch import load_file

    opened = schema.open_for_reading(store)
    runs = {run.recipe: run for run in read.runs(opened) if run.seed == 0}
    masks = read.masks(opened, 1, run_ids=[runs[paper.SUPERMASK].id], bits=True)
    opened.close()
    before, after = (
        load_file(store.parent / artifact.path)
        for artifact in (runs[paper.BASELINE].initial, runs[paper.BASELINE].final)
    )
    moved = torch.cat([(after[name] - before[name]).abs().flatten() for name in sorted(before, key=in_order)])
    for mask in masks:
        kept = torch.from_numpy(
            np.unpackbits(np.frombuffer(mask.bits, dtype=np.uint8))[: len(moved)].astype(bool)
        )
        assert int(kept.sum()) == round(mask.amount * len(moved))
        assert moved[kept].max() <= moved[~kept].min()


def in_order(name):
    """Layer by layer, weights before biases, as a mask's bits are."""
    layer, part = name.split(".")
    return int(layer), part != "weight"


def test_in_the_report(store, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["report", "closest", "--store", str(store)])
    assert done.exit_code == 0, done.output
    assert "Closest" in done.output
    document = CliRunner().invoke(app, ["report", "closest", "--store", str(store), "--json"])
    assert json.loads(document.stdout)["study"]["name"] == "closest"
    figures = CliRunner().invoke(app, ["figures", "closest", "--store", str(store), "--out", "figures"])
    assert figures.exit_code == 0, figures.output
    assert list((tmp_path / "figures").iterdir())


async def test_in_the_dashboard(store):
    """Its masks and its curves, each with its numbers."""
    app = Dashboard(store, Choice(study="closest"), poll_seconds=3600)
    async with app.run_test(size=(100, 30)) as pilot:
        for key, words in (("3", ("layer 2", "25.0 ± 0.0")), ("2", ("closest",)), ("4", ("Closest",))):
            await pilot.press(key)
            await app.workers.wait_for_complete()
            await pilot.pause()
            lines = app.screen._compositor.render_strips(app.size)
            text = "\n".join(line.text for line in lines)
            assert app.problem is None
            assert all(word in text for word in words), text


class Small(nn.Sequential):
    """A network of one's own."""

    def __init__(self):
        super().__init__(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Two states of a network of one's own, and data for it."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(3)
    labels = np.sort(np.arange(240) % 3)
    images = np.eye(3).repeat(2, 1)[labels] + 0.4 * generator.normal(size=(240, 6))
    np.savez("own.npz", x_train=images, y_train=labels, x_val=images[::3], y_val=labels[::3])
    torch.manual_seed(0)
    model = Small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    after = {name: value + 0.1 * torch.randn_like(value) for name, value in before.items()}
    torch.save(before, "initial.pt")
    torch.save(after, "trained.pt")
    return before, after


def test_in_the_python_library(own):
    before, after = own
    images, labels = torch.rand(30, 6), torch.arange(30) % 3
    found = ltsm.find_supermask(before, after, (images, labels), criterion="closeness", thresholds=[-0.1])
    for name, kept in found.mask.items():
        assert torch.equal(kept, -(after[name] - before[name]).abs() >= torch.tensor(-0.1))


def test_on_the_command_line(own):
    words = [
        "prune",
        "--initial",
        "initial.pt",
        "--trained",
        "trained.pt",
        "--data",
        "own.npz",
        "--out",
        "out",
    ]
    done = CliRunner().invoke(
        app, [*words, "--criterion", "closeness", "--thresholds=-0.1:0:0.1", "--select=-1:1", "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["selected"]["threshold"] in {-0.1, 0.0}
    refused = CliRunner().invoke(app, [*words, "--force", "--criterion", "distance"])
    assert "closeness" in f"{refused.output}{refused.exception}"

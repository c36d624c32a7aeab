"""`ltsm prune --learn`: a mask of untrained weights, of a file's or of those that a network is made with."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from ltsm.cli.commands import app
from ltsm.core.learned import METHODS
from ltsm.errors import UsageError

MODULE = """
import torch
from torch import nn

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.full((6,), 0.25))
        self.first, self.last = nn.Linear(6, 30), nn.Linear(30, 3)

    def forward(self, x):
        return self.last(torch.sigmoid(self.first(x - self.mean)))
"""
LEARN = ("prune", "--data", "mine.npz", "--learn-iterations", 200)


def invoked(*arguments):
    found = CliRunner().invoke(app, [str(a) for a in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found


def ltsm(*arguments):
    return invoked(*arguments).stdout


@pytest.fixture
def room(tmp_path, monkeypatch):
    """Untrained weights of a chain of linear layers, a network of its own, and data with a test set."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 3))
    torch.save(model.state_dict(), "before.pt")
    labels = torch.arange(300) % 3
    images = torch.eye(3).repeat_interleave(2, 1)[labels] + 0.3 * torch.randn(300, 6)
    parts = {"train": slice(150), "val": slice(150, 240), "test": slice(240, 300)}
    arrays = {f"{n}_{p}": t[s].numpy() for p, s in parts.items() for n, t in (("x", images), ("y", labels))}
    np.savez("mine.npz", **arrays)
    (tmp_path / "own_net.py").write_text(MODULE)
    yield tmp_path, model
    sys.modules.pop("own_net", None)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_mask_of_a_files_weights(room, method):
    """It classifies what the weights do not, as is said, written and evaluated again elsewhere; they are in the ticket as they were."""
    folder, model = room
    printed = invoked(*LEARN, "--learn", method, "--initial", "before.pt", "--out", "learned")
    assert f"{method} learned in 200 iterations a mask that keeps" in printed.stdout
    assert ("masks that are drawn of its probabilities" in printed.stdout) == METHODS[method].sampled
    assert "of 60 test images" in printed.stdout
    assert "iteration 200 of 200: keeps" in printed.stderr
    mask = load_file(folder / "learned" / "mask.safetensors")
    assert mask.keys() == {"0.weight", "2.weight"}
    state = load_file(folder / "learned" / "supermask.safetensors")
    for name, t in model.state_dict().items():
        assert torch.equal(state[name], torch.where(mask[name], t, 0.0) if name in mask else t)
    found = json.loads((folder / "learned" / "thresholds.json").read_text())
    assert found["selected"]["val_accuracy"] > found["initial_accuracy"] + 0.2
    assert found["trained_accuracy"] is None
    evaluated = ltsm("ticket", "evaluate", "learned/network.ticket", "--data-dir", ".")
    assert "as recorded, to the last image" in evaluated
    assert f"({found['selected']['val_accuracy']:.2%})" in evaluated
    assert method in ltsm("ticket", "show", "learned/network.ticket")


def test_json_has_the_learning(room):
    found = json.loads(
        ltsm(*LEARN, "--learn", "bernoulli", "--initial", "before.pt", "--constants", "--rescale", "--json")
    )
    learning = found["learning"]
    assert (learning["method"], learning["rescale"], learning["covers"]) == ("bernoulli", True, "weights")
    assert [record["iteration"] for record in learning["records"]] == [0, 100, 200]
    assert learning["records"][0]["train_loss"] is None
    assert learning["records"][-1]["val_accuracy"] == found["selected"]["val_accuracy"]
    assert 0 < learning["sampled_accuracy"] <= 1
    assert found["test"]["images"] == 60


def test_a_network_of_ones_own_with_and_without_a_file(room):
    """Its forward pass learns; without a file it has the values that its function draws of the seed."""
    folder, _ = room
    for out, seed in (("one", 0), ("same", 0), ("other", 1)):
        ltsm(*LEARN, "--learn", "bernoulli", "--network", "own_net:Own", "--seed", seed, "--out", out)
    one, same, other = (load_file(folder / out / "supermask.safetensors") for out in ("one", "same", "other"))
    assert all(torch.equal(one[n], same[n]) for n in one)
    assert not torch.equal(one["first.bias"], other["first.bias"])
    torch.save({n: torch.full_like(t, 0.5) for n, t in one.items()}, "halves.pt")
    ltsm(*LEARN, "--learn", "edge_popup", "--keep", 0.4, "--network", "own_net:Own", "--initial", "halves.pt",
         "--mask", "all", "--out", "halves")  # fmt: skip
    halves = load_file(folder / "halves" / "supermask.safetensors")
    assert set(torch.cat([t.flatten() for t in halves.values()]).tolist()) == {0.0, 0.5}
    assert int((halves["last.weight"] != 0).sum() + (halves["last.bias"] != 0).sum()) == 93 - int(0.6 * 93)


def test_what_is_learned_can_be_trained(room):
    printed = ltsm(*LEARN, "--learn", "bernoulli", "--initial", "before.pt", "--train", "--iterations", 50)
    assert "trained for 50 iterations with the rest at 0" in printed
    assert "trained: " in printed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--learn", "bernoulli"), "there are no weights to learn a mask for"),
        (("--learn", "magic", "--initial", "before.pt"), "method must be bernoulli or edge_popup, not 'magic'"),
        (("--learn", "bernoulli", "--initial", "before.pt", "--keep", "0.5"), "bernoulli learns how much is kept"),
        (("--learn", "bernoulli", "--initial", "before.pt", "--trained", "before.pt"), "--trained is for masks by a rule"),
        (("--learn", "bernoulli", "--initial", "before.pt", "--criterion", "sign"), "--criterion is for masks by a rule"),
        (("--learn", "bernoulli", "--initial", "before.pt", "--select", "0:1"), "--select is for masks by a rule"),
        (("--trained", "before.pt", "--rescale"), "--rescale says how --learn learns"),
        (("--trained", "before.pt", "--learn-lr", "3"), "--learn-lr says how --learn learns"),
        (("--initial", "before.pt"), "--trained FILE is missing"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused(room, options, words):
    with pytest.raises(UsageError, match=words):
        ltsm("prune", "--data", "mine.npz", *options)

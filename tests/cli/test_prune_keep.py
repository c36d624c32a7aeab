"""`ltsm prune --keep` and `--criterion`: a fraction without a search, and rules of the caller's own."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import prune as torch_prune
from typer.testing import CliRunner

import ltsm as library
from ltsm.cli.commands import app
from ltsm.errors import UsageError


def ltsm(*arguments):
    found = CliRunner().invoke(app, [str(a) for a in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture
def room(tmp_path, monkeypatch):
    """Weights of a network before and after training, data with a test set, and a criterion in a module."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    torch.save(model.state_dict(), "before.pt")
    labels = torch.arange(300) % 3
    images = torch.eye(3).repeat_interleave(2, 1)[labels] + 0.3 * torch.randn(300, 6)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[:150]), labels[:150]).backward()
        optimiser.step()
    torch.save(model.state_dict(), "after.pt")
    parts = {"train": slice(150), "val": slice(150, 240), "test": slice(240, 300)}
    arrays = {
        f"{n}_{part}": values[s] for part, s in parts.items() for n, values in (("x", images), ("y", labels))
    }
    np.savez("mine.npz", **{name: t.numpy() for name, t in arrays.items()})
    (tmp_path / "own_rule.py").write_text("def moved(before, after):\n    return (after - before).abs()\n")
    yield tmp_path, model, arrays
    sys.modules.pop("own_rule", None)


def test_a_fifth_by_magnitude_needs_no_initial_weights(room):
    """The mask of torch.nn.utils.prune; what is left keeps its trained values and is measured on the test set, too."""
    folder, model, arrays = room
    found = json.loads(
        ltsm("prune", "--trained", "after.pt", "--data", "mine.npz", "--keep", "0.25", "--criterion", "large_final",
             "--mask", "weights", "--out", "pruned", "--json")
    )  # fmt: skip
    for layer in (model[0], model[2]):
        torch_prune.l1_unstructured(layer, "weight", amount=0.75)
    mask = load_file(folder / "pruned" / "mask.safetensors")
    assert all(torch.equal(mask[name], flags) for name, flags in library.read_mask(model).items())
    assert [row["fraction"] for row in found["fractions"]] == [0.25]
    with torch.no_grad():
        right = model(arrays["x_test"]).argmax(1) == arrays["y_test"]
    assert found["test"] == {
        "images": 60,
        "accuracy": {"untrained": pytest.approx(right.float().mean().item())},
    }


def test_a_rule_of_the_callers_own(room):
    """The very masks of the criterion that says the same; also of all layers together, and trained."""
    folder, *_ = room
    both = ("--initial", "before.pt", "--trained", "after.pt", "--data", "mine.npz", "--keep", "0.4")
    for scope in ("layer", "global"):
        for name in ("movement", "own_rule:moved"):
            ltsm("prune", *both, "--criterion", name, "--scope", scope, "--out", f"{scope}-{name[:3]}")
        masks = [load_file(folder / f"{scope}-{name}" / "mask.safetensors") for name in ("mov", "own")]
        assert all(torch.equal(masks[0][n], masks[1][n]) for n in masks[0])
    text = ltsm("prune", *both, "--criterion", "own_rule:moved", "--train", "--iterations", 50)
    assert "a fraction of 0.4 keeps" in text
    assert "of 60 test images" in text
    assert "trained: " in text


def test_what_a_criterion_draws_is_of_the_seed(room):
    folder, *_ = room
    for out, seed in (("one", 0), ("same", 0), ("other", 1)):
        ltsm("prune", "--trained", "after.pt", "--data", "mine.npz", "--keep", "0.5", "--criterion", "random",
             "--seed", seed, "--out", out)  # fmt: skip
    one, same, other = (
        load_file(folder / out / "mask.safetensors")["0.weight"] for out in ("one", "same", "other")
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_ticket_is_evaluated_on_the_test_set_too(room):
    ltsm("prune", "--trained", "after.pt", "--data", "mine.npz", "--keep", "0.5", "--criterion", "large_final",
         "--train", "--iterations", 20, "--out", "pruned")  # fmt: skip
    found = json.loads(ltsm("ticket", "evaluate", "pruned/network.ticket", "--data-dir", ".", "--json"))
    assert found["test_images"] == 60
    assert all(0 < row["test_accuracy"] <= 1 for row in found["networks"])
    assert all(row["as_recorded"] for row in found["networks"])
    assert "of 60 test images" in ltsm("ticket", "evaluate", "pruned/network.ticket", "--data-dir", ".")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--keep", "0.2"), "this criterion compares trained values with initial ones, and there are none"),
        (("--keep", "2", "--criterion", "large_final"), "a fraction from 0 to 1, not 2"),
        (("--keep", "0.2", "--thresholds", "0:1:0.1"), "--keep searches for nothing"),
        (("--scope", "global"), "--scope says what --keep is a fraction of"),
        (("--keep", "0.2", "--criterion", "own_rule:nothing"), "there is no function 'nothing' in own_rule"),
        (("--keep", "0.2", "--criterion", "no_such:moved"), "No module named 'no_such'"),
        (("--keep", "0.2", "--criterion", "large_final", "--scope", "all"), "scope must be global or layer"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(room, more, words):
    with pytest.raises(UsageError, match=words):
        ltsm("prune", "--trained", "after.pt", "--data", "mine.npz", *more)

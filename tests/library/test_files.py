"""Weights in whichever place of a file they lie in, and functions by their name, are found, or the error says what there is."""

import sys

import pytest
import torch

from ltsm.errors import RunError, StoreError, UsageError
from ltsm.library.files import function_named, network_named, read_weights

WEIGHTS = {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.tensor([1.0, 2.0])}
OTHER = {"0.weight": torch.zeros(2, 3)}


@pytest.fixture
def saved(tmp_path):
    """Writes content to a file as PyTorch does; gives its path."""

    def written(content):
        torch.save(content, tmp_path / "a.pt")
        return tmp_path / "a.pt"

    return written


def same(found, expected=WEIGHTS):
    return found.keys() == expected.keys() and all(torch.equal(found[n], expected[n]) for n in expected)


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 3, "ema": OTHER},
        {"model_state_dict": WEIGHTS, "optimizer_state_dict": {"state": {0: {"exp_avg": torch.ones(2)}}}},
        {"epoch": 3, "model": WEIGHTS, "other": OTHER},
        {"net": {"inner": WEIGHTS}, "optimiser": OTHER},
    ],
    ids=["itself", "state_dict", "model_state_dict", "model", "the only network"],
)
def test_weights_are_found_in_a_usual_place_or_where_there_is_one_network(saved, content):
    assert same(read_weights(saved(content)))


def test_a_key_names_one_of_several_however_deep(saved):
    path = saved({"a": {"inner": WEIGHTS}, "b": OTHER})
    assert same(read_weights(path, "a.inner"))
    assert same(read_weights(path, "b"), OTHER)
    for call in (lambda: read_weights(path), lambda: read_weights(path, "c")):
        with pytest.raises((UsageError, StoreError)) as caught:
            call()
        assert caught.value.hint == "--key names one of: a.inner, b"


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1.0, 2.0]])
def test_a_file_without_weights_is_said_to_have_none(saved, content):
    with pytest.raises(StoreError, match="holds no state dict"):
        read_weights(saved(content))


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the folder that the test is in; gives its name."""
    monkeypatch.chdir(tmp_path)
    made = []

    def written(code):
        name = f"module_of_a_test_{len(made)}"
        (tmp_path / f"{name}.py").write_text(code)
        made.append(name)
        return name

    yield written
    for name in made:
        sys.modules.pop(name, None)


def test_a_function_is_found_in_the_folder_that_one_is_in(module):
    before = list(sys.path)
    name = module("def score(initial, trained):\n    return trained")
    assert function_named(f"{name}:score", "criterion")(1, 2) == 2
    assert sys.path == before


@pytest.mark.parametrize("name", ["", "a", "a:", ":b"])
def test_a_function_has_a_module_and_a_name(name):
    with pytest.raises(UsageError, match=f"a criterion is named as module:function, not '{name}'") as caught:
        function_named(name, "criterion")
    assert caught.value.hint == "e.g. --criterion model:make"


def test_what_is_not_there_is_told_from_what_fails(module):
    """A module that is missing is a wrong name; one that it would import is that module's own fault."""
    with pytest.raises(UsageError, match="No module named 'nowhere_at_all'") as caught:
        function_named("nowhere_at_all:score", "criterion")
    assert "the current folder is looked in" in caught.value.hint
    with pytest.raises(UsageError, match="No module named 'nowhere_at_all'"):
        function_named("nowhere_at_all.inside:score", "criterion")
    with pytest.raises(RunError, match="nowhere_at_all"):
        function_named(f"{module('import nowhere_at_all')}:score", "criterion")
    with pytest.raises(RunError, match="ends the program"):
        function_named(f"{module('raise SystemExit(3)')}:score", "criterion")


@pytest.mark.parametrize("code", ["", "score = 3"])
def test_a_module_without_such_a_function_says_so(module, code):
    name = module(code)
    with pytest.raises(UsageError, match=f"there is no function 'score' in {name}"):
        function_named(f"{name}:score", "criterion")
    with pytest.raises(UsageError, match=f"there is no function 'score:more' in {name}"):
        function_named(f"{name}:score:more", "criterion")


def test_a_network_is_what_its_function_makes(module):
    name = module(
        "from torch import nn\ndef make():\n    return nn.Linear(2, 3)\ndef other():\n    return 3\n"
        "def fails():\n    1 / 0\ndef ends():\n    raise SystemExit(1)"
    )
    assert network_named(f"{name}:make").weight.shape == (3, 2)
    with pytest.raises(UsageError, match=f"{name}:other gives int, not a torch.nn.Module"):
        network_named(f"{name}:other")
    with pytest.raises(RunError, match=f"the network {name}:fails"):
        network_named(f"{name}:fails")
    with pytest.raises(RunError, match="ends the program"):
        network_named(f"{name}:ends")

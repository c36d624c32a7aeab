"""`read_weights`: whichever place of a file the weights lie in, they are found, or the error says what there is."""

import pytest
import torch

from ltsm.errors import StoreError, UsageError
from ltsm.library.files import read_weights

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

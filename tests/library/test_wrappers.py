"""Networks as they come out of other people's tools: taken, or refused with the call that makes them plain."""

from __future__ import annotations

import copy
import logging
import warnings

import numpy as np
import pytest
import torch
from odd_networks import HIDING, UNCOMPUTABLE, WRAPPERS, network, pruned
from safetensors.torch import save_file
from torch import nn

import ltsm
from ltsm.errors import DataError, UsageError
from ltsm.library.files import read_weights
from ltsm.library.wrappers import aligned


@pytest.fixture
def pair(images):
    torch.manual_seed(3)
    model = network()
    initial = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[0]), images[1]).backward()
        optimiser.step()
    return initial, model


PREFIXES = ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model.", "net.encoder."]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("names", ["plain", "prefixed"])
def test_a_wrapper_is_taken_off(pair, images, wrapper, names):
    """Whichever of the two is wrapped; the ticket is of the network inside, and trains."""
    initial, model = pair
    expected = ltsm.find_supermask(initial, model, images)
    wrapped = WRAPPERS[wrapper](copy.deepcopy(model))
    given = initial if names == "plain" else WRAPPERS[wrapper](named(initial)).state_dict()
    found = ltsm.find_supermask(given, wrapped, images)
    assert [r.val_accuracy for r in found.results] == [r.val_accuracy for r in expected.results]
    assert {n.replace("_orig_mod.", "") for n in found.mask} == set(expected.mask)
    ticket = ltsm.train_ticket(found, images, images, model=wrapped, iterations=5, batch_size=40)
    assert all(not ticket.trained[n][~flags].any() for n, flags in found.mask.items())


def named(initial):
    model = network()
    model.load_state_dict(initial)
    return model


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("with_model", [True, False])
def test_a_prefix_is_left_out_where_it_is_plain_and_that_is_said(pair, images, prefix, with_model, caplog):
    """As wrappers, trainers and torch.compile put it before every name of a saved state dict."""
    initial, model = pair
    expected = ltsm.find_supermask(initial, model, images)
    put = {f"{prefix}{name}": value for name, value in initial.items()}
    with caplog.at_level(logging.WARNING):
        found = ltsm.find_supermask(
            initial, {f"{prefix}{n}": t for n, t in model.state_dict().items()}, images
        )
        also = ltsm.find_supermask(put, model, images) if with_model else found
    assert found.results == also.results == expected.results
    assert found.mask.keys() == expected.mask.keys()
    for what in ("trained", "initial") if with_model else ("trained",):
        assert f"'{prefix}0.weight' of the {what} weights is taken as '0.weight'" in caplog.text


def test_a_checkpoint_with_more_than_the_network_is_taken(pair, images):
    """Lightning keeps a loss's and a metric's values beside the network's."""
    initial, model = pair
    put = {f"model.{n}": t for n, t in initial.items()} | {"loss.weight": torch.ones(3)}
    assert (
        ltsm.find_supermask(put, model, images).results == ltsm.find_supermask(initial, model, images).results
    )


def test_a_prefix_that_could_be_either_is_named(pair, images):
    initial, model = pair
    both = {f"{p}.{n}": t for p in ("student", "teacher") for n, t in initial.items()}
    with pytest.raises(UsageError, match=r"several networks, under 'student\.' and 'teacher\.'"):
        ltsm.find_supermask(both, model, images)


def test_a_name_that_only_looks_wrapped_is_left_alone(images):
    """A network's own part may be called module."""
    torch.manual_seed(0)
    model = nn.Module()
    model.module = network()
    model.forward = model.module.forward
    after = {n: t + 0.1 * torch.randn(t.shape) for n, t in model.state_dict().items()}
    found = ltsm.find_supermask(copy.deepcopy(model.state_dict()), after, images, model=model)
    assert set(found.mask) == set(after)


def test_the_sentence_names_the_prefix_that_is_in_the_way(pair, images):
    initial, model = pair
    lit = nn.Module()
    lit.model = model
    with pytest.raises(UsageError, match=r"lack 'model\.0\.weight', and have '0\.weight'"):
        ltsm.find_supermask(initial, lit, images)


@pytest.mark.parametrize("kind", HIDING)
@pytest.mark.parametrize("where", ["trained", "initial", "trained state", "model"])
def test_what_hides_the_values_is_named_with_the_call_that_removes_it(pair, images, kind, where):
    """The method needs the values that a layer computes with."""
    initial, model = pair
    change, call = HIDING[kind]
    hidden = change(copy.deepcopy(model))
    arguments = {
        "trained": (initial, hidden),
        "initial": (hidden, model),
        "trained state": (initial, hidden.state_dict()),
        "model": (initial, model.state_dict()),
    }[where]
    with pytest.raises(UsageError, match="is not what a layer computes with") as caught:
        ltsm.find_supermask(*arguments, images, model=hidden if where == "model" else None)
    assert caught.value.hint == call


def test_the_call_that_is_named_helps(pair, images):
    initial, model = pair
    assert ltsm.find_supermask(initial, ltsm.make_permanent(pruned(copy.deepcopy(model))), images).results


@pytest.mark.parametrize("kind", UNCOMPUTABLE)
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_weights_that_cannot_be_computed_with_are_refused_for_what_they_are(pair, images, kind):
    initial, model = pair
    make, words = UNCOMPUTABLE[kind]
    with pytest.raises(UsageError, match=words):
        ltsm.find_supermask(initial, make(model), images)


def test_a_file_of_weights_that_cannot_be_computed_with_is_refused_for_what_they_are(pair, tmp_path):
    """Not for being no file of weights."""
    save_file({n: t.to(torch.float8_e4m3fn) for n, t in pair[0].items()}, tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match=r"w\.safetensors: .*float8_e4m3fn, which cannot be computed with"):
        read_weights(tmp_path / "w.safetensors")


def test_quantised_weights_are_refused_for_what_they_are(pair, images):
    initial, model = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch takes leave of them, and people still have them
        states = {n: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8) for n, t in initial.items()}
    with pytest.raises(UsageError, match="is quantised"):
        ltsm.find_supermask(states, model, images)


def test_values_that_the_mask_does_not_cover_are_needed_too(images):
    """Nothing of the network is left to what a module happens to hold."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    after = {n: t + 0.1 for n, t in model.state_dict().items()}
    initial = {n: t for n, t in model.state_dict().items() if "running_mean" not in n}
    with pytest.raises(UsageError, match=r"the initial weights lack '1\.running_mean'"):
        ltsm.find_supermask(initial, after, images, model=model, only=nn.Linear)


def test_a_prefix_has_to_bring_every_name():
    """Beside a whole network a part of another may lie, or one under a name that only ends like a layer's."""
    state = {"net.0.bias": 1, "net.0.weight": 2, "ema.0.bias": 3, "10.bias": 4, "10.weight": 5}
    assert aligned("trained", state, ["0.weight", "0.bias"]) == {"0.bias": 1, "0.weight": 2}
    with pytest.raises(UsageError, match=r"hold several networks, under 'net\.' and 'ema\.'"):
        aligned("trained", state | {"ema.0.weight": 6}, ["0.weight", "0.bias"])


FORMS = {
    "as they are": lambda a: a,
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "Fortran's order": np.asfortranarray,
    "every second": lambda a: np.repeat(a, 2, 0)[::2],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


class TestArrays:
    """Weights, images and labels of NumPy's, however they lie in memory."""

    @pytest.mark.parametrize("form", FORMS)
    def test_any_array_is_taken(self, pair, images, form):
        make = FORMS[form]
        initial, model = pair
        weights = {n: make(t.numpy()) for n, t in initial.items()}
        data = tuple(make(t.numpy()) for t in images)
        found = ltsm.find_supermask(weights, model, data)
        assert found.results == ltsm.find_supermask(initial, model, images).results
        ticket = ltsm.train_ticket(found, data, iterations=3, batch_size=50, seed=np.int64(3))
        other = ltsm.train_ticket(found, images, iterations=3, batch_size=50, seed=3)
        assert all(torch.equal(ticket.trained[n], t) for n, t in other.trained.items())

    def test_a_set_of_torchs_is_whole_data(self, pair, images):
        """TensorDataset, and any other with a length."""
        initial, model = pair
        data = torch.utils.data.TensorDataset(*images)
        found = ltsm.find_supermask(initial, model, data)
        assert found.results == ltsm.find_supermask(initial, model, images).results
        part = torch.utils.data.Subset(data, range(100))
        ticket = ltsm.train_ticket(found, part, data, iterations=3, batch_size=50)
        few = tuple(t[:100] for t in images)
        other = ltsm.train_ticket(found, few, images, iterations=3, batch_size=50)
        assert ticket.records[-1] == other.records[-1]

    def test_a_set_of_torchs_is_read_once(self, pair, images):
        """And not at every record again."""

        class Counted(torch.utils.data.TensorDataset):
            read = 0

            def __getitem__(self, index):
                self.read += 1
                return super().__getitem__(index)

        found, data = ltsm.find_supermask(*pair, images), Counted(*images)
        ltsm.train_ticket(
            found, images, data, iterations=10, record_every=1, batch_size=50, optimiser=torch.optim.Adam
        )
        assert data.read == len(images[1])

    @pytest.mark.parametrize("data", [np.array([{}] * 4), "words", None, 3, {"x": 1}])
    def test_what_is_no_data_is_a_sentence(self, pair, data):
        with pytest.raises(DataError):
            ltsm.find_supermask(*pair, data)
        with pytest.raises(DataError):
            ltsm.find_supermask(*pair, (data, np.arange(4)))

"""The caller's own code: what it writes, what it raises, what it prints, and what one logit means."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import ltsm
from ltsm.errors import DataError, RunError, UsageError
from ltsm.library.ticket_evaluation import evaluate_ticket


class Calling(nn.Module):
    """A forward pass that does something of its own first."""

    def __init__(self, first) -> None:
        super().__init__()
        self.into, self.out_of, self.first = nn.Linear(6, 8), nn.Linear(8, 3), first

    def forward(self, images):
        images = self.first(self, images)
        return self.out_of(torch.relu(self.into(images)))


def normalises(_, images):
    return images.sub_(0.25).mul_(3.0)


def normalised(_, images):
    return (images - 0.25) * 3.0


def writes_to_its_weights(network, images):
    with torch.no_grad():
        network.into.weight.add_(0.01)
    return images


def trained_pair(make, images):
    torch.manual_seed(2)
    model = make()
    initial = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        functional.cross_entropy(model(images[0].clone()), images[1]).backward()
        optimiser.step()
    return initial, model


def every_form(images):
    return {"tensors": images, "arrays": tuple(t.numpy() for t in images), "loader": DataLoader(TensorDataset(*images), 60)}  # fmt: skip


@pytest.mark.parametrize("form", ["tensors", "arrays", "loader"])
def test_a_forward_pass_that_writes_to_its_images_is_as_one_that_does_not(images, form):
    """Every evaluation and every step gets a batch of its own, and the caller's images are as before."""
    before = [t.clone() for t in images]
    train = partial(ltsm.train_ticket, iterations=20, batch_size=60, order="file", record_every=5)
    lbfgs = partial(torch.optim.LBFGS, lr=0.1, max_iter=3)
    outcome = []
    for first in (normalised, normalises):
        given = every_form(images)[form]
        pair = trained_pair(partial(Calling, first), images)
        found = ltsm.find_supermask(*pair, given)
        tickets = [train(found, given, given), train(found, given, given, optimiser=lbfgs)]
        achieved = [evaluate_ticket(ticket, given, pair[1]) for ticket in tickets]
        outcome.append((found.results, [t.records[1:] for t in tickets], achieved))
    assert outcome[0] == outcome[1]
    assert all(map(torch.equal, before, images))


def test_a_forward_pass_that_writes_to_its_weights_leaves_zeros_in_the_ticket(images):
    """And no threshold, batch or record sees what another one wrote."""
    initial, model = trained_pair(partial(Calling, normalised), images)
    model.first = writes_to_its_weights
    found = ltsm.find_supermask(initial, model, images)
    batches = [(images[0][i : i + 40], images[1][i : i + 40]) for i in range(0, 240, 40)]
    parts = ltsm.find_supermask(initial, model, batches)
    assert [r.val_accuracy for r in parts.results] == [r.val_accuracy for r in found.results]
    ticket = ltsm.train_ticket(found, images, images, iterations=7, batch_size=40, record_every=3)
    assert all(not ticket.trained[n][~flags].any() for n, flags in found.mask.items())
    assert all(torch.equal(model.state_dict()[n], t) for n, t in found.model.state_dict().items())


def fails(_network, _images):
    raise ZeroDivisionError("the caller's own fault")


def failing_loss(_logits, _labels):
    return {}["no such key"]


class TestFailures:
    """One sentence, with the file and the line of the caller's code that failed."""

    def pair(self):
        torch.manual_seed(0)
        model = Calling(normalised)
        return model, {n: t + 0.1 * torch.randn(t.shape) for n, t in model.state_dict().items()}

    def test_of_the_forward_pass(self, images):
        model, after = self.pair()
        model.first = fails
        with pytest.raises(RunError, match=r"forward pass on images of shape \(240, 6\) fails: ZeroDivisionError: the caller's own fault \(.*test_their_code\.py, line \d+\)") as caught:  # fmt: skip
            ltsm.find_supermask(model, after, images)
        assert caught.value.exit_code == 1
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    @pytest.mark.parametrize(
        ("gives", "words"),
        [
            (lambda logits: logits.tolist(), "gives list for 240 images"),
            (lambda logits: logits[:, None], r"gives \(240, 1, 3\) for 240 images"),
            (lambda logits: logits[1:], r"gives \(239, 3\) for 240 images"),
            (lambda logits: logits.argmax(1), r"gives \(240,\) for 240 images"),
        ],
        ids=["no tensor", "more axes", "fewer", "classes"],
    )
    def test_of_what_comes_out_as_logits(self, images, gives, words):
        model, after = self.pair()
        model.out_of.register_forward_hook(lambda _, __, logits: gives(logits))
        with pytest.raises(UsageError, match=rf"the network {words}, not \(images, classes\)"):
            ltsm.find_supermask(model, after, images)

    def test_of_the_loss(self, images):
        model, after = self.pair()
        with pytest.raises(
            RunError, match=r"the loss fails: KeyError: 'no such key' \(.*test_their_code\.py"
        ):
            ltsm.find_supermask(model, after, images, loss=failing_loss)
        found = ltsm.find_supermask(model, after, images)
        with pytest.raises(RunError, match="the loss fails: KeyError"):
            ltsm.train_ticket(found, images, loss=failing_loss, iterations=2)

    def test_of_the_loader(self, images):
        model, after = self.pair()

        def batches():
            yield images
            raise FileNotFoundError("no more images")

        with pytest.raises(RunError, match=r"the data fails: FileNotFoundError.*test_their_code\.py"):
            ltsm.find_supermask(model, after, batches())

    def test_of_the_optimiser(self, images):
        found = ltsm.find_supermask(*self.pair(), images)
        with pytest.raises(RunError, match="the optimiser fails: TypeError"):
            ltsm.train_ticket(found, images, iterations=2, optimiser=lambda p: torch.optim.SGD(p, rate=1))
        with pytest.raises(UsageError, match=r"must make a torch\.optim\.Optimizer, not NoneType"):
            ltsm.train_ticket(found, images, iterations=2, optimiser=lambda _: None)

    def test_an_optimiser_over_other_parameters_is_refused(self, images):
        """It would train nothing."""
        model, after = self.pair()
        found = ltsm.find_supermask(model, after, images)
        with pytest.raises(UsageError, match="over other parameters"):
            ltsm.train_ticket(found, images, iterations=2, optimiser=lambda _: torch.optim.SGD(model.parameters(), 0.1))  # fmt: skip
        with pytest.raises(UsageError, match="over none of the module's parameters"):
            ltsm.frozen_zeros(nn.Linear(6, 3), {}, torch.optim.SGD(model.parameters(), 0.1)).__enter__()

    def test_a_batch_of_one_for_batch_normalisation_is_explained(self, images):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
        after = {n: t + 0.1 * torch.randn(t.shape) if t.is_floating_point() else t for n, t in model.state_dict().items()}  # fmt: skip
        found = ltsm.find_supermask(model, after, images, only=nn.Linear)
        with pytest.raises(RunError, match="Expected more than 1 value per channel") as caught:
            ltsm.train_ticket(found, images, iterations=3, batch_size=239, order="file")
        assert "batch normalisation cannot train on one image" in caught.value.hint

    @pytest.mark.parametrize(
        ("loss", "words"),
        [
            (nn.CrossEntropyLoss(reduction="none"), r"gives \(240,\), not one number"),
            (lambda logits, _: logits.tolist(), "gives list, not one number"),
            (nn.BCELoss(), "takes probabilities"),
            ("cross entropy", "loss must be a function, not str"),
        ],
    )
    def test_a_loss_that_is_none(self, images, loss, words):
        with pytest.raises(UsageError, match=words):
            ltsm.find_supermask(*self.pair(), images, loss=loss)


class Convolving(nn.Module):
    """Takes images as they are, with a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(2 * 6 * 6, 10)

    def forward(self, images):
        return self.fc(torch.relu(self.conv(images)).flatten(1))


def digits(tmp_path):
    from sklearn.datasets import load_digits

    found = load_digits()
    images, labels = (found.images / 16).astype(np.float32)[:, None], found.target
    np.savez(
        tmp_path / "mine.npz",
        x_train=images[:900],
        y_train=labels[:900],
        x_val=images[900:],
        y_val=labels[900:],
    )
    return ltsm.load_dataset(str(tmp_path / "mine.npz"), tmp_path / "mine.npz"), (
        torch.tensor(images[900:]),
        torch.tensor(labels[900:]),
    )


@pytest.mark.parametrize("make", [Convolving, lambda: nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Dropout(0.1), nn.Linear(20, 10))])  # fmt: skip
def test_images_of_a_data_set_keep_their_shape_for_a_network_that_wants_it(tmp_path, make):
    """(n, 1, 8, 8) reaches the network as it is, or in rows where that is what it takes."""
    data, (images, labels) = digits(tmp_path)
    torch.manual_seed(0)
    model = make()
    after = {n: t + 0.1 * torch.randn(t.shape) for n, t in model.state_dict().items()}
    found = ltsm.find_supermask(model, after, data, only=nn.Linear)
    given = images if isinstance(model, Convolving) else images.flatten(1)
    assert found.results == ltsm.find_supermask(model, after, (given, labels), only=nn.Linear).results
    ticket = ltsm.train_ticket(found, data, iterations=5, record_every=5)
    assert evaluate_ticket(ticket, data, model)[1].val_accuracy == ticket.records[-1].val_accuracy


class TestOneLogit:
    """Two classes and one output: a positive logit says 1, in accuracy and in the loss."""

    @pytest.fixture
    def data(self, images):
        return images[0], (images[1] > 0).long()

    @pytest.fixture
    def pair(self, data):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
        initial = copy.deepcopy(model.state_dict())
        optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(60):
            optimiser.zero_grad()
            functional.binary_cross_entropy_with_logits(model(data[0])[:, 0], data[1].float()).backward()
            optimiser.step()
        return initial, model

    def by_hand(self, model, state, data):
        with torch.no_grad():
            logits = torch.func.functional_call(model, state, (data[0],))[:, 0]
        accuracy = ((logits > 0) == (data[1] > 0)).double().mean().item()
        return accuracy, functional.binary_cross_entropy_with_logits(logits, data[1].float()).item()

    def test_it_is_judged_by_its_sign(self, pair, data):
        found = ltsm.find_supermask(*pair, data)
        accuracy, loss = self.by_hand(pair[1], found.state, data)
        assert found.selected.val_accuracy == accuracy
        assert found.selected.val_loss == pytest.approx(loss, rel=1e-6)
        ticket = ltsm.train_ticket(found, data, data, iterations=40, batch_size=60, lr=0.01)
        accuracy, loss = self.by_hand(pair[1], ticket.trained, data)
        assert ticket.records[-1].val_accuracy == accuracy
        assert ticket.records[-1].val_loss == pytest.approx(loss, rel=1e-6)
        assert accuracy > ticket.records[0].val_accuracy
        assert evaluate_ticket(ticket, data, pair[1])[1].val_accuracy == accuracy

    def test_labels_may_be_floats_as_its_loss_wants_them(self, pair, data):
        """nn.BCEWithLogitsLoss itself, and labels (n, 1) of 0.0 and 1.0; a network that gives (n,) likewise."""
        expected = ltsm.find_supermask(*pair, data)
        floats = (data[0], data[1].float()[:, None])
        found = ltsm.find_supermask(*pair, floats, loss=nn.BCEWithLogitsLoss())
        assert [r.val_accuracy for r in found.results] == [r.val_accuracy for r in expected.results]
        assert [r.val_loss for r in found.results] == pytest.approx([r.val_loss for r in expected.results])
        ticket = ltsm.train_ticket(
            found, floats, floats, loss=nn.BCEWithLogitsLoss(), iterations=5, batch_size=60
        )
        assert ticket.records[-1].val_loss < 1
        squeezed = nn.Sequential(*pair[1], nn.Flatten(0))
        again = ltsm.find_supermask(pair[0], squeezed, (data[0], data[1].float()))
        assert [r.val_accuracy for r in again.results] == [r.val_accuracy for r in expected.results]

    def test_other_classes_are_refused(self, pair, images):
        with pytest.raises(DataError, match="there is the label 2, and the network has 1 outputs"):
            ltsm.find_supermask(*pair, images)

    def test_its_module_is_needed(self, pair, data):
        with pytest.raises(UsageError, match="with one output is evaluated through its module"):
            ltsm.find_supermask(pair[0], pair[1].state_dict(), data)

    @pytest.mark.parametrize("targets", [lambda y: y + 0.5, lambda y: y.float()[:, None] * 3.2])
    def test_regression_is_refused_in_a_sentence(self, pair, data, targets):
        """Accuracy is what chooses a mask."""
        with pytest.raises(DataError, match="labels are whole numbers") as caught:
            ltsm.find_supermask(*pair, (data[0], targets(data[1])), loss=nn.MSELoss())
        assert "regression is not supported" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, _: (torch.zeros_like(x), _), "every validation image is the same"),
        (lambda x, y: (x, torch.zeros_like(y)), "every validation image has the label 0"),
        (lambda x, y: (torch.where(torch.arange(6) == 3, torch.nan, x), y), "no numbers"),
        (lambda x, y: (torch.where(torch.arange(6) == 3, torch.inf, x), y), "no numbers"),
    ],
)
@pytest.mark.parametrize("make", [lambda: Calling(normalised), lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))])  # fmt: skip
@pytest.mark.parametrize("loader", [True, False])
def test_data_of_which_nothing_can_be_learnt_is_refused(images, change, words, make, loader):
    """Whoever evaluates, in tensors and in batches; and as training data."""
    torch.manual_seed(0)
    model = make()
    after = {n: t + 0.1 * torch.randn(t.shape) for n, t in model.state_dict().items()}
    bad = change(*images)
    given = DataLoader(TensorDataset(*bad), 50) if loader else bad
    with pytest.raises(DataError, match=words):
        ltsm.find_supermask(model, after, given)
    found = ltsm.find_supermask(model, after, images)
    with pytest.raises(DataError, match=words.replace("validation", "training")):
        ltsm.train_ticket(found, bad, images, iterations=3)

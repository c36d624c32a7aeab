"""train_ticket and frozen_zeros: what is pruned stays exactly 0, whoever trains."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ltsm
from ltsm.core.batches import Batches
from ltsm.errors import DataError, UsageError
from ltsm.library.batches import evaluation_batches, training_batches

OPTIMISERS = {
    "sgd": partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": partial(torch.optim.Adam, lr=0.01, weight_decay=0.01),
    "adamw": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.005, momentum=0.9, weight_decay=0.01),
}


@pytest.fixture
def found(trained, images):
    _, initial, model = trained
    return ltsm.find_supermask(initial, model, images)


def pruned(state, mask):
    return torch.cat([state[name][~flags] for name, flags in mask.items()])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_zeros_stay_zero_through_1000_iterations(name, images):
    """SGD with momentum and weight decay, Adam, AdamW, RMSprop: +0, every one, after every step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    mask = {n: torch.rand(p.shape) < 0.4 for n, p in model.named_parameters()}
    optimiser = OPTIMISERS[name](model.parameters())
    # momentum from before must not move what is pruned now
    nn.functional.cross_entropy(model(images[0]), images[1]).backward()
    optimiser.step()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with ltsm.frozen_zeros(model, mask, optimiser):
        for _ in range(1_000):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[0]), images[1]).backward()
            optimiser.step()
            values = pruned(dict(model.named_parameters()), mask)
            assert not values.any()
    assert not torch.signbit(values).any()
    assert all((p[mask[n]] != before[n][mask[n]]).all() for n, p in model.named_parameters() if n != "2.bias")


def test_after_it_the_optimiser_is_free_again(images):
    """Hooks go when the block ends, also by an error."""
    model = nn.Linear(6, 3)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    mask = {"weight": torch.zeros(3, 6, dtype=torch.bool)}
    with pytest.raises(KeyError), ltsm.frozen_zeros(model, mask, optimiser):
        raise KeyError
    nn.functional.cross_entropy(model(images[0]), images[1]).backward()
    optimiser.step()
    assert model.weight.any()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_callers_optimiser_loss_and_loader(found, trained, images, name):
    """A ticket of any network learns, and keeps its zeros."""
    model = trained[2]
    loader = DataLoader(TensorDataset(*images), batch_size=40)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    ticket = ltsm.train_ticket(
        found,
        loader,
        images,
        model=model,
        optimiser=OPTIMISERS[name],
        loss=loss,
        iterations=60,
        record_every=30,
    )
    assert not pruned(ticket.trained, found.mask).any()
    assert [r.iteration for r in ticket.records] == [0, 30, 60]
    assert ticket.records[-1].val_loss < ticket.records[0].val_loss
    assert math.isnan(ticket.records[0].train_loss)


def test_it_starts_from_the_kept_initial_values(found, images):
    """No iteration, no change."""
    ticket = ltsm.train_ticket(
        found, images, images, iterations=1, optimiser=partial(torch.optim.SGD, lr=0.0), model=found.model
    )
    for name, values in found.state.items():
        if name in found.mask:
            assert torch.equal(ticket.trained[name], values)


def test_ours_and_autograd_train_alike(trained, images):
    """Where the network is one of ours, our engine does the same, faster."""
    _, initial, model = trained
    found = ltsm.find_supermask(initial, model, images)
    if found.chain is None:
        pytest.skip("a forward pass of its own")
    ours = ltsm.train_ticket(found, images, images, iterations=40, record_every=20)
    theirs = ltsm.train_ticket(found, images, images, model=model, iterations=40, record_every=20)
    assert [r.val_loss for r in ours.records] == pytest.approx([r.val_loss for r in theirs.records], rel=1e-3)
    assert not pruned(ours.trained, found.mask).any()


def test_no_validation_set_is_needed(found, images):
    """The training loss is recorded alone."""
    ticket = ltsm.train_ticket(found, images, iterations=4, record_every=2, batch_size=7)
    assert [r.iteration for r in ticket.records] == [0, 2, 4]
    assert all(math.isnan(r.val_loss) for r in ticket.records)
    assert ticket.records[-1].train_loss > 0


def test_an_optimiser_that_evaluates_more_than_once(found, images):
    """LBFGS calls its closure again and again."""
    lbfgs = partial(torch.optim.LBFGS, lr=0.1, max_iter=4)
    ticket = ltsm.train_ticket(found, images, images, model=found.model, optimiser=lbfgs, iterations=5)
    assert not pruned(ticket.trained, found.mask).any()


class StepsAlone(torch.optim.SGD):
    """As some optimisers are: its step evaluates, and gives back nothing."""

    def step(self, closure=None):
        with torch.enable_grad():
            closure()
        super().step()


def test_an_optimiser_that_gives_back_no_loss(found, images):
    """The loss recorded is that of its first evaluation."""
    train = partial(ltsm.train_ticket, found, images, iterations=3, record_every=1, order="file")
    silent = train(optimiser=partial(StepsAlone, lr=0.1))
    spoken = train(optimiser=partial(torch.optim.SGD, lr=0.1))
    assert [r.train_loss for r in silent.records[1:]] == [r.train_loss for r in spoken.records[1:]]


@pytest.mark.parametrize("through_module", [True, False])
def test_frozen_layers_stay_as_they_are(images, through_module):
    """requires_grad is the caller's word, also where our own engines could train the network."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    after = {n: t + 0.2 * torch.randn(t.shape) for n, t in model.state_dict().items()}
    model[0].requires_grad_(False)
    found = ltsm.find_supermask(model, after, images)
    ticket = ltsm.train_ticket(
        found, images, images, model=model if through_module else None, iterations=20, batch_size=40
    )
    assert found.through != "module"
    assert torch.equal(ticket.trained["0.weight"], ticket.initial["0.weight"])
    assert not torch.equal(ticket.trained["2.weight"], ticket.initial["2.weight"])


def test_a_network_that_is_all_frozen_is_refused(images):
    """There is nothing to train."""
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).requires_grad_(False)
    after = {n: t + 0.2 for n, t in model.state_dict().items()}
    with pytest.raises(UsageError, match="every parameter of the module is frozen"):
        ltsm.train_ticket(ltsm.find_supermask(model, after, images), images, images, iterations=5)


def data_set(images, validation):
    return ltsm.Dataset(
        name="own",
        train_images=images[0],
        train_labels=images[1],
        validation_images=validation[0],
        validation_labels=validation[1],
        classes=3,
        image_shape=(6,),
        digest="",
    )


class TestValidation:
    """What is recorded: the validation set that is given, else a data set's own, whoever trains."""

    @pytest.fixture(params=["ours", "module"])
    def train(self, request, found):
        if request.param == "ours" and found.chain is None:
            pytest.skip("a forward pass of its own")
        model = None if request.param == "ours" else found.model
        return partial(ltsm.train_ticket, found, model=model, iterations=6, record_every=3, order="file")

    def losses(self, ticket):
        return [r.val_loss for r in ticket.records]

    def test_what_is_given_comes_before_a_data_sets_own(self, train, images):
        few, many = tuple(t[:7] for t in images), tuple(t[:100] for t in images)
        expected = self.losses(train(images, few))
        assert self.losses(train(data_set(images, many), few)) == expected
        assert self.losses(train(data_set(images, many), data_set(images, few))) == expected
        assert self.losses(train(images, data_set(images, few))) == expected
        assert self.losses(train(data_set(images, many), images)) != expected

    def test_a_data_sets_own_is_the_default(self, train, images):
        few = tuple(t[:7] for t in images)
        assert self.losses(train(data_set(images, few))) == self.losses(train(images, few))

    def test_without_any_the_training_loss_alone_is_recorded(self, train, images):
        """And the same network comes out."""
        alone, recorded = train(images), train(images, images)
        assert all(map(math.isnan, self.losses(alone)))
        assert all(math.isnan(r.val_accuracy) for r in alone.records)
        assert "trained_val_accuracy" not in alone.about
        assert [r.train_loss for r in alone.records[1:]] == [r.train_loss for r in recorded.records[1:]]
        assert all(torch.equal(alone.trained[n], t) for n, t in recorded.trained.items())


def states_alone(images):
    """A supermask found without a module."""
    torch.manual_seed(0)
    before = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict()
    after = {n: t + 0.2 * torch.randn(t.shape) for n, t in before.items()}
    return ltsm.find_supermask(before, after, images)


def test_two_state_dicts_suffice_to_train(images):
    """With and without a validation set."""
    found = states_alone(images)
    with_one = ltsm.train_ticket(found, images, images, iterations=5, batch_size=40)
    without = ltsm.train_ticket(found, images, iterations=5, batch_size=40)
    assert all(torch.equal(without.trained[n], t) for n, t in with_one.trained.items())
    loader = DataLoader(TensorDataset(*images), batch_size=40)
    for own in ({"training": loader}, {"training": images, "loss": nn.functional.cross_entropy}):
        with pytest.raises(UsageError, match="no module to train") as caught:
            ltsm.train_ticket(found, **own)
        assert "model=" in caught.value.hint


def test_training_images_that_do_not_fit_are_refused(images):
    """Before they come near an engine."""
    found = states_alone(images)
    wide = (torch.zeros(240, 7), images[1])
    for training in (wide, data_set(wide, images)):
        with pytest.raises(DataError, match="an image has 7 numbers"):
            ltsm.train_ticket(found, training, images, iterations=5)


@pytest.mark.parametrize("through_module", [True, False])
@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("iterations", -1, "iterations must be a whole number of at least 1, not -1"),
        ("iterations", 2.5, "iterations must be a whole number"),
        ("batch_size", 0, "batch_size must be a whole number of at least 1, not 0"),
        ("record_every", 0, "record_every must be a whole number of at least 1, not 0"),
        ("lr", -0.1, "must be above 0"),
        ("lr", "fast", "lr must be a number, not 'fast'"),
        ("order", "random", "order must be file or shuffled, not 'random'"),
    ],
)
def test_arguments_are_checked_whoever_trains(images, through_module, argument, value, words):
    """One sentence each, the same one."""
    found = states_alone(images)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)) if through_module else None
    with pytest.raises(UsageError, match=words):
        ltsm.train_ticket(found, images, images, model=model, **{"iterations": 5, argument: value})


def test_a_whole_learning_rate_is_a_number(images):
    """1 is 1.0."""
    found = states_alone(images)
    whole, real = (ltsm.train_ticket(found, images, iterations=5, lr=lr) for lr in (1, 1.0))
    assert whole.records[-1] == real.records[-1] or math.isnan(whole.records[-1].train_loss)
    assert all(torch.equal(whole.trained[n], t) for n, t in real.trained.items())


def test_refusals(trained, images):
    """No module, or a mask of another network."""
    _, initial, model = trained
    found = ltsm.find_supermask(initial, model, images)
    with pytest.raises(UsageError, match="another network"):
        ltsm.train_ticket(found, images, images, model=nn.Linear(6, 3))
    with pytest.raises(UsageError, match="another network"):
        ltsm.frozen_zeros(model, {"nothing": torch.ones(1, dtype=torch.bool)}, None).__enter__()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("batches", [0, 3])
def test_a_generator_that_has_no_more_batches_is_a_sentence(found, images, batches):
    """It can be gone through once. Taken out: the count of batches; training waited for ever."""
    data = ((images[0][:50], images[1][:50]) for _ in range(batches))
    with pytest.raises(DataError, match="the training data has no more batches"):
        ltsm.train_ticket(found, data, iterations=10)


def test_whole_data_is_shuffled_anew_at_every_epoch():
    """Each in the order of its own, from its first batch on."""
    rows = torch.arange(12.0).reshape(12, 1), torch.arange(12)
    found, orders = training_batches(rows, 4, "shuffled", 3), Batches(12, 4, "shuffled")
    for epoch in range(3):
        labels = torch.cat([next(found).labels for _ in range(orders.per_epoch)])
        assert labels.tolist() == orders.epoch_order(3, epoch).tolist()
    assert len({tuple(orders.epoch_order(3, epoch).tolist()) for epoch in range(3)}) == 3


def test_batches_may_be_numbered():
    """As a sequence of one's own is that Python goes through by its numbers."""

    class Numbered:
        def __getitem__(self, i):
            if i == 2:
                raise IndexError
            return torch.full((3, 1), float(i)), torch.arange(3)

    assert [batch.images.mean() for batch in evaluation_batches(Numbered())] == [0, 1]

"""learn_supermask on networks of one's own: gradients by hand, weights that never move, nothing of the caller's changed."""

from __future__ import annotations

import copy
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import ltsm
from ltsm.core.learned import METHODS
from ltsm.core.streams import uniform
from ltsm.errors import DataError, LtsmError, RunError, UsageError
from ltsm.library.ticket_evaluation import evaluate_ticket
from ltsm.studies.learned import OF

SGD = partial(torch.optim.SGD, lr=20.0, momentum=0.9)
learn = partial(ltsm.learn_supermask, iterations=30, batch_size=60, record_every=10)


@pytest.fixture
def halves(images):
    """A part to learn from, and one to be measured on."""
    x, y = images
    return (x[:150], y[:150]), (x[150:], y[150:])


@pytest.fixture
def untrained(trained):
    """A network as it was drawn: plain, deep with tanh, and with a forward pass and buffers of its own."""
    return trained[0]


def accuracy(model, state, data):
    """By plain assignment."""
    network = copy.deepcopy(model).eval()
    network.load_state_dict(state)
    with torch.no_grad():
        return (network(data[0]).argmax(1) == data[1]).float().mean().item()


def by_hand(model, training, *, sampled, rescale, steps, keep=0.5, lr=20.0):
    """The plain PyTorch loop: masks as weights, gradients by `hard + soft - soft.detach()`; scores and masks by name."""
    network = copy.deepcopy(model)
    weights = {n: p.detach().clone() for n, p in network.named_parameters() if n.endswith("weight")}
    sizes = [w.numel() for w in weights.values()]

    def drawn(*purpose):
        return torch.from_numpy(uniform(3, *purpose, count=sum(sizes))).split(sizes)

    start = zip(weights, drawn("learned mask scores"), strict=True)
    scores = {
        n: torch.zeros_like(weights[n]) if sampled else ((2 * d - 1) / math.sqrt(weights[n].shape[1])).view_as(weights[n])
        for n, d in start
    }  # fmt: skip
    for s in scores.values():
        s.requires_grad_()
    optimiser = torch.optim.SGD(scores.values(), lr=lr, momentum=0.9)
    for i in range(steps):
        batch = slice(i % 3 * 50, i % 3 * 50 + 50)
        state = {}
        for (name, s), u in zip(scores.items(), drawn("learned mask", i), strict=True):
            soft = s.sigmoid() if sampled else s.abs()
            if sampled:
                hard = (u.view_as(s) < soft).float()
            else:
                kept = s.numel() - int((1 - keep) * s.numel())
                hard = (
                    torch.zeros(s.numel())
                    .index_fill(0, soft.flatten().argsort(descending=True)[:kept], 1)
                    .view_as(s)
                )
            mask = hard + soft - soft.detach()
            share = mask.mean() if sampled else mask.mean().detach()
            factor = (1 / share if sampled else share**-0.5) if rescale else 1.0
            state[name] = weights[name] * mask * factor
        optimiser.zero_grad()
        functional.cross_entropy(
            torch.func.functional_call(network, state, (training[0][batch],)), training[1][batch]
        ).backward()
        optimiser.step()
    return {n: s.detach() for n, s in scores.items()}


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_scores_are_those_of_a_loop_by_hand(untrained, halves, method, rescale):
    """Straight through, with SGD's momentum, for masks that are drawn and for ranked ones, through any module."""
    training, validation = halves
    found = ltsm.learn_supermask(
        untrained, training, validation, method=method, rescale=rescale, optimiser=SGD, iterations=7,
        batch_size=50, order="file", seed=3,
    )  # fmt: skip
    expected = by_hand(untrained, training, sampled=METHODS[method].sampled, rescale=rescale, steps=7)
    assert found.through == "module"
    assert found.scores.keys() == expected.keys()
    for name, scores in expected.items():
        assert torch.allclose(found.scores[name], scores, rtol=1e-4, atol=1e-5), name
        assert not torch.equal(scores, torch.zeros_like(scores))


@pytest.mark.parametrize("optimiser", [None, SGD], ids=["ours", "module"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_what_is_recorded_is_what_plain_torch_measures(untrained, halves, method, optimiser):
    """The result's accuracy, sizes and mask are those of its state; what is kept has its initial value, to the bit."""
    training, validation = halves
    found = learn(untrained, training, validation, method=method, optimiser=optimiser)
    assert found.selected.val_accuracy == pytest.approx(accuracy(untrained, found.state, validation))
    assert found.initial_accuracy == pytest.approx(accuracy(untrained, untrained.state_dict(), validation))
    before = untrained.state_dict()
    for name, flags in found.mask.items():
        assert torch.equal(found.state[name], torch.where(flags, before[name], 0.0))
        assert not found.state[name][~flags].signbit().any(), "0, and not -0.0"
    biases = [name for name in before if name.endswith("bias")]
    assert all(torch.equal(found.state[name], before[name]) for name in biases)
    assert set(found.left_alone) >= set(biases)
    kept = sum(int(flags.sum()) for flags in found.mask.values())
    covered = sum(flags.numel() for flags in found.mask.values())
    assert found.records[-1].density == pytest.approx(kept / covered)
    assert [r.iteration for r in found.records] == [0, 10, 20, 30]
    assert math.isfinite(found.sampled_accuracy) == METHODS[method].sampled
    assert all(torch.equal(found.mask_at(found.amount)[n], flags) for n, flags in found.mask.items())


@pytest.mark.parametrize("optimiser", [None, SGD], ids=["ours", "module"])
def test_one_mask_is_drawn_for_a_record_and_ten_at_the_end(halves, optimiser):
    """Of 90 images one mask has a whole number right, the mean of ten a tenth of one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    *records, last = learn(model, *halves, optimiser=optimiser).records
    right = [90 * record.sampled_accuracy for record in records]
    assert right == pytest.approx([round(number) for number in right])
    assert 900 * last.sampled_accuracy == pytest.approx(round(900 * last.sampled_accuracy))
    assert abs(90 * last.sampled_accuracy - round(90 * last.sampled_accuracy)) > 0.01


def test_another_mask_is_drawn_for_each_record(trained, halves):
    """Also where the probabilities hardly change."""
    still = partial(torch.optim.SGD, lr=1e-30)
    *records, _ = learn(trained[2], *halves, optimiser=still).records
    assert len({record.sampled_accuracy for record in records}) > 1


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_mask_is_learned(images, method):
    """An untrained network of forty units comes from chance to what a trained one of its kind does."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 3))
    found = ltsm.learn_supermask(model, images, images, method=method, iterations=300)
    assert found.initial_accuracy < 0.6
    assert found.selected.val_accuracy > 0.85
    assert found.records[-1].train_loss < found.records[1].train_loss


def test_edge_popup_keeps_the_fraction_of_each_layer(untrained, halves):
    found = learn(untrained, *halves, method="edge_popup", keep=0.3)
    for flags in found.mask.values():
        assert int(flags.sum()) == flags.numel() - int(0.7 * flags.numel())
    assert (found.ranking.by, found.amount) == ("fraction", 0.3)


@pytest.mark.parametrize("optimiser", [None, SGD], ids=["ours", "module"])
def test_constants_and_rescaling(untrained, halves, optimiser):
    """What is kept is a layer's deviation with its sign, times the number of the weights ÷ that of the kept ones."""
    found = learn(untrained, *halves, kept="signed_constant", rescale=True, optimiser=optimiser)
    for name, flags in found.mask.items():
        start = untrained.state_dict()[name]
        constant = start.sign() * start.double().std(correction=0).float()
        expected = torch.where(flags, constant * (flags.numel() / int(flags.sum())), 0.0)
        assert torch.allclose(found.state[name], expected, rtol=1e-6)
    assert found.selected.val_accuracy == pytest.approx(accuracy(untrained, found.state, halves[1]))


@pytest.mark.parametrize("optimiser", [None, SGD], ids=["ours", "module"])
def test_biases_are_learned_where_all_is_covered(halves, optimiser):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    found = learn(model, *halves, mask="all", optimiser=optimiser)
    assert set(found.mask) == set(model.state_dict())
    assert found.left_alone == ()
    assert any(scores.any() for name, scores in found.scores.items() if name.endswith("bias"))


def everything(model):
    """All that a caller could see of a module, and of torch's state."""
    hooks = [
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()
    ]
    parameters = [(n, p, p.clone(), p.grad, p.requires_grad, p._version) for n, p in model.named_parameters()]
    ambient = (
        torch.get_rng_state(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )
    return (
        [b.clone() for b in model.buffers()],
        hooks,
        [m.training for m in model.modules()],
        parameters,
        ambient,
    )


def same(before, after):
    buffers, hooks, modes, parameters, ambient = before
    assert all(map(torch.equal, buffers, after[0]))
    assert (hooks, modes) == after[1:3]
    for (name, p, values, grad, needed, version), now in zip(parameters, after[3], strict=True):
        assert now[0] == name
        assert now[1] is p
        assert torch.equal(values, now[2])
        assert (now[3] is grad, now[4:]) == (True, (needed, version))
    assert torch.equal(ambient[0], after[4][0])
    assert ambient[1:] == after[4][1:]


class Fails(nn.Sequential):
    """A forward pass that counts its calls in a buffer, draws at random, and fails after so many."""

    def __init__(self, after):
        super().__init__(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.after = after

    def forward(self, images):
        self.calls += 1
        if self.calls > self.after:
            raise ZeroDivisionError("enough")
        return super().forward(images)


@pytest.mark.parametrize("after", [0, 3, 12, 10**6])
def test_nothing_of_the_callers_changes_whatever_fails(halves, after):
    """Values, buffers, modes, hooks, gradients and what asks for them, torch's own state: after success and failure alike."""
    model = Fails(after)
    model[0].weight.requires_grad_(False)
    model[3].weight.grad = torch.ones(3, 8)
    model[0].register_forward_hook(lambda *_: None)
    model.train()
    model[1].eval()
    before, given = everything(model), copy.deepcopy(halves)
    outcome = None
    try:
        outcome = learn(model, *halves)
    except RunError as error:
        assert "enough" in error.message
    assert (outcome is None) == (after < 10**6)
    same(before, everything(model))
    assert all(
        torch.equal(a, b) for x, y in zip(given, halves, strict=True) for a, b in zip(x, y, strict=True)
    )


def writes_to_its_weights(network, _inputs):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)


def test_a_forward_pass_that_writes_to_its_weights_moves_none_of_the_result(halves):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    before = copy.deepcopy(model.state_dict())
    model[0].register_forward_pre_hook(writes_to_its_weights)
    found = learn(model, *halves)
    for name, values in before.items():
        flags = found.mask.get(name, torch.ones_like(values, dtype=torch.bool))
        assert torch.equal(found.state[name], torch.where(flags, values, 0.0))


@pytest.mark.parametrize("optimiser", [None, SGD], ids=["ours", "module"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_seed_decides(untrained, halves, method, optimiser):
    """The same one gives the same scores, whatever the program has drawn and set; another one others."""
    once = learn(untrained, *halves, method=method, optimiser=optimiser, seed=5)
    torch.manual_seed(99)
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float64)
    try:
        again = learn(untrained, *halves, method=method, optimiser=optimiser, seed=5)
    finally:
        torch.set_default_dtype(torch.float32)
    other = learn(untrained, *halves, method=method, optimiser=optimiser, seed=6)
    assert all(torch.equal(once.scores[n], again.scores[n]) for n in once.scores)
    assert not all(torch.equal(once.scores[n], other.scores[n]) for n in once.scores)
    assert once.records[1:] == again.records[1:]


def test_every_form_of_data_that_is_whole_gives_the_same(untrained, halves):
    """Tensors, arrays, a data set of torch's; a loader gives batches of its own."""
    training, validation = halves
    forms = [training, tuple(t.numpy() for t in training), TensorDataset(*training)]
    found = [learn(untrained, form, validation) for form in forms]
    assert all(torch.equal(found[0].scores[n], f.scores[n]) for f in found for n in f.scores)
    loader = DataLoader(TensorDataset(*training), batch_size=50, shuffle=True)
    assert learn(untrained, loader, DataLoader(TensorDataset(*validation), batch_size=7)).through == "module"


def test_a_state_dict_of_linear_layers_needs_no_module(halves):
    """And gives what its module gives."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    found = learn(model.state_dict(), *halves, activation="tanh")
    assert all(torch.equal(found.state[n], t) for n, t in learn(model, *halves).state.items())
    assert found.left_alone == ("0.bias", "2.bias")
    with pytest.raises(UsageError, match="no module"):
        learn(model.state_dict(), *halves, optimiser=SGD)


class Convolving(nn.Module):
    """Layers of other kinds, one of which keeps running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.norm(self.conv(x.view(-1, 1, 2, 3)))).flatten(1))


def test_layers_of_other_kinds(halves):
    """They are left alone by choice, or learned by choice; statistics are those of the masked network."""
    torch.manual_seed(0)
    model = Convolving()
    with pytest.raises(UsageError, match=r"does not cover conv\.weight"):
        learn(model, *halves)
    alone = learn(model, *halves, only=nn.Linear)
    assert set(alone.mask) == {"fc.weight"}
    assert torch.equal(alone.state["conv.weight"], model.conv.weight)
    both = learn(model, *halves, only=(nn.Linear, nn.Conv2d), optimiser=partial(torch.optim.Adam, lr=0.5))
    assert set(both.mask) == {"conv.weight", "fc.weight"}
    assert not torch.equal(both.state["norm.running_mean"], model.norm.running_mean)
    assert both.selected.val_accuracy == pytest.approx(accuracy(model, both.state, halves[1]))


class Tied(nn.Module):
    """One weight under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out_of = nn.Linear(6, 6), nn.Linear(6, 3)
        self.again = nn.Linear(6, 6)
        self.again.weight = self.into.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out_of(torch.relu(self.again(torch.relu(self.into(x)))))


def test_a_shared_weight_has_one_mask(halves):
    found = learn(Tied(), *halves)
    assert torch.equal(found.mask["into.weight"], found.mask["again.weight"])
    assert torch.equal(found.state["into.weight"], found.state["again.weight"])
    assert "again.weight" not in found.kept


@pytest.mark.parametrize("optimiser", [None, SGD], ids=["ours", "module"])
def test_other_values_and_a_watcher(untrained, halves, optimiser):
    """A mask is learned for values that are handed over; every record is shown as it is made."""
    other = {n: t + 0.5 if t.is_floating_point() else t for n, t in untrained.state_dict().items()}
    seen = []
    found = learn(untrained, *halves, initial=other, optimiser=optimiser, watch=seen.append)
    assert all(
        torch.equal(found.state[n], torch.where(flags, other[n], 0.0)) for n, flags in found.mask.items()
    )
    assert all(torch.equal(found.state[n], other[n]) for n in found.left_alone)
    assert repr(tuple(seen)) == repr(found.records)
    changed = copy.deepcopy(untrained)
    changed.load_state_dict(other)
    same = learn(changed, *halves, optimiser=optimiser)
    assert all(torch.equal(found.state[n], t) for n, t in same.state.items() if t.is_floating_point())
    with pytest.raises(RunError, match="watch fails: ZeroDivisionError"):
        learn(untrained, *halves, optimiser=optimiser, watch=lambda record: 1 / record.iteration)


def test_a_loss_of_ones_own_is_what_is_learned_by_and_recorded(untrained, halves):
    """Of one that is 3 whatever the network says nothing is learned."""
    found = learn(untrained, *halves, loss=lambda logits, labels: 0 * logits.sum() + 3)
    assert {record.val_loss for record in found.records} == {3.0}
    assert {record.train_loss for record in found.records[1:]} == {3.0}
    assert not any(scores.any() for scores in found.scores.values())


def test_one_logit_says_two_classes(halves):
    (x, y), (vx, vy) = halves
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 1))
    found = ltsm.learn_supermask(
        model, (x, (y == 0).long()), (vx, (vy == 0).long()), iterations=100, batch_size=50
    )
    assert found.selected.val_accuracy > 0.8


@pytest.mark.parametrize(
    "options", [{}, {"kept": "signed_constant", "rescale": True}], ids=["initial", "constants"]
)
def test_it_is_a_supermask_like_others(untrained, halves, tmp_path, options):
    """Its ticket is written, read elsewhere and does what was recorded; trained, its zeros stay zeros."""
    found = learn(untrained, *halves, **options)
    assert isinstance(found, ltsm.Supermask)
    ticket = ltsm.train_ticket(found, *halves, iterations=20)
    ltsm.save_ticket(ticket, tmp_path / "learned.ticket")
    loaded = ltsm.load_ticket(tmp_path / "learned.ticket")
    achieved, trained = evaluate_ticket(loaded, halves[1], untrained)
    assert (loaded.about["learned"], loaded.about["iterations"]) == ("bernoulli", 30)
    assert achieved.val_accuracy == found.selected.val_accuracy == loaded.about["val_accuracy"]
    assert trained is not None
    assert trained.val_accuracy == ticket.records[-1].val_accuracy == loaded.about["trained_val_accuracy"]
    assert ticket.records[-1].val_loss == loaded.about["trained_val_loss"]
    assert all(not loaded.trained[n][~flags].any() for n, flags in found.mask.items())
    assert "never" not in repr(found)
    assert repr(found).startswith("LearnedSupermask(bernoulli, 30 iterations,")
    assert found.ranking.by == "threshold"
    assert f"{found.selected.val_accuracy:.2%}" in repr(found)


def refused(model, halves, words, **options):
    with pytest.raises(LtsmError) as caught:
        learn(model, *halves, **options)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "method must be bernoulli or edge_popup"),
        ({"method": None}, "method must be bernoulli or edge_popup"),
        ({"keep": 0.3}, "bernoulli learns how much is kept"),
        ({"method": "edge_popup", "keep": 1.5}, "keep must be a fraction from 0 to 1"),
        ({"method": "edge_popup", "keep": "half"}, "keep must be a number"),
        ({"kept": "trained"}, "kept must be initial"),
        ({"rescale": 1}, "rescale must be True or False"),
        ({"mask": "some"}, "mask must be all or weights"),
        ({"optimiser": 3}, "optimiser must be a function"),
        ({"optimiser": lambda _: torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)}, "over other parameters"),
        ({"watch": "yes"}, "watch must be a function"),
        ({"initial": {"0.weight": torch.zeros(8, 6)}}, "the initial weights lack '2.weight'"),
        ({"loss": nn.BCELoss()}, "this loss takes probabilities"),
        ({"iterations": 0}, "iterations must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"lr": -1.0}, "lr and epsilon must be above 0"),
        ({"order": "random"}, "order must be file or shuffled"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"record_every": None}, "record_every must be a whole number"),
        ({"only": "linear"}, "only must be a kind of layer"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else next(iter(value)),
)  # fmt: skip
def test_nonsense_is_refused(halves, options, words):
    refused(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), halves, words, **options)


def test_what_is_no_network_or_no_data_is_refused(halves):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    refused("a network", halves, "weights are a module or a state dict")
    refused(nn.ReLU(), halves, "no layer that the recipe covers")
    refused(nn.Linear(5, 3), halves, "an image has 6 numbers")
    refused(model, (halves[0], (halves[1][0], halves[1][1] + 7)), "there is the label 9")
    with pytest.raises(DataError, match="no image to evaluate on"):
        learn(model, halves[0], iter([halves[1]]), optimiser=SGD)


@pytest.mark.parametrize(
    "optimiser", [None, partial(torch.optim.SGD, lr=float("inf"))], ids=["ours", "module"]
)
def test_scores_that_become_no_numbers_are_an_error(halves, optimiser):
    """And no mask that keeps nothing."""
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        model[0].weight.mul_(1e30)
        model[2].weight.mul_(1e30)
    with pytest.raises(RunError, match="diverged"):
        learn(model, *halves, optimiser=optimiser)


def test_every_method_has_its_usual_settings():
    assert OF.keys() == METHODS.keys()
    assert all(settings.method == name for name, settings in OF.items())

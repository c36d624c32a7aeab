"""Pruning networks of one's own by any criterion: beside torch.nn.utils.prune, masks by hand, and plain loops."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

import ltsm
from ltsm.core.actions import KEPT, PRUNED
from ltsm.core.criteria import CRITERIA, Values
from ltsm.core.masking import masks
from ltsm.core.network import Network, flat_parameters
from ltsm.core.streams import uniform
from ltsm.errors import RunError, UsageError
from ltsm.library.ranking import pooled

SIZES = (6, 8, 3)


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10)
    )


def dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def digits():
    data = ltsm.load_dataset("digits", ".")
    return data.train_images.view(-1, 1, 8, 8), data.train_labels, data


def looped(model, images, labels, steps=60, optimiser=None, mask=None):
    """A plain loop; where a mask is given, gradients of what it prunes are 0."""
    optimiser = optimiser or torch.optim.Adam(model.parameters(), lr=0.01)
    for i in range(steps):
        part = slice(60 * i % 1200, 60 * i % 1200 + 60)
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
        for name, parameter in model.named_parameters():
            if mask and name in mask:
                parameter.grad[~mask[name]] = 0.0
        optimiser.step()
    return model


@pytest.fixture(scope="module", params=[dense, convolutional], ids=["dense", "convolutional"])
def own(request):
    """Initial weights, and the network that a plain loop trained on digits."""
    torch.manual_seed(3)
    model = request.param()
    initial = copy.deepcopy(model.state_dict())
    images, labels, _ = digits()
    return initial, looped(model, images, labels)


LAYERS = (nn.Linear, nn.Conv2d)


@pytest.mark.parametrize("keep", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_magnitudes_of_each_layer_are_those_of_torchs_l1_unstructured(own, keep):
    initial, model = own
    found = ltsm.prune(initial, model, keep=keep, only=LAYERS)
    theirs = copy.deepcopy(model)
    for layer in theirs:
        if isinstance(layer, LAYERS):
            torch_prune.l1_unstructured(layer, "weight", amount=round(1 - keep, 12))
    expected = ltsm.read_mask(theirs)
    assert found.mask.keys() == expected.keys()
    assert all(torch.equal(found.mask[name], expected[name]) for name in expected)
    for name, values in found.state.items():
        assert torch.equal(values, initial[name] * expected[name] if name in expected else initial[name])


@pytest.mark.parametrize("keep", [0.2, 0.5])
def test_magnitudes_of_all_layers_are_those_of_torchs_global_unstructured(own, keep):
    initial, model = own
    found = ltsm.prune(initial, model, keep=keep, scope="global", only=LAYERS)
    theirs = copy.deepcopy(model)
    weights = [(layer, "weight") for layer in theirs if isinstance(layer, LAYERS)]
    torch_prune.global_unstructured(weights, torch_prune.L1Unstructured, amount=1 - keep)
    expected = ltsm.read_mask(theirs)
    assert all(torch.equal(found.mask[name], expected[name]) for name in expected)


def test_a_function_is_the_rule_written_by_hand(own):
    """It sees one parameter after the other in its own shape: here the weights that moved most, row by row."""
    initial, model = own

    def moved_in_its_row(before, after):
        moved = (after - before).abs().flatten(1)
        return (moved / (moved.mean(1, keepdim=True) + 1e-9)).view(after.shape)

    found = ltsm.prune(initial, model, keep=0.3, criterion=moved_in_its_row, only=LAYERS)
    trained = model.state_dict()
    for name, flags in found.mask.items():
        scores = moved_in_its_row(initial[name], trained[name]).flatten()
        chosen = scores.sort(descending=True, stable=True).indices[: round(0.3 * len(scores))]
        assert flags.flatten().nonzero()[:, 0].tolist() == sorted(chosen.tolist())
    named = ltsm.prune(initial, model, keep=0.3, criterion="movement", only=LAYERS)
    same = ltsm.prune(initial, model, keep=0.3, criterion=lambda a, b: (b - a).abs(), only=LAYERS)
    assert all(torch.equal(named.mask[name], same.mask[name]) for name in named.mask)


def test_a_function_may_count(pair, images):
    """Its whole numbers are compared with thresholds between them."""
    found = ltsm.find_supermask(
        *pair, images, criterion=lambda before, after: (10 * after).long(), amounts=[0.5, 2.0, 2.5]
    )
    for amount, least in ((0.5, 1), (2.0, 2), (2.5, 3)):
        mask = found.mask_at(amount)
        assert all(torch.equal(mask[name], (10 * t).long() >= least) for name, t in pair[1].items())


@pytest.mark.parametrize("covers", ["weights", "all"])
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("name", sorted(CRITERIA.keys() - {"random"}))
def test_every_criterion_gives_the_masks_of_a_sweep(pair, name, scope, covers):
    before, after = pair
    network = Network(SIZES)
    values = Values(flat_parameters(network, after), flat_parameters(network, before))
    (kept,) = masks(network, CRITERIA[name], values, [0.3], by="fraction", scope=scope, covers=covers)
    found = ltsm.prune(before, after, keep=0.3, criterion=name, scope=scope, mask=covers)
    flags = {n: found.mask.get(n, torch.ones_like(t, dtype=torch.bool)).float() for n, t in after.items()}
    assert torch.equal(flat_parameters(network, flags) > 0, kept)


@pytest.fixture
def pair():
    """Two states of a small network, trained by nobody."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    before = copy.deepcopy(model.state_dict())
    return before, {name: t + 0.3 * torch.randn_like(t) for name, t in before.items()}


def test_chance_keeps_as_many_and_hangs_on_the_seed(pair):
    found = [ltsm.prune(*pair, keep=0.25, criterion="random", seed=seed) for seed in (0, 0, 1)]
    assert [f.kept for f in found] == [{"0.weight": 12, "2.weight": 6}] * 3
    assert torch.equal(found[0].mask["0.weight"], found[1].mask["0.weight"])
    assert not torch.equal(found[0].mask["0.weight"], found[2].mask["0.weight"])
    drawn = torch.from_numpy(uniform(1, "random criterion", count=48 + 24))
    assert torch.equal(pooled(found[2].scores.values()), drawn), "as ever"


def test_without_initial_values_what_is_kept_has_its_trained_ones(pair, images):
    _, after = pair
    found = ltsm.prune(None, after, keep=0.5)
    assert all(torch.equal(found.state[n], after[n] * found.mask[n]) for n in found.mask)
    for name in CRITERIA:
        if name in {"large_final", "small_final", "random"}:
            ltsm.prune(None, after, keep=0.5, criterion=name)
            continue
        with pytest.raises(UsageError, match="compares trained values with initial ones, and there are none"):
            ltsm.prune(None, after, keep=0.5, criterion=name)
    with pytest.raises(UsageError, match="and there are none"):
        ltsm.prune(None, after, keep=0.5, criterion=lambda a, b: b - a)
    searched = ltsm.find_supermask(None, after, images, criterion="large_final", by="fraction", amounts=[1.0])
    assert all(torch.equal(searched.state[n], after[n]) for n in after)


@pytest.mark.parametrize("pruned", PRUNED)
@pytest.mark.parametrize("kept", [*KEPT, "trained"])
def test_what_is_evaluated_is_what_becomes_of_kept_and_pruned_values(pair, images, kept, pruned):
    """State, accuracy and, for actions that need no chance, every value by hand; through a module and through ours."""
    before, after = pair
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    how = {"by": "fraction", "amounts": [0.5], "criterion": "large_final", "kept": kept, "pruned": pruned}
    found = ltsm.find_supermask(before, after, images, mask="weights", **how)
    model.load_state_dict(found.state)
    with torch.no_grad():
        accuracy = (model(images[0]).argmax(1) == images[1]).float().mean().item()
    assert found.selected.val_accuracy == pytest.approx(accuracy)
    own = ltsm.find_supermask(
        before, after, images, mask="weights", model=model, loss=nn.CrossEntropyLoss(), **how
    )
    assert own.through == "module"
    assert all(torch.equal(own.state[n], found.state[n]) for n in found.state)
    start = after if kept == "trained" else before
    frozen = {
        "zero": torch.zeros_like,
        "initial": lambda t: t,
        "zero_if_shrunk": lambda t: t,
    }[pruned]
    for name, flags in found.mask.items():
        expected = frozen(start[name])
        if pruned == "zero_if_shrunk":
            expected = torch.where(after[name].abs() < start[name].abs(), 0.0, expected)
        assert torch.equal(found.state[name][~flags], expected[~flags])
        values = found.state[name][flags]
        if kept in {"initial", "trained"}:
            assert torch.equal(values, start[name][flags])
        elif kept == "signed_constant":
            assert torch.allclose(values, before[name].sign()[flags] * before[name].std(correction=0))
        elif kept == "shuffled":
            assert torch.equal(values.sort().values, before[name][flags].sort().values)
        if kept.endswith("same_sign"):
            assert torch.equal(values.sign(), before[name].sign()[flags])


def test_layers_that_are_not_linear_draw_their_values_themselves(own):
    """By reset_parameters, from the seed; the caller's own generator is as it was."""
    initial, model = own
    before = torch.random.get_rng_state()
    found = [
        ltsm.prune(initial, model, keep=0.5, kept="reinitialised", only=LAYERS, seed=seed).state
        for seed in (0, 0, 1)
    ]
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in found[0]:
        assert torch.equal(found[0][name], found[1][name])
        if name.endswith("weight"):
            assert not torch.equal(found[0][name], found[2][name])
            assert found[0][name].std() == pytest.approx(found[2][name].std(), rel=0.5)


@pytest.mark.parametrize("pruned", ["zero", "initial"])
@pytest.mark.parametrize("through", ["ours", "module"])
def test_training_beside_frozen_values_is_that_of_a_plain_loop(through, pruned):
    """Not one bit of a pruned weight moves, whoever trains."""
    torch.manual_seed(3)
    model = dense()
    initial = copy.deepcopy(model.state_dict())
    images, labels, data = digits()
    looped(model, images, labels)
    found = ltsm.prune(initial, model, keep=0.3, pruned=pruned)
    more = {"optimiser": lambda p: torch.optim.Adam(p, lr=0.01)} if through == "module" else {"lr": 0.01}
    ticket = ltsm.train_ticket(found, data, iterations=20, batch_size=60, order="file", **more)
    plain = dense()
    plain.load_state_dict(found.state)
    looped(plain, images, labels, 20, mask=found.mask)
    for name, values in plain.state_dict().items():
        assert torch.allclose(ticket.trained[name], values, rtol=1e-3, atol=1e-5)
    for name, flags in found.mask.items():
        frozen = found.state[name][~flags]
        assert torch.equal(ticket.trained[name][~flags].view(torch.int32), frozen.view(torch.int32))
        assert frozen.any() == (pruned == "initial")


def test_frozen_values_stay_under_momentum_and_weight_decay_in_a_loop_of_ones_own(own):
    initial, model = own
    found = ltsm.prune(initial, model, keep=0.3, pruned="initial", only=LAYERS)
    network = copy.deepcopy(model)
    network.load_state_dict(found.state)
    images, labels, _ = digits()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    with ltsm.frozen_zeros(network, found.mask, optimiser, at=found.state):
        looped(network, images, labels, 30, optimiser)
    for name, flags in found.mask.items():
        now = network.state_dict()[name]
        assert torch.equal(now[~flags], initial[name][~flags])
        assert not torch.equal(now[flags], initial[name][flags])


@pytest.mark.parametrize("pruned", PRUNED)
def test_a_ticket_keeps_frozen_values_in_its_file(pair, images, tmp_path, pruned):
    """And one whose pruned values are 0 keeps none of them: the same bytes as ever."""
    found = ltsm.find_supermask(*pair, images, by="fraction", amounts=[0.4], pruned=pruned)
    ticket = ltsm.train_ticket(found, images, images, iterations=10)
    ltsm.save_ticket(ticket, tmp_path / "a.ticket")
    back = ltsm.load_ticket(tmp_path / "a.ticket")
    for state, other in ((ticket.initial, back.initial), (ticket.trained, back.trained)):
        assert all(torch.equal(state[n], other[n]) for n in state)
    assert back.about["fraction"] == 0.4
    frozen = any(bool(back.trained[n][~flags].any()) for n, flags in back.mask.items())
    assert frozen == (pruned != "zero")


def test_a_search_over_fractions_of_a_convolutional_network(own):
    initial, model = own
    images, labels, _ = digits()
    validation = images[1200:], labels[1200:]
    found = ltsm.find_supermask(
        initial, model, validation, by="fraction", only=LAYERS, mask="weights", criterion="large_final"
    )
    assert [r.amount for r in found.results] == [round(0.8**k, 12) for k in range(1, 21)]
    sizes = {n: t.numel() for n, t in initial.items() if n.endswith("weight")}
    for result in found.results:
        assert result.kept == {n: round(result.amount * size) for n, size in sizes.items()}
    assert found.selected.val_accuracy == max(r.val_accuracy for r in found.results)
    assert (
        ltsm.train_ticket(found, (images[:1200], labels[:1200]), validation, iterations=20)
        .records[-1]
        .val_accuracy
        > 0.3
    )


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"criterion": "nope"}, UsageError, "there is no criterion 'nope': there are sign, large_final"),
        ({"criterion": 3}, UsageError, "there is no criterion 3"),
        ({"criterion": lambda a, b: b[0]}, UsageError, "not a score for each of"),
        ({"criterion": lambda a, b: "high"}, UsageError, "the criterion gives str"),
        ({"criterion": lambda a, b: 1 / 0}, RunError, "the criterion fails: ZeroDivisionError"),
        ({"keep": 1.5}, UsageError, "keep must be a fraction from 0 to 1, not 1.5"),
        ({"keep": "half"}, UsageError, "keep must be a number"),
        ({"scope": "network"}, UsageError, "scope must be global or layer"),
        ({"mask": "biases"}, UsageError, "mask must be all or weights"),
        ({"kept": "nope"}, UsageError, "kept must be initial or reinitialised"),
        ({"pruned": "nope"}, UsageError, "pruned must be zero or initial or zero_if_shrunk"),
        ({"seed": -1}, UsageError, "seed must be a whole number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused_in_a_sentence(pair, more, error, words):
    with pytest.raises(error, match=words):
        ltsm.prune(*pair, **{"keep": 0.5, **more})


def test_fractions_are_fractions_in_a_search_too(pair, images):
    with pytest.raises(UsageError, match=r"each of amounts must be a fraction from 0 to 1, not -0\.1"):
        ltsm.find_supermask(*pair, images, by="fraction", amounts=[0.5, -0.1])
    with pytest.raises(UsageError, match=r"^each of amounts must be a number, not 'half'"):
        ltsm.find_supermask(*pair, images, by="fraction", amounts=["half"])
    with pytest.raises(UsageError, match="by must be threshold or fraction"):
        ltsm.find_supermask(*pair, images, by="size")

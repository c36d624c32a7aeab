"""Iterative pruning with one's own loop: the masks of a hand-written loop, and of the study, on the same data."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from small import SMALL, execution
from torch import nn
from torch.nn.utils import prune as torch_prune

import ltsm
from ltsm.core import engine
from ltsm.core.batches import Batches
from ltsm.core.criteria import CRITERIA, Values
from ltsm.core.masking import largest, unpack_bits
from ltsm.core.network import Network
from ltsm.core.torch_engine import TorchEngine
from ltsm.errors import UsageError
from ltsm.library.chains import Chain, chain_of_module
from ltsm.steps import plan, training
from ltsm.store import artifacts, read, schema
from ltsm.studies import all as studies

LAYERS = (nn.Linear, nn.Conv2d)


def dense():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10)
    )


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10)
    )


@pytest.fixture(scope="module")
def digits():
    data = ltsm.load_dataset("digits", ".")
    return data.train_images.view(-1, 1, 8, 8), data.train_labels


@pytest.fixture
def loop(digits):
    """A plain loop that draws its batches from torch's own generator, and seeds nothing."""

    def train(model, steps=25):
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(steps):
            batch = torch.randint(len(digits[1]), (60,))
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(digits[0][batch]), digits[1][batch]).backward()
            optimiser.step()

    return train


def by_hand(model, train, rounds, rate):
    """Frankle and Carbin's loop as people write it with torch.nn.utils.prune: the mask of every round."""
    layers = [part for part in model if isinstance(part, LAYERS)]
    initial = [(layer.weight.detach().clone(), layer.bias.detach().clone()) for layer in layers]
    found = []
    for number in range(rounds + 1):
        if number:
            for layer, (weight, bias) in zip(layers, initial, strict=True):
                # a pruned layer's `weight` is of the last forward pass, and a step behind what is trained
                trained = getattr(layer, "weight_orig", layer.weight)
                torch_prune.l1_unstructured(layer, "weight", amount=rate, importance_scores=trained)
                with torch.no_grad():
                    layer.weight_orig.copy_(weight)
                    layer.bias.copy_(bias)
        train(model)
        found.append(copy.deepcopy(ltsm.read_mask(model)))
    return found


@pytest.mark.parametrize("rate", [0.2, 0.4])
@pytest.mark.parametrize("make", [dense, convolutional], ids=["dense", "convolutional"])
def test_the_masks_are_those_of_a_loop_written_by_hand(make, rate, loop):
    """Also as the loop draws from torch's generator from round to round: nothing of ours draws from it."""
    torch.manual_seed(3)
    model = make()
    theirs = copy.deepcopy(model)
    torch.manual_seed(4)
    found = list(ltsm.prune_iteratively(model, loop, rounds=4, rate=rate, only=LAYERS))
    torch.manual_seed(4)
    masks = by_hand(theirs, loop, 4, rate)
    assert [r.number for r in found] == [0, 1, 2, 3, 4]
    assert all(flags.all() for flags in found[0].mask.values())
    for round_, expected in list(zip(found, masks, strict=True))[1:]:
        assert round_.mask.keys() == expected.keys()
        assert all(torch.equal(round_.mask[name], expected[name]) for name in expected)
        assert round_.density == sum(int(f.sum()) for f in expected.values()) / round_.ticket.covered
    last = ltsm.make_permanent(theirs).state_dict()
    assert all(torch.equal(last[name], values) for name, values in model.state_dict().items())


def test_at_exact_halves_the_kept_ones_are_rounded_and_not_the_pruned_ones(loop):
    """round(0.5 · 5) = 2 of five are kept, to the even number; torch prunes round(0.5 · 5) = 2 and keeps 3."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 1))

    def train(network):
        with torch.no_grad():
            network[0].weight += 0.01

    *_, last = ltsm.prune_iteratively(model, train, rounds=1, rate=0.5)
    assert last.kept == {"0.weight": 2}
    torch_prune.l1_unstructured(model[0], "weight", amount=0.5)
    assert int(ltsm.read_mask(model)["0.weight"].sum()) == 3


def noisy(model):
    """Stands for a training, where only counts are asked for."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_the_published_sizes_come_out_to_the_printed_digit():
    """A fifth of every layer, a tenth of the output layer; biases are neither pruned nor counted."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    found = ltsm.prune_iteratively(model, noisy, rounds=20, rate=0.2, output_rate=0.1)
    sizes = {r.number: f"{r.density:.1%}" for r in found}
    published = {3: "51.3%", 7: "21.1%", 9: "13.5%", 15: "3.6%", 18: "1.9%", 20: "1.2%"}
    assert {number: sizes[number] for number in published} == published


def test_sizes_count_each_single_parameter_once():
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 5))
    *_, last = ltsm.prune_iteratively(model, noisy, rounds=1, rate=0.2, output_rate=0.1)
    assert last.kept == {"0.weight": 48, "2.weight": 45}
    assert last.density == 93 / 110
    assert last.relative_size == (93 + 15) / 125
    assert repr(last) == "Round(1: keeps 93 of 110, 84.5%)"


TINY = SMALL.changed(
    seeds=(0,), held_out=200, initialisation="glorot_normal", biases="zero", mask="weights", order="shuffled", iterations=60
)  # fmt: skip
SIZES = (64, 12, 6, 10)


@pytest.fixture(params=[(by, back) for by in ("torch", "kernel") for back in (0, 20)], ids=str)
def swept(request, tmp_path, monkeypatch):
    """The study's masks by round, its initial values, its data, and the iteration it goes back to; by either engine."""
    by, back = request.param
    if by == "torch":
        monkeypatch.setattr(engine, "ENGINES", (TorchEngine,))
    training._loaded.cache_clear()
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    study = studies.study(f"iterative/rounds=4/controls=none/rewind-to={back}", TINY)
    made = execution(store, TINY, study=study, runs=plan.keys(study.recipes, (0,)))
    assert made.run().failed == {}
    runs = {run.recipe: run for run in read.runs(store, 1)}
    (start,) = [file for file in runs["round 0"].files if file.role == "initial"]
    values = training.read_weights(Network(SIZES), artifacts.read(store.folder, start.artifact))
    masks = [read.masks(store, 1, run_ids=[runs[f"round {k}"].id], bits=True)[0].bits for k in range(1, 5)]
    yield masks, values, training.dataset(training.Setup(TINY, Path())), back
    store.close()
    training._loaded.cache_clear()


def test_the_masks_are_those_of_the_study(swept):
    """From the same values, in the same order, with the same Adam, in a plain loop of torch's.

    The study trains from iteration K to the last one, with the batches of the order from the first one on.
    """
    bits, values, data, back = swept
    model = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 10))
    chain = chain_of_module(model)
    assert isinstance(chain, Chain)
    ltsm.load_exactly(model, chain.views(values))
    batches = Batches(len(data.train_images), TINY.batch_size, TINY.order)

    def train(network, step=0):
        optimiser = torch.optim.Adam(network.parameters(), lr=TINY.lr)
        for iteration in range(TINY.iterations - step):
            order = batches.epoch_order(0, batches.epoch(iteration))
            batch = torch.from_numpy(order)[batches.places(iteration)]
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(data.train_images[batch]), data.train_labels[batch])
            loss.backward()
            optimiser.step()

    found = list(ltsm.prune_iteratively(model, train, rounds=4, rate=0.2, output_rate=0.1, rewind_to=back))
    for round_, packed in zip(found[1:], bits, strict=True):
        flags = {
            n: round_.mask.get(n, torch.ones_like(t, dtype=torch.bool)) for n, t in model.state_dict().items()
        }
        assert torch.equal(chain.flat(flags) > 0, unpack_bits(packed, chain.network.parameters))


def test_each_mask_is_within_the_one_before_and_rewound_weights_are_initial_to_the_bit(loop, digits):
    """Biases are under no mask, and go back too."""
    torch.manual_seed(1)
    model = dense()
    initial = copy.deepcopy(model.state_dict())
    before = None
    for found in ltsm.prune_iteratively(model, loop, rounds=4, only=LAYERS):
        assert found.mask.keys() == {name for name in initial if name.endswith("weight")}
        for name, values in found.ticket.initial.items():
            flags = found.mask.get(name, torch.ones_like(values, dtype=torch.bool))
            assert torch.equal(values, torch.where(flags, initial[name], 0.0))
            assert before is None or not (flags & ~before.get(name, flags)).any()
            assert torch.equal(found.ticket.trained[name], model.state_dict()[name])
            assert not model.state_dict()[name][~flags].any()
        before = found.mask


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("covers", ["weights", "all"])
@pytest.mark.parametrize("criterion", sorted(CRITERIA.keys() - {"random"}))
def test_every_criterion_ranks_the_survivors_alone(criterion, covers, scope):
    """Each round's mask is the largest 0.7 of what is left, scored by initial values and those after the round before."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    initial = copy.deepcopy(model.state_dict())
    names = [n for n in initial if covers == "all" or n.endswith("weight")]
    together = [names] if scope == "global" else [[n for n in names if n[0] == layer] for layer in "02"]
    last = None
    for found in ltsm.prune_iteratively(
        model, noisy, rounds=3, rate=0.3, criterion=criterion, scope=scope, mask=covers
    ):
        for group in together if last else []:
            alive, before, after, kept = (
                torch.cat([state[name].flatten() for name in group])
                for state in (last.mask, initial, last.ticket.trained, found.mask)
            )
            scores = CRITERIA[criterion](Values(after[alive], before[alive]))
            assert torch.equal(kept[alive], largest(scores, 0.7))
            assert not kept[~alive].any()
        last = found


def test_chance_hangs_on_the_seed_and_stays_within_the_mask_before():
    def masks(seed):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        found = ltsm.prune_iteratively(model, noisy, rounds=3, criterion="random", seed=seed)
        return [r.mask["0.weight"] for r in found]

    first, again, other = masks(0), masks(0), masks(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[3], other[3])
    assert all(not (b & ~a).any() for a, b in pairwise(first))


def test_a_rule_of_ones_own_sees_each_parameter_in_its_own_shape():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    initial, seen = copy.deepcopy(model.state_dict()), []

    def rule(before, after):
        seen.append(before)
        return after.abs() / after.abs().amax(1, keepdim=True).clamp(min=1e-9)

    found = list(ltsm.prune_iteratively(model, noisy, rounds=2, rate=0.5, criterion=rule))
    assert [tuple(t.shape) for t in seen] == [(8, 6), (3, 8)] * 2
    assert all(
        torch.equal(values, initial[name])
        for values, name in zip(seen, ["0.weight", "2.weight"] * 2, strict=True)
    )
    assert [r.kept["0.weight"] for r in found] == [48, 24, 12]


def test_weights_go_back_to_a_later_step_and_the_loop_is_told(loop, digits):
    """Steps are counted as torch's optimisers make them, over the whole of round 0."""
    torch.manual_seed(5)
    model = dense()
    theirs, begun = copy.deepcopy(model), []

    def train(network, step):
        begun.append(step)
        loop(network, 25 - step)

    torch.manual_seed(6)
    found = list(ltsm.prune_iteratively(model, train, rounds=2, rewind_to=10, keep=(5, 25), only=LAYERS))
    torch.manual_seed(6)
    loop(theirs, 10)
    assert begun == [0, 10, 10]
    for r in found[1:]:
        kept = {
            n: torch.where(r.mask[n], t, 0.0) if n in r.mask else t for n, t in theirs.state_dict().items()
        }
        assert all(torch.equal(r.ticket.initial[n], t) for n, t in kept.items())
    assert [sorted(r.weights_at) for r in found] == [[5, 25], [25], [25]]
    assert all(torch.equal(r.weights_at[25][n], t) for r in found for n, t in r.ticket.trained.items())
    assert [r.ticket.about for r in found] == [
        {"round": 0, "rewound_to": 0}, {"round": 1, "rewound_to": 10}, {"round": 2, "rewound_to": 10}
    ]  # fmt: skip


def test_two_optimisers_that_take_turns_and_two_that_follow_each_other_are_counted_by_iterations(images):
    """The first two move a part of the network each, the others all of it, one after the other."""

    def together(network, _):
        parts = [torch.optim.SGD(network[i].parameters(), lr=0.1) for i in (0, 2)]
        for _step in range(6):
            network.zero_grad()
            nn.functional.cross_entropy(network(images[0]), images[1]).backward()
            for optimiser in parts:
                optimiser.step()

    def in_turn(network, _):
        for count in (4, 2):
            optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
            for _step in range(count):
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(images[0]), images[1]).backward()
                optimiser.step()

    starts = []
    for train in (together, in_turn):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        *_, last = ltsm.prune_iteratively(model, train, rounds=1, rewind_to=3, keep=(6,))
        starts.append(last.ticket.initial)
        assert last.weights_at.keys() == {6}
    assert all(torch.equal(starts[0][name], values) for name, values in starts[1].items())


def test_a_step_that_is_never_made_is_said(loop, digits):
    found = ltsm.prune_iteratively(
        dense(),
        lambda network, _: loop(network, 4),
        rounds=1,
        rewind_to=5,
        only=(nn.Flatten, nn.ReLU, nn.Linear),
    )
    assert next(found).number == 0
    with pytest.raises(UsageError, match="step 5 is to be gone back to, and torch's optimisers have made 4"):
        next(found)


def test_a_round_is_a_ticket_that_can_be_kept(loop, digits, tmp_path):
    """Its file holds mask, rewound and trained values; a chain of ours can go to ONNX from there."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))

    def train(network):
        loop(nn.Sequential(nn.Flatten(), network))

    *_, last = ltsm.prune_iteratively(model, train, rounds=3)
    ltsm.save_ticket(last.ticket, tmp_path / "own.ticket")
    back = ltsm.load_ticket(tmp_path / "own.ticket")
    assert back.about == {"round": 3, "rewound_to": 0}
    for part in ("mask", "initial", "trained"):
        assert all(torch.equal(getattr(back, part)[n], t) for n, t in getattr(last.ticket, part).items())
    assert back.chain.network == Network((64, 16, 10))

"""The controls of one seed on digits, worked out again from the files that were stored, in plain torch."""

import sqlite3
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import SMALL, execution
from torch import nn

from ltsm.core.datasets import load_dataset
from ltsm.core.network import Network, initial_values
from ltsm.store import read, schema
from ltsm.studies import controls, paper
from ltsm.studies.recipe import Mask

ONE_SEED = SMALL.changed(seeds=(0,), hyperops=())
STUDY = controls.study(ONE_SEED)
SIZES = (64, *SMALL.hidden, 10)
CHANGED = [group.recipes[0] for group in STUDY.groups if group.label not in {paper.TICKET, controls.DENSE}]
MASKED = [paper.TICKET, *CHANGED]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The whole study, run once."""
    found = tmp_path_factory.mktemp("controls") / "ltsm.db"
    store = schema.open_for_writing(found)
    assert execution(store, ONE_SEED, STUDY).run().failed == {}
    store.close()
    return found


class Made:
    """A run's files and its mask, flat and by layer."""

    def __init__(self, path, recipe):
        store = schema.open_for_reading(path)
        self.row = read.find_run(store, 1, STUDY.fingerprints()[recipe], 0)
        self.records = read.metrics(store, [self.row.id]).get(self.row.id)
        mask = read.selected_mask(store, self.row.id)
        self.own = read.masks(store, 1, run_ids=[self.row.id])
        store.close()
        self.start, self.final = (
            load_file(path.parent / file.path) if file else None
            for file in (self.row.initial, self.row.final)
        )
        if mask is not None:
            self.amount, self.mask_row = mask.amount, mask
            bits = np.unpackbits(np.frombuffer(mask.bits, dtype=np.uint8))[: self.row.parameters]
            self.mask = split(torch.from_numpy(bits.astype(bool)))


def split(flat):
    """By name, weights before biases, layer by layer: what the store says of a mask's bits."""
    found, at = {}, 0
    for index, (inputs, outputs) in enumerate(pairwise(SIZES)):
        for name, shape in (("weight", (outputs, inputs)), ("bias", (outputs,))):
            count = int(np.prod(shape))
            found[f"{2 * index}.{name}"] = flat[at : at + count].reshape(shape)
            at += count
    assert at == len(flat)
    return found


def plain():
    """The network as anybody would write it."""
    layers = []
    for inputs, outputs in pairwise(SIZES):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.fixture(scope="module")
def made(path):
    return {name: Made(path, name) for name in STUDY.recipes}


def masked(values, mask):
    return {name: torch.where(mask[name], values[name], torch.zeros(())) for name in values}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_store_names_its_tensors_as_torch_does(made):
    assert list(split(torch.zeros(made[paper.INITIAL].row.parameters))) == list(plain().state_dict())
    assert made[paper.INITIAL].start.keys() == plain().state_dict().keys()


def expected_start(made, recipe):
    """What the values of a control are before its training, from the initial values and its mask."""
    initial, mask = made[paper.INITIAL].start, made[recipe].mask
    network = Network(SIZES)
    drawn = {
        action: split(initial_values(network, 0, action))
        for action in ("reinitialised", "reinitialised_same_sign")
    }
    if recipe == controls.REDRAWN:
        return masked(drawn["reinitialised"], mask)
    if recipe == controls.SAME_SIGNS:
        values = drawn["reinitialised_same_sign"]
        return masked({name: values[name].abs() * initial[name].sign() for name in values}, mask)
    if recipe == controls.CONSTANTS:
        sizes = {
            name[0]: np.std(values.numpy().astype(np.float64))
            for name, values in initial.items()
            if "weight" in name
        }
        return masked(
            {name: initial[name].sign() * torch.tensor(np.float32(sizes[name[0]])) for name in initial}, mask
        )
    return initial


@pytest.mark.parametrize("recipe", [controls.REDRAWN, controls.SAME_SIGNS, controls.CONSTANTS])
def test_the_values_of_a_control_are_those_worked_out_by_hand(made, recipe):
    assert same(made[recipe].start, expected_start(made, recipe))
    assert same(made[recipe].mask, made[paper.TICKET].mask)
    assert made[recipe].row.initial.path != made[paper.INITIAL].row.initial.path


def test_shuffled_values_are_the_tickets_in_another_order(made):
    """Weights among the weights and biases among the biases of their layer; what is pruned is 0."""
    ticket, found = made[paper.TICKET], made[controls.SHUFFLED]
    before = masked(ticket.start, ticket.mask)
    moved = 0
    for name, values in found.start.items():
        kept = ticket.mask[name]
        assert torch.equal(values[kept].sort().values, before[name][kept].sort().values)
        assert (values[~kept] == 0).all()
        moved += int((values != before[name]).sum())
    assert moved > found.mask_row.relative_size * found.row.parameters / 2


@pytest.mark.parametrize("recipe", [controls.RANDOM_MASK, controls.INVERTED])
def test_a_control_of_the_mask_has_a_mask_of_its_own_and_the_tickets_values(made, recipe):
    """The random one keeps as many parameters of each layer, the inverted one what the ticket's prunes."""
    ticket, found = made[paper.TICKET], made[recipe]
    (row,) = found.own
    assert row.selected
    for index in (0, 2, 4):
        counts = [
            sum(int(m[f"{index}.{part}"].sum()) for part in ("weight", "bias"))
            for m in (ticket.mask, found.mask)
        ]
        if recipe == controls.RANDOM_MASK:
            assert counts[0] == counts[1] == row.layer_sizes[index // 2]
    if recipe == controls.INVERTED:
        assert same(found.mask, {name: ~kept for name, kept in ticket.mask.items()})
    assert not same(found.mask, ticket.mask)
    assert found.row.initial == ticket.row.initial == made[paper.INITIAL].row.initial
    total = sum(int(kept.sum()) for kept in found.mask.values())
    assert found.row.relative_size == row.relative_size == row.amount == total / found.row.parameters
    assert row.amount_by == "fraction"


def test_only_controls_of_the_mask_and_the_search_have_masks_of_their_own(made):
    with_masks = {name for name, found in made.items() if found.own}
    assert with_masks == {paper.SUPERMASK, controls.RANDOM_MASK, controls.INVERTED}
    controlled = {n for n, r in STUDY.recipes.items() if isinstance(r.mask, Mask) and r.mask.control}
    assert controlled == with_masks - {paper.SUPERMASK}


def test_fine_tuning_starts_from_the_trained_values(made):
    found, baseline = made[controls.FINE_TUNED], made[paper.BASELINE]
    assert found.row.initial == baseline.row.final
    assert same(found.start, baseline.final)
    assert same(found.mask, made[paper.TICKET].mask)


@pytest.mark.parametrize("recipe", MASKED)
def test_what_is_pruned_is_zero_to_the_end_and_what_is_kept_is_trained(made, recipe):
    found = made[recipe]
    assert (found.row.state, found.row.iteration) == ("done", SMALL.iterations)
    start = masked(found.start, found.mask)
    trained = 0
    for name, kept in found.mask.items():
        assert (found.final[name][~kept] == 0).all()
        trained += int((found.final[name] != start[name])[kept].sum())
    assert trained > sum(int(kept.sum()) for kept in found.mask.values()) / 4


@pytest.mark.parametrize("recipe", [paper.INITIAL, paper.BASELINE, *MASKED])
@pytest.mark.parametrize("moment", ["untrained", "trained"])
def test_records_are_what_plain_torch_measures(made, recipe, moment):
    """The accuracy exactly, untrained and trained; the loss but for the order of additions."""
    data, found = load_dataset("digits", None), made[recipe]
    values = found.start if moment == "untrained" else found.final
    network = plain()
    network.load_state_dict(masked(values, found.mask) if recipe in MASKED else values)
    with torch.no_grad():
        logits = network(data.validation_images)
        loss = nn.functional.cross_entropy(logits.double(), data.validation_labels).item()
    accuracy = (logits.argmax(1) == data.validation_labels).double().mean().item()
    record = found.records[0 if moment == "untrained" else -1]
    assert record.val_accuracy == pytest.approx(accuracy, abs=1e-12)
    assert record.val_loss == pytest.approx(loss, rel=1e-5)
    if found.own and moment == "untrained":
        assert found.own[0].val_accuracy == record.val_accuracy
        assert found.own[0].val_loss == pytest.approx(record.val_loss, rel=1e-6)


def test_the_searchs_masks_are_the_criterion_of_the_stored_weights(made, path):
    """sign(before) · after ≥ t, of every parameter, in float32."""
    before, after = made[paper.INITIAL].start, made[paper.BASELINE].final
    store = schema.open_for_reading(path)
    rows = read.masks(store, 1, run_ids=[made[paper.SUPERMASK].row.id], bits=True)
    store.close()
    assert [row.amount for row in rows] == pytest.approx(list(SMALL.thresholds))
    for row in rows:
        bits = np.unpackbits(np.frombuffer(row.bits, dtype=np.uint8))[: made[paper.TICKET].row.parameters]
        found = split(torch.from_numpy(bits.astype(bool)))
        for name, kept in found.items():
            score = before[name].sign() * after[name]
            assert torch.equal(kept, score >= torch.tensor(np.float32(row.amount)))


def test_the_view_of_results_has_every_network_and_its_untrained_accuracy(path, made):
    """For who reads with sqlite3."""
    found = sqlite3.connect(path).execute("SELECT recipe, untrained_val_accuracy FROM result").fetchall()
    assert dict(found) == {n: m.records[0].val_accuracy if m.records else None for n, m in made.items()}
    named = sqlite3.connect(path).execute("SELECT recipe FROM table_1").fetchall()
    assert {name for (name,) in named} == set(MASKED)

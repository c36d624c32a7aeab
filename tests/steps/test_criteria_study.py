"""The study of criteria: what it is made of, and a small one that is run."""

import math

import pytest
import torch
from small import SMALL, execution

from ltsm.core.actions import KEPT, PRUNED
from ltsm.core.criteria import CRITERIA
from ltsm.core.masking import unpack_bits
from ltsm.core.network import Network, is_weight
from ltsm.errors import UsageError
from ltsm.protocol import FRANKLE, PAPER
from ltsm.steps import plan, training
from ltsm.steps.check import check
from ltsm.store import artifacts, read, schema
from ltsm.studies import all as studies
from ltsm.studies import paper
from ltsm.studies.recipe import Mask

TINY = SMALL.changed(
    seeds=(0,), held_out=200, initialisation="glorot_normal", biases="zero", mask="weights", order="shuffled"
)
NETWORK = Network((64, 12, 6, 10))


def test_every_criterion_is_compared_at_twenty_sizes_with_initial_values_and_constants():
    study = studies.study("criteria", FRANKLE)
    searches = [r for r in study.recipes.values() if r.trains == "nothing"]
    assert {(r.mask.criterion, r.kept) for r in searches} == {
        (name, kept) for name in CRITERIA for kept in ("initial", "signed_constant")
    }
    for recipe in searches:
        assert recipe.mask.amounts == tuple(round(0.8**k, 12) for k in range(1, 21))
        assert recipe.mask.output == tuple(round(0.9**k, 12) for k in range(1, 21))
        assert (recipe.mask.by, recipe.mask.scope, recipe.mask.covers) == ("fraction", "layer", "weights")
    assert study.reference == "large_final_same_sign"
    assert studies.protocol_of("criteria/train=best") == "frankle"


def test_under_the_papers_protocol_amounts_are_its_thresholds_of_its_baseline():
    """So that both studies train the same initial trainings and baselines."""
    study, papers = studies.study("criteria", PAPER), paper.study(PAPER)
    for name in (paper.INITIAL, paper.BASELINE):
        assert study.fingerprints()[name] == papers.fingerprints()[name]
    masking = study.recipes["sign"].mask
    assert (masking.amounts, masking.by, masking.covers) == (PAPER.thresholds, "threshold", "all")
    assert masking.after.of == paper.BASELINE


def test_options_are_part_of_the_name_and_reach_the_study():
    options = {"criterion": "movement", "kept": "shuffled", "pruned": "zero_if_shrunk", "train": "best,0.25"}
    name = studies.with_options("criteria", {**options, "amounts": "0.5,0.2,0.1", "scope": "global"})
    study = studies.study(name, FRANKLE)
    check(study, FRANKLE)
    search = "movement, shuffled, pruned zero_if_shrunk"
    assert [*study.recipes] == [
        paper.INITIAL, search, f"{search}, trained at its best", f"{search}, trained at 0.2",
    ]  # fmt: skip
    assert study.recipes[search].mask.amounts == (0.5, 0.2, 0.1)
    assert study.recipes[search].mask.output == ()
    best, at = (study.recipes[f"{search}, trained at {what}"] for what in ("its best", "0.2"))
    assert best.mask == Mask(search)
    assert best.after is not None
    assert at.mask.amounts == (0.2,)
    assert best.iterations == at.iterations == FRANKLE.iterations


def test_a_chosen_size_takes_the_output_layers_own_fraction():
    study = studies.study("criteria/criterion=random/kept=initial/train=0.21", FRANKLE)
    mask = study.recipes["random, trained at 0.21"].mask
    assert mask.amounts == (round(0.8**7, 12),)
    assert mask.output == (round(0.9**7, 12),)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("controls/criterion=sign", "the study controls has no option '--criterion': it has none"),
        ("paper/more=1", "the study paper has no option '--more': it has none"),
        ("criteria/rounds=3", "has no option '--rounds': it has --criterion, --kept, --pruned, --by"),
        ("criteria/by=half", "--by is threshold or fraction, not 'half'"),
        ("criteria/scope=all", "--scope is global or layer"),
        ("criteria/covers=biases", "--covers is all or weights"),
        ("criteria/amounts=0.5,x", "'x' is no amount"),
        ("criteria/amounts=0.5,2", "a fraction lies between 0 and 1, and 2 does not"),
        ("criteria/amounts=0.5,0.5", "has an amount twice"),
        ("criteria/train=all", "'all' is no amount"),
        ("criteria/criterion=nope", "has the criterion 'nope': there are sign, large_final"),
        ("criteria/kept=nope", "has the kept 'nope': there are initial"),
        ("criteria/pruned=nope", "has the pruned 'nope': there are zero, initial, zero_if_shrunk"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_a_sentence(name, words):
    with pytest.raises(UsageError, match=words):
        check(studies.study(name, FRANKLE), FRANKLE)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Every action on pruned weights, trained at a fifth; two criteria, one of them chance."""
    training._loaded.cache_clear()
    store = schema.open_for_writing(tmp_path_factory.mktemp("criteria") / "ltsm.db")
    name = "criteria/criterion=magnitude_increase,random/kept=initial,signed_constant/pruned=zero,initial,zero_if_shrunk"
    study = studies.study(f"{name}/train=0.21", TINY)
    execution(store, TINY, study=study, runs=plan.keys(study.recipes, (0,))).run()
    yield store, study
    store.close()
    training._loaded.cache_clear()


def of_recipe(store, name):
    """A recipe's run, and its masks."""
    (run,) = [run for run in read.runs(store, 1) if run.recipe == name]
    return run, read.masks(store, 1, run_ids=[run.id], bits=True)


def weights_of(store, artifact):
    return training.read_weights(NETWORK, artifacts.read(store.folder, artifact))


def test_each_layer_keeps_exactly_its_share_and_all_biases(swept):
    store, study = swept
    for name, recipe in study.recipes.items():
        if recipe.trains != "nothing":
            continue
        _, masks = of_recipe(store, name)
        assert len(masks) == 20
        assert sum(mask.selected for mask in masks) == 1
        for mask in masks:
            k = round(math.log(mask.amount) / math.log(0.8))
            shares = [0.8**k, 0.8**k, 0.9**k]
            expected = [
                round(share * layer.inputs * layer.outputs) + layer.outputs
                for share, layer in zip(shares, NETWORK.layers, strict=True)
            ]
            assert list(mask.layer_sizes) == expected
            assert math.isfinite(mask.test_accuracy)


def test_masks_of_one_criterion_are_nested_and_the_same_for_all_values(swept):
    """Chance, too, decides once for a seed, whatever becomes of the weights."""
    store, _ = swept
    for criterion in ("magnitude_increase", "random"):
        found = [
            [unpack_bits(mask.bits, NETWORK.parameters) for mask in of_recipe(store, name)[1]]
            for name in (criterion, f"{criterion}, signed_constant")
        ]
        for ours, constants in zip(*found, strict=True):
            assert torch.equal(ours, constants)
        for smaller, larger in zip(found[0], found[0][1:], strict=False):
            assert not (smaller & ~larger).any()


def test_a_tickets_pruned_weights_are_frozen_at_what_the_action_says(swept):
    store, study = swept
    initial, after = (
        weights_of(store, artifact)
        for run in [of_recipe(store, paper.INITIAL)[0]]
        for artifact in (run.initial, run.final)
    )
    expected = {
        "zero": torch.zeros_like(initial),
        "initial": initial,
        "zero_if_shrunk": torch.where(after.abs() < initial.abs(), 0.0, initial),
    }
    tickets = {name: recipe for name, recipe in study.recipes.items() if name.endswith("trained at 0.21")}
    assert {(r.kept, r.pruned) for r in tickets.values()} == {
        (kept, pruned) for kept in ("initial", "signed_constant") for pruned in PRUNED
    }
    assert {"initial", "signed_constant"} <= {*KEPT}
    for name, recipe in tickets.items():
        run, masks = of_recipe(store, name)
        mask = unpack_bits(masks[0].bits, NETWORK.parameters)
        start, end = (
            weights_of(store, run.final if run.initial is None else run.initial),
            weights_of(store, run.final),
        )
        assert torch.equal(end[~mask], expected[recipe.pruned][~mask])
        if run.initial is not None and recipe.kept == "signed_constant":
            kept = mask & is_weight(NETWORK)
            for layer in NETWORK.layers:
                values = start[layer.weight][kept[layer.weight]]
                assert len(values.abs().unique()) == 1
                assert torch.equal(values.sign(), initial[layer.weight][kept[layer.weight]].sign())
        assert (end[mask] != initial[mask]).any()

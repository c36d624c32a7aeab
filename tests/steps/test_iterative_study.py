"""Iterative pruning with rewinding: what the study is made of, and a small one that is run and worked out again."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from small import SMALL, Here, execution, experiment, results, stopped_again_and_again

from ltsm.core.criteria import CRITERIA, Values
from ltsm.core.masking import covered_by, masks, unpack_bits
from ltsm.core.network import Network, initial_values, is_weight
from ltsm.core.state import unpack
from ltsm.errors import UsageError
from ltsm.protocol import FRANKLE
from ltsm.steps import inputs, plan, training
from ltsm.steps.check import check
from ltsm.steps.first import first_state
from ltsm.steps.rebuild import Rebuilding
from ltsm.store import artifacts, read, schema
from ltsm.studies import all as studies
from ltsm.studies import criteria
from ltsm.studies.study import RunKey

TINY = SMALL.changed(
    seeds=(0, 1),
    held_out=200,
    initialisation="glorot_normal",
    biases="zero",
    mask="weights",
    order="shuffled",
    iterations=60,
)
NETWORK = Network((64, 12, 6, 10))
STUDY = studies.study("iterative/rounds=3/controls=2/one-shot=3/rewind-to=20", TINY)
KEEPING = replace(STUDY, passing=frozenset())
INITIAL = studies.study("iterative/rounds=3/controls=none", TINY)


def test_the_published_sizes_come_out_to_the_printed_digit():
    """A round keeps four fifths of what a layer has left, of the output layer nine tenths; biases are not counted."""
    network = Network((784, 300, 100, 10))
    recipes = studies.study("iterative", FRANKLE).recipes
    values, kept, sizes = initial_values(network, 0, "sizes"), covered_by(network, "all"), {}
    for number in range(1, 21):
        how = recipes[f"round {number}"].mask
        (kept,) = masks(
            network,
            CRITERIA[how.criterion],
            Values(values, values),
            how.amounts,
            output=how.output,
            by=how.by,
            scope=how.scope,
            covers=how.covers,
            within=kept,
        )
        sizes[number] = f"{100 * int(kept[is_weight(network)].sum()) / 266_200:.1f}"
        assert kept[~is_weight(network)].all()
    published = {3: "51.3", 7: "21.1", 9: "13.5", 15: "3.6", 18: "1.9", 20: "1.2"}
    assert {number: sizes[number] for number in published} == published


def test_every_round_needs_the_one_before_it_and_goes_back_to_the_dense_networks_start():
    study = studies.study("iterative", FRANKLE)
    assert [*study.recipes] == [*(f"round {k}" for k in range(21)), "reinitialised 7", "reinitialised 15"]
    for number in range(1, 21):
        recipe = study.recipes[f"round {number}"]
        assert recipe.needs.items() >= {"start": "round 0", "after": f"round {number - 1}"}.items()
        assert recipe.needs.get("within") == (f"round {number - 1}" if number > 1 else None)
    dense = studies.study("criteria", FRANKLE).fingerprints()[criteria.paper.INITIAL]
    assert study.fingerprints()["round 0"] == dense, "its training is run once for both studies"
    redrawn = study.recipes["reinitialised 7"], study.recipes["reinitialised 15"]
    assert redrawn[0].draw != redrawn[1].draw, "each control has values of its own"


def test_all_controls_one_shot_and_rewinding_are_recipes_like_others():
    study = studies.study("iterative/rounds=2/controls=all/one-shot=all/rewind-to=500/rate=0.5", FRANKLE)
    check(study, FRANKLE)
    assert [*study.recipes][3:] == ["reinitialised 1", "reinitialised 2", "one-shot 1", "one-shot 2"]
    assert study.recipes["round 0"].keep == (500,)
    for name in ("round 1", "round 2", "one-shot 2"):
        rewound = study.recipes[name]
        assert (rewound.start.at, rewound.iterations) == (500, 49_500), "from iteration k on to T"
    assert study.recipes["round 0"].iterations == study.recipes["reinitialised 2"].iterations == 50_000
    at_once = study.recipes["one-shot 2"].mask
    assert (at_once.amounts, at_once.output, at_once.after.of) == ((0.25,), (0.5625,), "round 0")
    together = studies.study("iterative/rounds=1/scope=global", FRANKLE).recipes["round 1"].mask
    assert (together.amounts, together.output, together.scope) == ((0.8,), (), "global")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("rounds=0", "'0' is no whole number from 1 to 1,000"),
        ("rounds=1001", "'1001' is no whole number"),
        ("rounds=many", "'many' is no whole number"),
        ("controls=21", "'21' is no whole number from 1 to 20"),
        ("one-shot=-1", "'-1' is no whole number"),
        ("one_shots=1", "has no option '--one-shots': it has --rounds, --controls, --one-shot"),
        ("rewind-to=50000", "'50000' is no whole number from 1 to 49,999"),
        ("rewind-to=150", "keeps iteration 150, which has no record"),
        ("rate=1", "--rate lies between 0 and 1, and 1 does not"),
        ("rate=nan", "--rate lies between 0 and 1, and nan does not"),
        ("rate=x", "'x' is no rate"),
        ("output-rate=0", "--output-rate lies between 0 and 1"),
        ("scope=global/output-rate=0.1", "--output-rate is for layers that are ranked by themselves"),
        ("scope=all", "--scope is layer or global"),
        ("criterion=nope", "has the criterion 'nope': there are sign, large_final"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_a_sentence(options, words):
    with pytest.raises(UsageError, match=words):
        check(studies.study(f"iterative/{options}", FRANKLE), FRANKLE)


def swept(path, study=KEEPING, **how):
    store = schema.open_for_writing(path)
    runs = plan.keys(study.recipes, TINY.seeds, together=study.seeds_together)
    try:
        return execution(store, TINY, study, runs, **how).run()
    finally:
        store.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two seeds, three rounds, rewound to iteration 20, with a control and a network that is pruned at once."""
    training._loaded.cache_clear()
    found = tmp_path_factory.mktemp("iterative") / "ltsm.db"
    assert swept(found).failed == {}
    yield found
    training._loaded.cache_clear()


@pytest.fixture
def store(path):
    opened = schema.open_for_reading(path)
    yield opened
    opened.close()


class Made:
    """A run's mask (P,) and its weights (P,)."""

    def __init__(self, store, recipe, seed):
        row = read.find_run(store, 1, STUDY.fingerprints()[recipe], seed)
        mask = read.selected_mask(store, row.id)
        self.mask = unpack_bits(mask.bits, NETWORK.parameters) if mask else None
        self.start, self.final = (self.weights(store, row.file(role)) for role in ("initial", "final"))
        self.kept = self.weights(store, row.file("kept", 20)) if recipe == "round 0" else None

    def weights(self, store, file):
        return training.read_weights(NETWORK, artifacts.read(store.folder, file))


@pytest.mark.parametrize("seed", TINY.seeds)
def test_each_round_prunes_the_smallest_of_what_the_round_before_left(store, seed):
    """Worked out again from the weights that are stored; masks are nested, and biases are in all of them."""
    weights, before = is_weight(NETWORK), torch.ones(NETWORK.parameters, dtype=torch.bool)
    for number in range(1, 4):
        made = Made(store, f"round {number}", seed)
        trained = Made(store, f"round {number - 1}", seed).final.abs()
        assert not (made.mask & ~before).any(), "what was pruned stays pruned"
        assert made.mask[~weights].all()
        for layer in NETWORK.layers:
            left = before[layer.weight]
            kept = made.mask[layer.weight]
            share = 0.9 if layer.outputs == 10 else 0.8
            assert int(kept.sum()) == round(share * int(left.sum()))
            size = trained[layer.weight]
            assert size[kept].min() >= size[left & ~kept].max()
        before = made.mask


@pytest.mark.parametrize("seed", TINY.seeds)
def test_what_is_pruned_is_0_at_the_end_and_what_is_kept_went_back_bit_for_bit(store, seed):
    dense = Made(store, "round 0", seed)
    assert not torch.equal(dense.kept, dense.start)
    for number in range(1, 4):
        made = Made(store, f"round {number}", seed)
        assert (made.final[~made.mask] == 0).all()
        assert (made.final[made.mask & is_weight(NETWORK)] != 0).all()
        assert torch.equal(made.start, dense.kept), (
            "the file that it starts from is the dense network's, at 20"
        )


@pytest.mark.parametrize(
    ("study", "at"), [(STUDY, "kept"), (INITIAL, "start")], ids=["rewound to 20", "to the start"]
)
def test_a_round_begins_with_rewound_weights_untouched_biases_and_a_fresh_optimiser(tmp_path, study, at):
    path, dense, key = tmp_path / "ltsm.db", f"round {0}", RunKey("round 2", 1)
    runs = plan.keys([f"round {k}" for k in range(2)], (1,))
    store = schema.open_for_writing(path)
    execution(store, TINY, study, runs).run()
    shared, _ = experiment(store, TINY, study, [key])
    begun = first_state(shared.setup, study.recipes[key.recipe], 1, inputs.gather(shared, key))
    state, row = unpack(begun.state), read.find_run(store, 1, study.fingerprints()[dense], 1)
    file = row.file("kept", 20) if at == "kept" else row.file("initial")
    rewound = training.read_weights(NETWORK, artifacts.read(store.folder, file))
    store.close()
    (mask,) = state.masks
    assert torch.equal(state.parameters[0][mask], rewound[mask])
    assert mask[~is_weight(NETWORK)].all()
    assert (state.parameters[0][~mask] == 0).all()
    assert state.iteration == 0
    assert not state.first_moment.any()
    assert not state.second_moment.any()


@pytest.mark.parametrize("seed", TINY.seeds)
def test_the_control_has_the_mask_of_its_round_and_values_of_its_own(store, seed):
    redrawn, ticket = Made(store, "reinitialised 2", seed), Made(store, "round 2", seed)
    assert (redrawn.final[~ticket.mask] == 0).all()
    weights = is_weight(NETWORK) & ticket.mask
    assert (redrawn.start[weights] != ticket.start[weights]).all()


@pytest.mark.parametrize("seed", TINY.seeds)
def test_at_once_the_dense_networks_smallest_weights_go(store, seed):
    made, dense = Made(store, "one-shot 3", seed), Made(store, "round 0", seed)
    for layer in NETWORK.layers:
        kept, size = made.mask[layer.weight], dense.final[layer.weight].abs()
        share = 0.9**3 if layer.outputs == 10 else 0.8**3
        assert int(kept.sum()) == round(share * len(kept))
        assert size[kept].min() >= size[~kept].max()


@pytest.mark.parametrize("segments", [1, 3])
def test_stopped_anywhere_and_gone_on_it_gives_the_same_bits(tmp_path, path, segments):
    stopped_again_and_again(partial(swept, tmp_path / "ltsm.db"), segments)
    assert results(tmp_path / "ltsm.db") == results(path)


def files(path):
    """Of every run its files that are there and that were dropped, by role; each that is there is what was written."""
    store = schema.open_for_reading(path)
    found = {}
    for run in read.runs(store, 1):
        for file in run.files:
            artifacts.check(store.folder, file.artifact)
        found[run.recipe, run.seed] = [
            sorted((file.role, file.artifact.sha256) for file in some) for some in (run.files, run.dropped)
        ]
    on_disk = len([*store.folder.rglob("*.safetensors")])
    store.close()
    return found, on_disk


def test_trained_weights_go_when_the_next_round_is_done_and_come_again_bit_for_bit(tmp_path, path):
    """Nothing else goes: not the dense network's, which others may be made from, nor the last round's."""
    kept, on_disk = files(path)
    assert swept(tmp_path / "ltsm.db", STUDY).failed == {}
    found, left = files(tmp_path / "ltsm.db")
    passing = [(name, seed) for name in ("round 1", "round 2") for seed in TINY.seeds]
    for key, (there, dropped) in found.items():
        assert sorted(there + dropped) == kept[key][0]
        assert [role for role, _ in dropped] == ["final"] * (key in passing)
    assert left == on_disk - len(passing)
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    shared, _ = experiment(store, TINY, STUDY)
    again = [*Rebuilding(shared, Here()).runs(RunKey(*key) for key in passing)]
    store.close()
    assert again == passing
    assert files(tmp_path / "ltsm.db") == (kept, on_disk)


def test_stopped_anywhere_it_drops_no_more_and_ends_the_same(tmp_path):
    swept(tmp_path / "a" / "ltsm.db", STUDY)
    stopped_again_and_again(partial(swept, tmp_path / "b" / "ltsm.db", STUDY), 2)
    assert files(tmp_path / "a" / "ltsm.db") == files(tmp_path / "b" / "ltsm.db")

"""Runs that train their mask: in the store like any other's, to the same bits however they are stopped."""

import math
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small import SMALL, Here, execution, experiment, results, stopped_again_and_again

from ltsm.cli.stored_tickets import stored_ticket
from ltsm.core.engine import choose_engine
from ltsm.core.masking import unpack_bits
from ltsm.core.network import Network
from ltsm.errors import UsageError
from ltsm.library.ticket_file import load_ticket, save_ticket
from ltsm.steps import training
from ltsm.steps.check import check
from ltsm.steps.estimate import estimate
from ltsm.steps.rebuild import Rebuilding
from ltsm.steps.training import Setup, read_weights
from ltsm.store import artifacts, drop, read, schema
from ltsm.studies.recipe import Learned, Mask, Random, Recipe, effort
from ltsm.studies.study import RunKey, Study

PROTOCOL = SMALL.changed(seeds=(0, 1), held_out=200, hyperops=(), order="shuffled")
NETWORK = Network((64, 12, 6, 10), "relu")
BERNOULLI = Learned(method="bernoulli", lr=50.0, batch_size=100)
POPUP = Learned(
    method="edge_popup", lr=0.5, batch_size=64, schedule="cosine", decay=5e-4, keep=0.4, rescale=True
)


def recipe(mask, **more):
    values = {"hidden": (12, 6), "start": Random(("initial",)), "trains": "mask", "iterations": 120}
    return Recipe(**{**values, "mask": mask, **more})


RECIPES = {
    "drawn": recipe(BERNOULLI, keep=(50,)),
    "biases": recipe(Learned(method="bernoulli", lr=50.0, batch_size=100, covers="all", rescale=True)),
    "ranked": recipe(POPUP, kept="signed_constant"),
    "trained": recipe(Mask("drawn"), trains="weights", iterations=30),
    "control": recipe(Mask("ranked", "random"), trains="weights", iterations=30),
}
STUDY = Study(name="learning", title="", recipes=RECIPES)


def swept(path, **how):
    training._loaded.cache_clear()
    store = schema.open_for_writing(path)
    try:
        return execution(store, PROTOCOL, STUDY, **how).run()
    finally:
        store.close()
        training._loaded.cache_clear()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "ltsm.db"
    assert swept(path).failed == {}
    return path


@pytest.fixture
def opened(whole):
    store = schema.open_for_reading(whole)
    yield store
    store.close()


def runs(store, name):
    return [run for run in read.runs(store, 1) if run.recipe == name]


def weights(store, artifact):
    return read_weights(NETWORK, artifacts.read(store.folder, artifact))


@pytest.mark.parametrize("segments", [1, 3])
def test_a_sweep_stopped_after_every_few_segments_ends_with_the_same_bits(whole, tmp_path, segments):
    path = tmp_path / "ltsm.db"
    stopped_again_and_again(partial(swept, path), segments)
    assert results(path) == results(whole)


@pytest.mark.parametrize("name", ["drawn", "biases", "ranked"])
def test_records_have_density_and_what_drawn_masks_do(opened, name):
    """The last record's mask is the run's one mask, with its numbers; nothing is drawn where nothing is chance."""
    for run in runs(opened, name):
        records = read.metrics(opened, [run.id])[run.id]
        assert [r.iteration for r in records] == [*range(0, 130, 10)]
        (mask,) = read.masks(opened, 1, run_ids=[run.id], bits=True)
        last = records[-1]
        assert mask.selected
        assert (mask.amount, mask.amount_by) == (last.density, "fraction")
        assert (mask.val_loss, mask.val_accuracy) == (last.val_loss, last.val_accuracy)
        assert (mask.test_loss, mask.test_accuracy) == (last.test_loss, last.test_accuracy)
        drawn = [r.sampled_accuracy for r in records] + [r.sampled_test_accuracy for r in records]
        assert all(map(math.isnan if name == "ranked" else math.isfinite, drawn))
        assert last.train_loss < records[1].train_loss
        assert run.relative_size == mask.relative_size == sum(mask.layer_sizes) / NETWORK.parameters


def test_weights_that_are_trained_have_none_of_these(opened):
    for run in runs(opened, "trained"):
        for record in read.metrics(opened, [run.id])[run.id]:
            assert all(map(math.isnan, record[7:]))


def test_the_network_at_the_end_is_the_masks_with_the_initial_values(opened):
    """To the last bit: no weight has been trained, only left out."""
    for run in runs(opened, "drawn"):
        initial, final = weights(opened, run.initial), weights(opened, run.final)
        mask = unpack_bits(read.selected_mask(opened, run.id).bits, NETWORK.parameters)
        assert 0 < int(mask.sum()) < NETWORK.parameters
        assert torch.equal(final, initial.where(mask, 0.0))


def test_rescaled_constants_are_of_two_values_in_each_layer(opened):
    for run in runs(opened, "ranked"):
        final = weights(opened, run.final)
        for layer in NETWORK.layers:
            sizes = final[layer.weight].abs().unique()
            assert len(sizes) == 2
            assert sizes[0] == 0


def test_the_mask_is_one_that_others_take(opened):
    """A training of what it keeps, and a control with as many in each layer."""
    for seed in (0, 1):
        mask = read.selected_mask(opened, runs(opened, "drawn")[seed].id)
        trained, control = runs(opened, "trained")[seed], runs(opened, "control")[seed]
        assert read.selected_mask(opened, trained.id).bits == mask.bits
        kept = unpack_bits(mask.bits, NETWORK.parameters)
        assert not weights(opened, trained.final)[~kept].any()
        ranked = read.selected_mask(opened, runs(opened, "ranked")[seed].id)
        assert read.selected_mask(opened, control.id).layer_sizes == ranked.layer_sizes


def test_a_network_kept_in_between_is_the_one_of_that_iterations_mask(opened):
    for run in runs(opened, "drawn"):
        values = weights(opened, run.initial)
        kept = weights(opened, run.file("kept", 50))
        assert torch.equal(kept, values.where(kept != 0, 0.0))
        assert not torch.equal(kept, weights(opened, run.final))


def test_every_file_of_a_learned_mask_that_was_dropped_comes_again_bit_for_bit(whole, tmp_path):
    """Start values without any mask, and networks of the masks that were learned by then."""
    shutil.copytree(whole.parent, tmp_path, dirs_exist_ok=True)
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    shared, keys = experiment(store, PROTOCOL, STUDY)
    before = {run.id: run.files for run in read.runs(store, 1)}
    drop.drop_files(store, before, shared.now())
    assert not [*tmp_path.rglob("*.safetensors")]
    assert {*Rebuilding(shared, Here()).runs(keys)} == {*keys}
    after = read.runs(store, 1)
    assert {run.id: run.files for run in after} == before
    assert not any(run.dropped for run in after)
    for file in (file for run in after for file in run.files):
        artifacts.check(store.folder, file.artifact)
    store.close()


@pytest.mark.parametrize("name", ["drawn", "biases", "ranked"])
def test_an_exported_mask_loaded_elsewhere_does_as_recorded(whole, opened, tmp_path, name):
    """Of seed and mask alone: no value is in the file, whatever becomes of values and however they are rescaled."""
    setup = Setup(PROTOCOL, Path())
    engine = choose_engine(training.dataset(setup), NETWORK, PROTOCOL)
    for run in runs(opened, name):
        save_ticket(stored_ticket(str(whole), None, str(run.id), None), tmp_path / "mask.ticket")
        loaded = load_ticket(tmp_path / "mask.ticket")
        assert load_file(tmp_path / "mask.ticket").keys() == {"mask"}
        assert loaded.trained is None
        network = loaded.chain.flat(loaded.state)
        assert torch.equal(network, weights(opened, run.final))
        mask = read.selected_mask(opened, run.id)
        for on, accuracy in ((None, mask.val_accuracy), (training.test_set(setup), mask.test_accuracy)):
            assert engine.evaluate_parameters(network[None], on).accuracy == (accuracy,)


def test_diverged_scores_end_the_run(tmp_path):
    """Decayed by more than all of themselves, scores are soon no numbers: the run says so, and the others go on."""
    wild = {"wild": recipe(Learned(method="edge_popup", lr=100.0, batch_size=100, decay=1.0))}
    wild["ranked"] = RECIPES["ranked"]
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    training._loaded.cache_clear()
    protocol = PROTOCOL.changed(seeds=(0,))
    execution(store, protocol, Study(name="wild", title="", recipes=wild)).run()
    states = {run.recipe: run.state for run in read.runs(store, 1)}
    store.close()
    training._loaded.cache_clear()
    assert states == {"wild": "diverged", "ranked": "done"}


REFUSED = {
    "lr 0: it must be above 0": Learned(method="bernoulli", lr=0, batch_size=10),
    "batch_size 0": Learned(method="bernoulli", lr=1, batch_size=0),
    "momentum 1": Learned(method="bernoulli", lr=1, batch_size=10, momentum=1),
    "decay -1": Learned(method="bernoulli", lr=1, batch_size=10, decay=-1),
    "keep 0": Learned(method="edge_popup", lr=1, batch_size=10, keep=0),
    "has the method 'none': there are bernoulli, edge_popup": Learned(method="none", lr=1, batch_size=10),
    "has the schedule 'none': there are constant, cosine": Learned(
        method="bernoulli", lr=1, batch_size=10, schedule="none"
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_no_worker_could_train_is_refused(words):
    with pytest.raises(UsageError, match=words):
        check(Study(name="refused", title="", recipes={"one": recipe(REFUSED[words])}), PROTOCOL)


@pytest.mark.parametrize(
    "more", [{"trains": "weights"}, {"mask": None}, {"pruned": "initial"}], ids=lambda more: next(iter(more))
)
def test_a_mask_that_is_learned_and_one_that_is_trained_go_together(more):
    with pytest.raises(UsageError, match=r"Learned|learns its mask"):
        Study(
            name="refused",
            title="",
            recipes={"one": recipe(BERNOULLI, **more)} if "mask" not in more else {"one": recipe(None)},
        )


def test_the_estimate_of_disk_has_values_network_and_mask():
    """And a time, by the engine that will train the mask."""
    found = estimate(Setup(PROTOCOL, Path()), STUDY, [RunKey("drawn", 0)], 1)
    assert found.bytes > 2 * 4 * NETWORK.parameters + NETWORK.parameters // 8
    assert found.seconds > 0


def test_an_iteration_of_a_mask_is_taken_to_be_longer_and_the_more_so_the_larger_its_batch():
    assert effort((12, 6)) < effort((12, 6), POPUP) < effort((12, 6), BERNOULLI)

"""A test set beside held-out validation images: it is measured everywhere, and decides nothing."""

import math

import pytest
from small import SMALL, execution

from ltsm.core import datasets
from ltsm.steps import plan, training
from ltsm.store import read, schema
from ltsm.studies import paper

HELD_OUT = SMALL.changed(seeds=(0,), held_out=200, initialisation="glorot_normal", biases="zero")
CHAIN = plan.keys((paper.INITIAL, paper.BASELINE, paper.SUPERMASK, paper.TICKET), (0,))


def swept(path, protocol=HELD_OUT):
    """Records and masks by run, and the digests of all files."""
    training._loaded.cache_clear()
    store = schema.open_for_writing(path)
    try:
        execution(store, protocol, runs=CHAIN).run()
        runs = read.runs(store, 1)
        metrics = read.metrics(store, [run.id for run in runs])
        files = {run.recipe: [f.artifact.sha256 for f in run.files] for run in runs}
        return metrics, read.masks(store, 1, bits=True), files, [run.best_iteration for run in runs]
    finally:
        store.close()
        training._loaded.cache_clear()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("held-out") / "ltsm.db")


def test_every_record_and_every_mask_is_tested(found):
    metrics, masks, _, _ = found
    records = [record for some in metrics.values() for record in some]
    assert records
    assert masks
    for one in [*records, *masks]:
        assert math.isfinite(one.test_loss)
        assert 0 <= one.test_accuracy <= 1
        assert (one.test_loss, one.test_accuracy) != (one.val_loss, one.val_accuracy)
    assert max(record.test_accuracy for record in records) > 0.8


def test_the_test_set_selects_nothing(found, tmp_path, monkeypatch):
    """With every test label another one, all is the same to the last bit but what is measured on it."""
    load = datasets.load_sets

    def mislabelled(*args, **how):
        data, test = load(*args, **how)
        return data, datasets.TestSet(test.images, (test.labels + 1) % 10)

    monkeypatch.setattr(datasets, "load_sets", mislabelled)
    metrics, masks, files, best = swept(tmp_path / "ltsm.db")
    nothing = {"test_loss": 0.0, "test_accuracy": 0.0}
    assert (files, best) == found[2:]
    assert [m._replace(**nothing) for m in masks] == [m._replace(**nothing) for m in found[1]]
    assert [m.test_accuracy for m in masks] != [m.test_accuracy for m in found[1]]
    for run, records in metrics.items():
        stripped = [[r._replace(**nothing) for r in some] for some in (records, found[0][run])]
        assert repr(stripped[0]) == repr(stripped[1])


def test_without_one_nothing_is_tested(tmp_path):
    metrics, masks, _, _ = swept(tmp_path / "ltsm.db", HELD_OUT.changed(held_out=None))
    assert all(math.isnan(record.test_loss) for some in metrics.values() for record in some)
    assert all(math.isnan(mask.test_accuracy) for mask in masks)

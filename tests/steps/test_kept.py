"""Weights at an iteration in the middle of a training, kept for others to start from."""

from functools import partial

import pytest
from small import SMALL, Silent, execution, stopped_again_and_again

from ltsm.errors import InterruptedRunError
from ltsm.store import artifacts, read, schema
from ltsm.studies.recipe import Random, Recipe, Weights
from ltsm.studies.study import Study

PROTOCOL = SMALL.changed(seeds=(0, 1), hyperops=())


def trained(iterations, start=None, **more):
    return Recipe(hidden=(5,), start=start or Random(("kept",)), iterations=iterations, **more)


STUDY = Study(
    name="kept",
    title="",
    recipes={
        "long": trained(200, keep=(50, 100, 200)),
        "short": trained(50),
        "half": trained(100),
        "on": trained(60, Weights("long", 50)),
        "from the end": trained(60, Weights("long")),
        "from its last": trained(60, Weights("long", 200)),
        "from the short one's end": trained(60, Weights("short")),
    },
)


def swept(path, protocol=PROTOCOL, study=STUDY, **how):
    store = schema.open_for_writing(path)
    try:
        return execution(store, protocol, study, **how).run()
    finally:
        store.close()


def files(path):
    """The digest of every file of every run, by recipe, seed, role and iteration; each is the one that was written."""
    store = schema.open_for_reading(path)
    found = {}
    for run in read.runs(store):
        for file in run.files:
            artifacts.read(store.folder, file.artifact)
            found[run.recipe, run.seed, file.role, file.iteration] = file.artifact.sha256
    store.close()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "ltsm.db"
    assert swept(path).failed == {}
    return files(path)


@pytest.mark.parametrize("seed", [0, 1])
def test_kept_weights_are_those_that_a_training_of_that_length_ends_with(whole, seed):
    assert whole["long", seed, "kept", 50] == whole["short", seed, "final", 50]
    assert whole["long", seed, "kept", 100] == whole["half", seed, "final", 100]
    assert whole["long", seed, "kept", 200] == whole["long", seed, "final", 200]
    assert [key[3] for key in whole if key[:3] == ("long", seed, "kept")] == [50, 100, 200]


def test_nothing_else_is_kept(whole):
    assert {key[0] for key in whole if key[2] == "kept"} == {"long"}
    assert {key[2] for key in whole} == {"initial", "final", "kept"}


@pytest.mark.parametrize("seed", [0, 1])
def test_another_recipe_starts_from_them(whole, seed):
    """Bit for bit, and so it ends with what one from the same values ends with."""
    assert whole["on", seed, "initial", 0] == whole["long", seed, "kept", 50]
    assert whole["on", seed, "final", 60] == whole["from the short one's end", seed, "final", 60]
    assert whole["from its last", seed, "final", 60] == whole["from the end", seed, "final", 60]


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_they_survive_being_stopped(whole, tmp_path, segments):
    path = tmp_path / "ltsm.db"
    stopped_again_and_again(partial(swept, path), segments)
    assert files(path) == whole


def test_runs_side_by_side_keep_the_same(whole, tmp_path):
    swept(tmp_path / "ltsm.db", lane=2)
    assert files(tmp_path / "ltsm.db") == whole


def test_a_step_back_from_a_damaged_checkpoint_keeps_the_same(whole, tmp_path):
    path, watcher = tmp_path / "ltsm.db", Silent()
    with pytest.raises(InterruptedRunError):
        swept(path, watcher=watcher, stop=lambda: 130 if len(watcher.events) >= 3 else 0)
    *_, last = sorted(path.parent.rglob("checkpoint-*"), key=lambda p: int(p.stem.split("-")[1]))
    last.write_bytes(b"")
    swept(path)
    assert files(path) == whole


def test_without_those_weights_a_run_fails_alone(tmp_path):
    """The training that was to keep them diverged before: what needs them fails, and everything else goes on."""
    wild, path = PROTOCOL.changed(lr=1e30), tmp_path / "ltsm.db"
    study = Study(
        name="wild",
        title="",
        recipes={
            "long": trained(300, keep=(250,)),
            "on": trained(60, Weights("long", 250)),
            "other": trained(50),
        },
    )
    for _ in range(2):
        outcome = swept(path, wild, study, keep_going=True)
        assert {run.recipe for run in outcome.failed} == {"on"}
        assert all("long has no weights of iteration 250" in words for words in outcome.failed.values())
    store = schema.open_for_reading(path)
    states = {(run.recipe, run.seed): run.state for run in read.runs(store)}
    assert {states["on", seed] for seed in (0, 1)} == {"failed"}
    assert {states[name, seed] for name in ("long", "other") for seed in (0, 1)} <= {"done", "diverged"}
    store.close()

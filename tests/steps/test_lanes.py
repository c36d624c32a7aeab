"""Lanes: runs that one worker advances side by side are the same runs; on the CPU they are so to the last bit."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from small import SMALL, Here, Silent, execution, results, stopped_again_and_again

from ltsm.core import engine
from ltsm.core.cuda_engine import CudaEngine
from ltsm.core.network import Network, initial_values
from ltsm.core.state import apart, fresh_state, pack, side_by_side
from ltsm.errors import InterruptedRunError, RunError
from ltsm.steps import lanes
from ltsm.steps.worker import WorkerDiedError
from ltsm.store import read, schema
from ltsm.studies import paper
from ltsm.studies.study import RunKey

THREE = SMALL.changed(seeds=(0, 1, 2))
FIRST = [RunKey(paper.INITIAL, seed) for seed in THREE.seeds]


def swept(path, protocol=THREE, lane=3, **how):
    store = schema.open_for_writing(path)
    try:
        return execution(store, protocol, lane=lane, **how).run()
    finally:
        store.close()


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory):
    """Three seeds' evaluation, one run after the other."""
    path = tmp_path_factory.mktemp("one-by-one") / "ltsm.db"
    swept(path, lane=1)
    return results(path)


@pytest.fixture
def lengths(monkeypatch):
    """How many runs were advanced at once, call by call."""
    found, original = [], lanes.train_together

    def counting(setup, states, until, ends, **how):
        found.append(len(states))
        return original(setup, states, until, ends, **how)

    monkeypatch.setattr(lanes, "train_together", counting)
    return found


def test_runs_side_by_side_are_those_one_by_one(one_by_one, lengths, tmp_path):
    """Baselines among them, which end at different iterations: the others of the lane go on."""
    swept(tmp_path / "ltsm.db")
    assert results(tmp_path / "ltsm.db") == one_by_one
    assert max(lengths) == 3
    assert min(lengths) < 3


@pytest.mark.parametrize("segments", [1, 4, 11])
def test_a_stopped_lane_ends_with_the_same_bits(one_by_one, tmp_path, segments):
    path = tmp_path / "ltsm.db"
    stopped_again_and_again(partial(swept, path), segments)
    assert results(path) == one_by_one


def test_runs_at_different_iterations_do_not_train_together(one_by_one, lengths, tmp_path):
    """Seed 0 is 100 iterations ahead of the lane that it joins: there it trains apart, and the two others together."""
    path, watcher = tmp_path / "ltsm.db", Silent()
    with pytest.raises(InterruptedRunError):
        swept(path, lane=1, watcher=watcher, stop=lambda: 130 * (len(watcher.events) >= 2))
    swept(path, runs=FIRST)
    assert lengths == [1, 2, 1, 2, 2]
    swept(path)
    assert results(path) == one_by_one


def test_diverging_runs_of_a_lane_are_recorded_as_such(tmp_path):
    wild = THREE.changed(lr=1e30)
    for lane in (1, 3):
        swept(tmp_path / str(lane) / "ltsm.db", wild, lane=lane)
    found = results(tmp_path / "3" / "ltsm.db")
    assert found == results(tmp_path / "1" / "ltsm.db")
    assert "diverged" in {values[0] for values in found.values()}


class Faulty(Here):
    """Raises an error in the first calls that advance several runs."""

    def __init__(self, error, times):
        self._error, self._times = error, times

    def submit(self, fn, /, *args, **kwargs):
        if fn is lanes.together and self._times:
            self._times -= 1
            return super().submit(self._raise)
        return super().submit(fn, *args, **kwargs)

    def _raise(self):
        raise self._error


def test_a_lane_fails_as_a_whole_and_is_tried_again(one_by_one, tmp_path):
    path = tmp_path / "ltsm.db"
    outcome = swept(path, workers=[Faulty(RunError("out of memory"), 1)], keep_going=True)
    assert set(outcome.failed) == set(FIRST)
    done = {key[1] for key, values in results(path).items() if values[0] == "done"}
    assert done == {paper.hyperop(hidden) for hidden in THREE.hyperops}
    swept(path)
    assert results(path) == one_by_one


def test_a_lane_whose_worker_died_is_tried_once_more(one_by_one, tmp_path):
    path = tmp_path / "ltsm.db"
    outcome = swept(path, workers=[Faulty(WorkerDiedError("the worker process 7 died."), 1)])
    assert outcome.failed == {}
    assert results(path) == one_by_one


def test_the_gpus_engine_serves_the_whole_method(one_by_one, tmp_path, monkeypatch):
    """Worked out on the CPU: the same runs but for the order of additions, which only the first records do not magnify."""

    class OnCpu(CudaEngine):
        @classmethod
        def refusal(cls, *_):
            return ""

    monkeypatch.setattr(engine, "ENGINES", (OnCpu,))
    path = tmp_path / "ltsm.db"
    swept(path)
    assert {values[0] for values in results(path).values()} == {"done"}
    assert results(path).keys() == one_by_one.keys()
    store = schema.open_for_reading(path)
    run = read.find_run(store, 1, paper.study(THREE).fingerprints()[paper.INITIAL], 2)
    found = read.metrics(store, [run.id])[run.id][:3]
    store.close()
    assert run.device == "cuda"
    expected = one_by_one[2, paper.INITIAL][7]
    assert expected.count("Metric") == 31
    for metric, text in zip(found, expected.split("Metric")[1:], strict=False):
        assert metric.val_loss == pytest.approx(float(text.split("val_loss=")[1].split(",")[0]), rel=1e-3)


def test_on_a_cpu_a_lane_is_one_run():
    assert lanes.lane_size("cpu") == 1
    assert lanes.lane_size("cuda") == lanes.lane_size("cuda:1") == lanes.MOST_SIDE_BY_SIDE


def fresh(seed, masked=False, sizes=(5, 4, 3)):
    network = Network(sizes)
    initial = initial_values(network, seed, "test")[None]
    return fresh_state(network, (seed,), initial, initial > 0 if masked else None)


@pytest.mark.parametrize("masked", [False, True])
def test_states_apart_are_those_that_were_put_side_by_side(masked):
    states = [fresh(seed, masked) for seed in (3, 1, 2)]
    assert [pack(state) for state in apart(side_by_side(states))] == list(map(pack, states))


@pytest.mark.parametrize(
    "other", [fresh(1, masked=True), fresh(1, sizes=(5, 3, 3)), replace(fresh(1), iteration=1)]
)
def test_states_that_do_not_fit_are_not_put_side_by_side(other):
    with pytest.raises(ValueError, match="Network"):
        side_by_side([fresh(0), other])


def test_putting_side_by_side_copies():
    state = fresh(0)
    joined = side_by_side([state])
    joined.parameters.zero_()
    assert torch.count_nonzero(state.parameters)

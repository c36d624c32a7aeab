"""The benchmark's structure: that it compares the same work and adds up right. No test looks at a time."""

import itertools
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from evaluating import evaluate
from small import SMALL

from ltsm.bench import benchmark, contestants, jax_loop, measurement, scale
from ltsm.bench.contestants import CarefulLoop, PlainLoop
from ltsm.bench.jax_loop import JaxLoop
from ltsm.bench.mask_contestants import CarefulMaskLoop, _ranked
from ltsm.bench.measurement import Effort, Result, Timing
from ltsm.core.engine import refusals
from ltsm.core.learned import METHODS
from ltsm.core.mask_engine import MASK_ENGINES
from ltsm.core.network import Network, flat_parameters, initial_values
from ltsm.core.state import fresh_state
from ltsm.core.torch_engine import TorchEngine
from ltsm.steps import machine
from ltsm.steps.training import Setup, dataset, network
from ltsm.studies.learned import OF

PLACE = Setup(SMALL, Path())
QUICK = Effort(seconds=0.002, repeats=2)


@pytest.fixture(autouse=True)
def quick_peak(monkeypatch):
    monkeypatch.setattr(benchmark, "PEAK_SECONDS", 0.001)
    monkeypatch.setitem(machine.PRODUCT, "cpu", 32)


@pytest.fixture
def told():
    return []


@pytest.fixture
def result(told):
    return benchmark.benchmark(PLACE, QUICK, told.append)


def test_both_loops_and_every_engine_that_serves_are_measured_in_every_round(result, told):
    serving = [
        name for name, why in refusals(dataset(PLACE), network(PLACE, (12, 6)), SMALL).items() if not why
    ]
    names = [one.name for one in result.contestants]
    loops = ["plain PyTorch loop", "careful PyTorch loop", *(["JAX program"] if find_spec("jax") else [])]
    assert names == [*loops, *(f"ltsm {name}" for name in serving)]
    assert [len(result.timings[one]) for one in result.contestants] == [2] * len(names)
    assert len(told) == 1 + 2 * len(names)
    everyone = {"JAX program", *(f"ltsm {name}" for name in refusals(dataset(PLACE), result.network, SMALL))}
    assert set(result.left_out) == everyone - set(names)
    assert all(why.endswith(".") for why in result.left_out.values())


@pytest.mark.parametrize("method", list(OF))
def test_masks_are_trained_by_a_loop_and_by_every_engine_that_serves(method):
    learned = replace(OF[method], rescale=False)
    result = benchmark.benchmark(PLACE, QUICK, lambda _: None, learned)
    names = [one.name for one in result.contestants]
    assert names[0] == "careful PyTorch loop"
    assert {*names[1:], *result.left_out} == {f"ltsm {kind.name}" for kind in MASK_ENGINES}
    assert "sweep_seconds" not in measurement.as_json(result)["contestants"][0]


@pytest.mark.parametrize("method", list(OF))
def test_the_loop_for_masks_learns_a_mask_and_no_weight(method):
    """At four times the rate at which digits are learned, so that it shows within a hundred steps."""
    torch.manual_seed(0)
    learned = replace(OF[method], lr=4 * OF[method].lr, batch_size=100)
    loop = CarefulMaskLoop(dataset(PLACE), network(PLACE, (64, 32)), learned, "cpu")
    before = [part.weight.clone() for part in loop._network if hasattr(part, "weight")]
    loop.train(10)
    early = loop.loss
    loop.train(100)
    assert loop.loss < 0.99 * early
    after = [part.weight for part in loop._network if hasattr(part, "weight")]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_loop_ranks_as_edge_popup_does():
    """As many are kept, and the same ones, where no two magnitudes are the same."""
    scores = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
    _, kept = _ranked(scores, 0.3)
    assert torch.equal(kept.flatten(), METHODS["edge_popup"].mask(scores.flatten(), 0.3, None))


@pytest.fixture
def without_jax(monkeypatch):
    monkeypatch.setattr(jax_loop, "find_spec", lambda _: None)


def test_where_jax_is_missing_it_is_left_out_with_the_way_to_get_it(without_jax, told):
    result = benchmark.prepared(PLACE, QUICK)
    assert result.left_out["JAX program"] == "JAX is not installed: pip install 'jax>=0.4.30'."
    assert "jax" not in result.rivals


def test_jax_is_measured_on_the_cpu_in_file_order_alone():
    assert "not on cuda" in jax_loop.absence("cuda", "file")
    assert "not in shuffled order" in jax_loop.absence("cpu", "shuffled")


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_the_jax_program_trains_as_the_engines_do(activation):
    """From the same values, on the same batches: losses and evaluations are those of the torch engine."""
    pytest.importorskip("jax")
    p = replace(SMALL, activation=activation, train_size=23 * 60)  # its last batch is always whole
    data = dataset(replace(PLACE, protocol=p))
    net = replace(network(PLACE, SMALL.hidden), activation=activation)
    jax, torchs = JaxLoop(data, net, p), TorchEngine(data, net, p, "cpu")
    torchs.load(fresh_state(net, (0,), initial_values(net, 0, "benchmark")[None]))
    torchs.train(21)  # as JAX did to compile
    for until, iterations in (
        (22, 1),
        (44, 22),
    ):  # beyond an epoch's 24 batches, of which the last one is whole, too
        jax.train(iterations)
        assert jax.loss == pytest.approx(torchs.train(until)[0], rel=1e-4)
    found = torchs.evaluate()
    assert jax.evaluate() == pytest.approx((found.loss[0], found.accuracy[0]), rel=1e-4)


def test_its_json_is_json_and_has_both_ratios(result):
    found = json.loads(json.dumps(measurement.as_json(result), allow_nan=False))
    for kind in ("plain", "careful"):
        low, high = found["ratio_ranges"][kind]
        assert 0 < low <= found["ratios"][kind] <= high
    assert found["best"] in [row["name"] for row in found["contestants"] if row["kind"] == "ltsm"]
    for row in found["contestants"]:
        rate = row["model_iterations_per_second"]
        assert 0 < rate["low"] <= rate["median"] <= rate["high"]
        assert row["sweep_seconds"] > 0 < row["share_of_peak"]


def test_the_number_of_threads_is_what_it_was(result):
    before = torch.get_num_threads()
    with benchmark.threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def made_up(timings, *, threads=1):
    """A result in which each kind has the timings that are given for it."""

    class Someone:
        models = 1

        def __init__(self, kind):
            self.kind = self.name = kind
            self.threads = 1 if kind == "ltsm" else threads

    protocol = replace(SMALL, record_every=100, batch_size=60)
    found = {Someone(kind): [Timing(*t) for t in rounds] for kind, rounds in timings.items()}
    return Result(
        replace(PLACE, protocol=protocol), Network((64, 12, 6, 10)), QUICK, list(found), found, [1e9]
    )


THREE_ROUNDS = {
    "plain": [(0.02, 2.0), (0.04, 4.0), (0.02, 2.0)],
    "careful": [(0.001, 0.1), (0.002, 0.2), (0.001, 0.1)],
    "ltsm": [(0.0002, 0.02), (0.0004, 0.04), (0.0001, 0.01)],
}


def test_a_ratio_is_the_median_of_the_rounds_evaluations_included(monkeypatch):
    """In the second round everything took twice as long: its ratio is that of the first."""
    monkeypatch.setattr(measurement, "cores", lambda: 1)
    result = made_up(THREE_ROUNDS)
    assert result.ratio("plain") == pytest.approx((100, 100, 200))
    assert result.ratio("careful") == pytest.approx((5, 5, 10))


def test_a_loop_that_needs_all_cores_is_compared_with_one_process_a_core(monkeypatch):
    monkeypatch.setattr(measurement, "cores", lambda: 2)
    assert made_up(THREE_ROUNDS, threads=2).ratio("plain").median == pytest.approx(200)
    assert made_up(THREE_ROUNDS, threads=1).ratio("plain").median == pytest.approx(100)


def test_the_sweep_is_all_runs_and_searches_of_the_protocol(monkeypatch):
    """Two seeds of 300 + 75 + 200 + 2 · 200 iterations and 11 thresholds each."""
    monkeypatch.setattr(measurement, "cores", lambda: 2)
    result = made_up({"ltsm": [(0.01, 1.0)]})
    assert result.sweep_seconds(result.contestants[0]) == pytest.approx((2 * 975 * 0.02 + 2 * 11 * 1.0) / 2)


def test_operations_are_those_of_dense_layers(monkeypatch):
    """Three products a layer and iteration, but two for the first layer, and one per image evaluated."""
    products = 64 * 12 + 12 * 6 + 6 * 10
    step = 2 * 60 * (3 * products - 64 * 12)
    images = len(dataset(PLACE).validation_labels)
    assert measurement.operations(made_up({})) == pytest.approx(step + 2 * images * products / 100)


def loops(threads=1):
    """Both loops on the same network with the same values."""
    net, data = network(PLACE, SMALL.hidden), dataset(PLACE)
    train, validation = contestants.one_by_one("digits", Path())
    plain = PlainLoop(train, validation, net, SMALL, "cpu", threads)
    careful = CarefulLoop(data, net, SMALL, "cpu", threads)
    plain._network.load_state_dict(careful._network.state_dict())
    return plain, careful


def test_the_loops_train_on_the_same_images_in_the_same_order():
    """Digits reach 16 and ToTensor divides by 255: the first layer of the one is scaled to meet the other."""
    plain, careful = loops()
    for tensor, index in zip(careful._batches, range(30), strict=False):
        images, labels = next(plain._batches)
        assert torch.allclose(images.flatten(1) * 255 / 16, tensor[0])
        assert torch.equal(labels, tensor[1])
        assert index < 30


def test_where_order_is_shuffled_the_careful_loop_sees_every_image_once_an_epoch():
    """In another order each time."""
    data = dataset(PLACE)
    loop = CarefulLoop(data, network(PLACE, SMALL.hidden), replace(SMALL, order="shuffled"), "cpu", 1)
    epochs = [torch.cat([labels for _, labels in itertools.islice(loop._batches, 24)]) for _ in range(2)]
    assert not torch.equal(*epochs)
    assert all(torch.equal(seen.sort().values, data.train_labels.sort().values) for seen in epochs)


def test_the_loops_learn():
    torch.manual_seed(0)  # their networks are drawn by torch, and the data is shuffled by it
    for loop in loops():
        loop.train(10)
        early = loop.loss
        loop.train(100)
        loop.train(10)
        assert loop.loss < early
        loss, accuracy = loop.evaluate()
        assert 0 < loss < 2.4
        assert accuracy > 0.2


def test_the_careful_loop_evaluates_as_the_engines_do():
    _, careful = loops()
    net = network(PLACE, SMALL.hidden)
    state = careful._network.state_dict()
    names = {f"{int(name.split('.')[0]) - 1}.{name.split('.')[1]}": value for name, value in state.items()}
    found = evaluate(dataset(PLACE), net, SMALL, flat_parameters(net, names)[None])
    assert careful.evaluate() == pytest.approx((found.loss[0], found.accuracy[0]), rel=1e-5)


def test_short_calls_find_out_how_many_fill_the_time(monkeypatch):
    """At 1 ms each by a clock that only these calls move, the last call takes the 0.5 s that are allowed."""
    made = []
    monkeypatch.setattr(machine.time, "perf_counter", lambda: sum(made) / 1000)
    assert machine.seconds_each(made.append, 0.5) == pytest.approx(0.001)
    assert made == [1, 10, 100, 500]


def test_what_takes_longer_than_is_allowed_is_made_once(monkeypatch):
    made = []
    monkeypatch.setattr(machine.time, "perf_counter", lambda: sum(made) * 2.0)
    assert machine.seconds_each(made.append, 0.5) == 2
    assert made == [1]


def test_scale_changes_one_thing_at_a_time():
    found = list(scale.cases(PLACE, 1_400))
    assert [what for what, _ in itertools.groupby(case.what for case in found)] == [
        "seeds",
        "width of the first layer",
        "images a batch",
        "training images",
    ]
    for case in found:
        changed = {
            name
            for name in ("hidden", "batch_size", "train_size")
            if getattr(case.setup.protocol, name) != getattr(SMALL, name)
        }
        assert len(changed) <= 1


def test_the_cost_of_a_case_is_that_of_all_its_seeds():
    case = next(scale.cases(PLACE, 1_400))
    line = scale.Line(replace(case, seeds=3), scale.cost(case.setup, 3))
    assert line.cost.seconds > 0
    assert line.cost.memory > 2**20
    assert line.training_seconds == pytest.approx(line.cost.seconds * 3 * SMALL.iterations)


def test_the_table_of_scale_is_markdown():
    lines = [
        scale.Line(case, scale.Cost(0.001, 2**30)) for case in itertools.islice(scale.cases(PLACE, 1_400), 4)
    ]
    rows = scale.table(lines).splitlines()
    assert rows[0].startswith("| | | µs per model-iteration | 200 iterations of each")
    assert rows[2] == "| seeds | 1 | 1,000 | 0.2 s | 1,024 MiB |"
    assert rows[3] == "|  | 10 | 1,000 | 2.0 s | 1,024 MiB |"
    assert len({row.count("|") for row in rows}) == 1


def test_a_machine_says_what_slows_it(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(machine, "load", lambda: 0.0)
    monkeypatch.setattr(machine, "_nvidia", lambda: False)
    monkeypatch.setattr(machine, "_quota", lambda: float("inf"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.slow_reasons(2) == []
    assert "4 threads on 2 cores" in machine.slow_reasons(4)[0]
    monkeypatch.setattr(machine, "load", lambda: 3.0)
    assert "load was 3.0" in machine.slow_reasons(2)[0]
    monkeypatch.setattr(machine, "_nvidia", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "built for the CPU alone" in machine.slow_reasons(2)[1]
    monkeypatch.setattr(machine, "_quota", lambda: 1.5)
    assert any("1.5 of its 2 cores" in why for why in machine.slow_reasons(2))

"""The parts of `python -m ltsm.bench.gpu`: each gives lines of plain JSON values as it goes.

Imports nothing that a bare machine with torch, numpy and safetensors lacks.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from time import perf_counter
from typing import TYPE_CHECKING, get_args

import torch
from torch.utils.data import TensorDataset

from ltsm.bench.contestants import CarefulLoop, Ours, PlainLoop
from ltsm.bench.gpu_case import about, start
from ltsm.bench.gpu_whole import whole
from ltsm.core.cuda_engine import CudaEngine
from ltsm.core.state import pack
from ltsm.core.torch_engine import TorchEngine
from ltsm.settings import Activation, Order
from ltsm.steps.machine import seconds_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ltsm.bench.contestants import Contestant
    from ltsm.bench.gpu_case import Bench, Line
    from ltsm.core.engine import Engine
    from ltsm.core.state import TrainState

FEW = 3_250
"""Images of the agreement: 54 batches of 60 and one of 10, so that its 100 iterations see every kind of batch."""
SMOOTH_AND_NOT: tuple[Activation, ...] = ("tanh", "relu")
MODELS = 5
MOST_DIFFERENT = 1e-4
LOOKED_AT = 25
"""Kernels of an iteration that are listed, those that take longest first."""


def agreement(bench: Bench) -> Iterator[Line]:
    """100 iterations beside the CPU's, for both orders, dense and pruned; and the bits of two segments for one."""
    yield about(bench)
    few = replace(
        bench.data, train_images=bench.data.train_images[:FEW], train_labels=bench.data.train_labels[:FEW]
    )
    for activation, order, masked in product(SMOOTH_AND_NOT, get_args(Order), (False, True)):
        case = replace(bench, data=few, protocol=replace(bench.protocol, order=order, activation=activation))
        state = start(case, case.protocol.hidden, MODELS, masked=masked)
        yield {"activation": activation, "order": order, "masked": masked} | _agreement(case, state)


def _agreement(bench: Bench, state: TrainState) -> Line:
    """All models must agree where the activation is smooth.

    With ReLU a sum that is 0 but for rounding sends some on ways of their own, on two CPU engines as well: then half.
    """
    mine, loss = _trained(CudaEngine, bench, bench.device, state, 100)
    theirs, expected = _trained(TorchEngine, bench, "cpu", state, 100)
    part, _ = _trained(CudaEngine, bench, bench.device, state, 40)
    halves, _ = _trained(CudaEngine, bench, bench.device, part, 100)
    differences = sorted((mine.parameters - theirs.parameters).abs().amax(1).tolist())
    judged = differences[-1] if bench.protocol.activation == "tanh" else differences[MODELS // 2]
    pruned = (
        0 if state.masks is None else mine.parameters.view(torch.int32)[~state.masks].count_nonzero().item()
    )
    return {
        "holds": judged <= MOST_DIFFERENT and pruned == 0,
        "largest_difference_of_each_model": differences,
        "loss_difference": max(abs(a - b) for a, b in zip(loss, expected, strict=True)),
        "pruned_not_zero": pruned,
        "two_segments_give_the_same_bits": pack(halves) == pack(mine),
    }


def _trained(
    kind: type[Engine], bench: Bench, device: str, state: TrainState, until: int
) -> tuple[TrainState, tuple[float, ...]]:
    engine = kind(bench.data, state.network, bench.protocol, device)
    engine.load(state)
    loss = engine.train(until)
    return engine.state(), loss


def shapes(bench: Bench, which: int) -> Iterator[Line]:
    """Every shape of the evaluation with its evaluations, and what they come to for the whole of it."""
    models, p = bench.models[which], bench.protocol
    each: dict[tuple[int, ...], float] = {}
    for hidden in p.hyperops:
        line = _timed(bench, start(bench, hidden, models))
        each[hidden] = line["us_with_evaluations"]
        yield line
    ticket = _timed(bench, start(bench, p.hidden, models, masked=True))
    yield ticket
    shuffled = replace(bench, protocol=replace(p, order="shuffled"))
    yield {"order": "shuffled"} | _timed(shuffled, start(shuffled, p.hidden, models))
    initial = (p.initial_iterations + p.initial_iterations // 4) * each[p.hidden]
    total = initial + p.iterations * (ticket["us_with_evaluations"] + sum(each.values()))
    yield {"models": models, "evaluation_seconds_without_searches": total / 1e6}


def _timed(bench: Bench, state: TrainState) -> Line:
    """Training and evaluation in turns, as `advance` does it, for the time of a measurement."""
    every, spent, evaluating, made = bench.protocol.record_every, 0.0, 0.0, 0
    engine = ready(bench, state)
    while spent + evaluating < bench.seconds:
        made += every
        began = perf_counter()
        engine.train(2 * every + made)
        between = perf_counter()
        engine.evaluate()
        spent, evaluating = spent + between - began, evaluating + perf_counter() - between
    return {
        "models": len(state.seeds),
        "sizes": state.network.sizes,
        "masked": state.masks is not None,
        "us_an_iteration": spent / made * 1e6,
        "ms_an_evaluation": evaluating / made * every * 1e3,
        "us_with_evaluations": (spent + evaluating) / made * 1e6,
        "memory": 0 if bench.device == "cpu" else torch.cuda.max_memory_allocated(bench.device),
    }


def ready(bench: Bench, state: TrainState) -> CudaEngine:
    """The engine with this state, its graphs recorded: they are at the second call."""
    engine = CudaEngine(bench.data, state.network, bench.protocol, bench.device)
    engine.load(state)
    for until in (1, 2):
        engine.train(until * bench.protocol.record_every)
        engine.evaluate()
    return engine


def rivals(bench: Bench) -> Iterator[Line]:
    """PyTorch loops as people write them, on the same device, and TorchEngine and CudaEngine, in two rounds."""
    data, p, device = bench.data, bench.protocol, bench.device
    net = bench.network(p.hidden)
    epoch = -(-len(data.train_images) // p.batch_size)
    plain = (
        TensorDataset(data.train_images, data.train_labels),
        TensorDataset(data.validation_images, data.validation_labels),
    )
    makers: list[Callable[[], Contestant]] = [
        lambda: PlainLoop(*plain, net, p, device, 1),
        lambda: CarefulLoop(data, net, p, device, 1),
        *(
            partial(Ours, kind(data, net, p, device), net, models, epoch)
            for models in (1, *bench.models)
            for kind in (TorchEngine, CudaEngine)
        ),
    ]
    contestants = [make() for make in makers]
    for _ in range(2):
        yield from (_measured(one, bench.seconds, p.record_every) for one in contestants)


def _measured(one: Contestant, seconds: float, every: int) -> Line:
    def evaluate(times: int) -> None:
        for _ in range(times):
            one.evaluate()

    iteration, evaluation = seconds_each(one.train, seconds / 2), seconds_each(evaluate, seconds / 4)
    return {
        "name": one.name,
        "models": one.models,
        "us_an_iteration": iteration * 1e6,
        "ms_an_evaluation": evaluation * 1e3,
        "model_iterations_a_second": one.models / (iteration + evaluation / every),
    }


def kernels(bench: Bench) -> Iterator[Line]:
    """What one iteration consists of on the device: each kernel with its calls and microseconds."""
    cases = [(bench.protocol.hidden, bench.models[0]), (bench.protocol.hyperops[1], bench.models[0])]
    for hidden, models in [*cases, (bench.protocol.hidden, bench.models[1])]:
        state = start(bench, hidden, models, masked=True)
        ready(bench, state)
        engine = CudaEngine(bench.data, state.network, bench.protocol, bench.device)
        engine.load(state)
        bench.wait()
        rows = _profiled(bench, lambda engine=engine: engine.train(1))  # type: ignore[misc]  # a loop's variable, bound
        yield {
            "models": models,
            "sizes": state.network.sizes,
            "kernels": sum(calls for _, calls, _ in rows),
            "us": sum(us for _, _, us in rows),
            "longest": [list(row) for row in rows[:LOOKED_AT]],
        }


def _profiled(bench: Bench, call: Callable[[], object]) -> list[tuple[str, int, float]]:
    """Name, calls and microseconds of what ran on the device, the longest first; on a CPU of operators."""
    from torch.profiler import ProfilerActivity, profile

    on_cpu = bench.device == "cpu"
    with profile(activities=[ProfilerActivity.CPU if on_cpu else ProfilerActivity.CUDA]) as found:
        call()
        bench.wait()
    time = "self_cpu_time_total" if on_cpu else "self_device_time_total"
    rows = [(event.key[:56], int(event.count), float(getattr(event, time))) for event in found.key_averages()]
    return sorted((row for row in rows if row[2] > 0), key=lambda row: -row[2])


def together(bench: Bench) -> Iterator[Line]:
    """All shapes at once, by threads, beside one after the other: seconds for the same work."""
    with ThreadPoolExecutor(4) as pool:  # graphs are recorded by threads that disturb each other, too
        lanes = list(pool.map(partial(_lane, bench), bench.protocol.hyperops))
    for threads in (1, 2, 4, len(lanes), 1):
        with ThreadPoolExecutor(threads) as pool:
            began = perf_counter()
            list(pool.map(partial(_records, bench), lanes))
        yield {
            "shapes": len(lanes),
            "models": bench.models[0],
            "threads": threads,
            "seconds": perf_counter() - began,
        }


def _lane(bench: Bench, hidden: tuple[int, ...]) -> Ours:
    net = bench.network(hidden)
    engine = CudaEngine(bench.data, net, bench.protocol, bench.device)
    return Ours(engine, net, bench.models[0], 3 * bench.protocol.record_every)


def _records(bench: Bench, lane: Ours) -> None:
    """Go on by five records, with their evaluations."""
    for _ in range(5):
        lane.train(bench.protocol.record_every)
        lane.evaluate()


PARTS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "agreement": agreement,
    "ten": partial(shapes, which=0),
    "whole_ten": partial(whole, which=0),
    "rivals": rivals,
    "kernels": kernels,
    "hundred": partial(shapes, which=1),
    "together": together,
    "whole_hundred": partial(whole, which=1),
}

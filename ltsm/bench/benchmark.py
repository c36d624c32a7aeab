"""`ltsm benchmark`: this program's engines beside PyTorch loops, on the paper's network, in one run."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter, process_time
from typing import TYPE_CHECKING

import torch

from ltsm.bench.contestants import CarefulLoop, Ours, PlainLoop, one_by_one
from ltsm.bench.jax_loop import NAME, JaxLoop, absence
from ltsm.bench.mask_contestants import CarefulMaskLoop, OurMasks
from ltsm.bench.measurement import Effort, Result, Timing
from ltsm.core.engine import ENGINES, check_device, choose_engine, refusals
from ltsm.core.mask_engine import MASK_ENGINES
from ltsm.core.mask_training import Course
from ltsm.steps.machine import cores, product_peak, seconds_each, slow_reasons
from ltsm.steps.training import Setup, dataset, network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ltsm.bench.contestants import Contestant
    from ltsm.studies.recipe import Learned

MODELS_ON_A_GPU = 10
"""How many an engine trains side by side there: the paper's seeds."""
LONG = 10**6
"""Iterations of a course that is only begun."""
PEAK_SECONDS = 0.3
WARM_UP = 0.1
"""The share of a contestant's time that its warm-up takes."""
UNDISTURBED = 0.95


def benchmark(
    setup: Setup, effort: Effort, say: Callable[[str], None], learned: Learned | None = None
) -> Result:
    """Measure every contestant in every round, so that whatever slows the machine slows all of them.

    Args:
        setup: the protocol and its data.
        effort: how much to measure.
        say: is told of each measurement.
        learned: masks are trained so, in place of weights.

    Raises:
        UsageError: this machine has no such device.
        DataError: the data is missing or damaged.
    """
    check_device(effort.device)
    warnings = slow_reasons(torch.get_num_threads(), effort.device)
    say("reads the data and warms up")
    result = prepared(setup, effort, learned)
    result.warnings = warnings
    for contestant in result.contestants:
        measured(contestant, effort.seconds * WARM_UP)
    wall, own = perf_counter(), process_time()
    for number in range(1, effort.repeats + 1):
        one_round(result, f"round {number} of {effort.repeats}", say)
    share = (process_time() - own) / (perf_counter() - wall)
    if effort.device == "cpu" and not effort.all_threads and share < UNDISTURBED:
        result.warnings.append(f"Only {share:.0%} of a core was free for this: other programs took the rest.")
    return result


def prepared(setup: Setup, effort: Effort, learned: Learned | None = None) -> Result:
    """All contestants, ready to train."""
    contestants, left_out = (
        weight_contestants(setup, effort) if learned is None else mask_contestants(setup, effort, learned)
    )
    return Result(
        setup=setup,
        network=network(setup, setup.protocol.hidden),
        effort=effort,
        contestants=contestants,
        timings={one: [] for one in contestants},
        left_out=left_out,
        learned=learned,
    )


def mask_contestants(
    setup: Setup, effort: Effort, learned: Learned
) -> tuple[list[Contestant], dict[str, str]]:
    """Who trains masks, and who was left out and why."""
    data, net, device = dataset(setup), network(setup, setup.protocol.hidden), effort.device
    course = Course(learned, len(data.train_images), setup.protocol.order, LONG)
    judge = choose_engine(data, net, setup.protocol, device)
    refused = {kind.name: kind.refusal(data, net, course, device) for kind in MASK_ENGINES}
    serving = [kind(data, net, course, device) for kind in MASK_ENGINES if not refused[kind.name]]
    loop: list[Contestant] = [CarefulMaskLoop(data, net, learned, device)]
    ours = [OurMasks(engine, judge, net, course) for engine in serving]
    return loop + ours, {f"ltsm {name}": why for name, why in refused.items() if why}


def weight_contestants(setup: Setup, effort: Effort) -> tuple[list[Contestant], dict[str, str]]:
    """Who trains weights, and who was left out and why."""
    protocol, device = setup.protocol, effort.device
    data, net = dataset(setup), network(setup, protocol.hidden)
    models = 1 if device == "cpu" else MODELS_ON_A_GPU
    refused = refusals(data, net, protocol, device)
    serving = [kind for kind in ENGINES if not refused[kind.name]]
    train, validation = one_by_one(protocol.dataset, setup.data)
    contestants: list[Contestant] = []
    for threads in [1, cores()] if effort.all_threads and cores() > 1 else [1]:
        contestants.append(PlainLoop(train, validation, net, protocol, device, threads))
        contestants.append(CarefulLoop(data, net, protocol, device, threads))
    without_jax = absence(device, protocol.order)
    contestants += [] if without_jax else [JaxLoop(data, net, protocol)]
    epoch = -(-len(data.train_images) // protocol.batch_size)
    contestants += [Ours(kind(data, net, protocol, device), net, models, epoch) for kind in serving]
    left_out = {f"ltsm {name}": why for name, why in refused.items() if why}
    return contestants, left_out | ({NAME: without_jax} if without_jax else {})


def one_round(result: Result, title: str, say: Callable[[str], None]) -> None:
    """Measure the peak and every contestant once."""
    with threads(1):
        result.peaks.append(product_peak(result.effort.device, PEAK_SECONDS))
    for one in result.contestants:
        timing = measured(one, result.effort.seconds)
        result.timings[one].append(timing)
        each = timing.with_evaluations(result.protocol.record_every)
        say(f"{title}: {one.name}, {each * 1e6:,.0f} µs an iteration with evaluations")


def measured(contestant: Contestant, seconds: float) -> Timing:
    """Training for half the time, evaluation for the other half."""

    def evaluate(times: int) -> None:
        for _ in range(times):
            contestant.evaluate()

    with threads(contestant.threads):
        iteration = seconds_each(contestant.train, seconds / 2)
        evaluation = seconds_each(evaluate, seconds / 2)
    return Timing(iteration / contestant.models, evaluation / contestant.models)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

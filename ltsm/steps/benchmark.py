"""`ltsm benchmark`: this program's engines beside PyTorch loops, on the paper's network, in one run."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ltsm.core.engine import ENGINES, check_device, refusals
from ltsm.steps import plan
from ltsm.steps.contestants import CarefulLoop, Ours, PlainLoop, one_by_one
from ltsm.steps.machine import cores, product_peak, seconds_each, slow_reasons
from ltsm.steps.training import Place, dataset, network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ltsm.core.network import Network
    from ltsm.protocol import Protocol
    from ltsm.steps.contestants import Contestant, Kind

MODELS_ON_A_GPU = 10
"""How many an engine trains side by side there: the paper's seeds."""
PEAK_SECONDS = 0.3
WARM_UP = 0.1
"""The share of a contestant's time that its warm-up takes."""
UNDISTURBED = 0.95


class Spread(NamedTuple):
    """A median over the rounds, with the smallest and the largest value."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Timing:
    """One round of one contestant, in seconds per model.

    Attributes:
        iteration: of one training iteration.
        evaluation: of one evaluation on the whole validation set.
    """

    iteration: float
    evaluation: float

    def with_evaluations(self, every: int) -> float:
        """Seconds of an iteration and its share of the evaluation that the protocol makes every so many."""
        return self.iteration + self.evaluation / every


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: seconds per contestant and round, rounds, and on what.

    `all_threads`: the PyTorch loops run on every core, too, and the better way counts.
    """

    seconds: float = 5.0
    repeats: int = 5
    device: str = "cpu"
    all_threads: bool = False


@dataclass(slots=True)
class Result:
    """What was measured; the timings of all contestants are of the same rounds."""

    place: Place
    network: Network
    effort: Effort
    contestants: list[Contestant]
    timings: dict[Contestant, list[Timing]] = field(default_factory=dict)
    peaks: list[float] = field(default_factory=list)
    """Floating-point operations a second of torch.mm with one thread."""
    refused: dict[str, str] = field(default_factory=dict)
    """Engines that do not serve the case, and why."""
    warnings: list[str] = field(default_factory=list)

    @property
    def protocol(self) -> Protocol:
        """What is trained and how often it is evaluated."""
        return self.place.protocol

    def rates(self, one: Contestant) -> list[float]:
        """Model-iterations a second, evaluations included, in each round."""
        return [1 / timing.with_evaluations(self.protocol.record_every) for timing in self.timings[one]]

    def side_by_side(self, one: Contestant) -> int:
        """How many of these the machine can run at once: one per core, as long as each uses one thread."""
        return max(1, cores() // one.threads) if self.effort.device == "cpu" else 1

    def best(self, kind: Kind) -> Contestant:
        """That of its kind with which the whole machine trains fastest."""
        members = [one for one in self.contestants if one.kind == kind]
        return max(members, key=lambda one: self.side_by_side(one) * median(self.rates(one)))

    def ratio(self, kind: Kind) -> Spread:
        """How many times as fast as such a loop ltsm's best engine is, on the whole machine, round by round."""
        ours, theirs = self.best("ltsm"), self.best(kind)
        lead = self.side_by_side(ours) / self.side_by_side(theirs)
        return spread([lead * a / b for a, b in zip(self.rates(ours), self.rates(theirs), strict=True)])

    def share_of_peak(self, one: Contestant) -> float:
        """Operations a second if every pixel and weight were multiplied, over what torch.mm reaches on one core."""
        return median(self.rates(one)) * operations(self) / median(self.peaks)

    def sweep_seconds(self, one: Contestant) -> float:
        """What the paper's evaluation would take here at this pace, were all its networks of the full size."""
        tasks = plan.everything(self.protocol, self.protocol.seeds)
        iterations = sum(plan.expected_iterations(t, self.protocol) for t in tasks if t.step != "supermask")
        searches = len(self.protocol.seeds) * len(self.protocol.thresholds)
        seconds = iterations / median(self.rates(one)) + searches * median(
            timing.evaluation for timing in self.timings[one]
        )
        return seconds / self.side_by_side(one)


def benchmark(place: Place, effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure every contestant in every round, so that whatever slows the machine slows all of them.

    Args:
        place: the protocol and its data.
        effort: how much to measure.
        say: is told of each measurement.

    Raises:
        UsageError: this machine has no such device.
        DataError: the data is missing or damaged.
    """
    check_device(effort.device)
    warnings = slow_reasons(torch.get_num_threads(), effort.device)
    say("reads the data and warms up")
    result = prepared(place, effort)
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


def prepared(place: Place, effort: Effort) -> Result:
    """All contestants, ready to train."""
    data, net, protocol, device = (
        dataset(place),
        network(place, place.protocol.hidden),
        place.protocol,
        effort.device,
    )
    models = 1 if device == "cpu" else MODELS_ON_A_GPU
    refused = refusals(data, net, protocol, device)
    serving = [kind for kind in ENGINES if not refused[kind.name]]
    train, validation = one_by_one(protocol.dataset, place.data)
    contestants: list[Contestant] = []
    for threads in [1, cores()] if effort.all_threads and cores() > 1 else [1]:
        contestants.append(PlainLoop(train, validation, net, protocol, device, threads))
        contestants.append(CarefulLoop(data, net, protocol, device, threads))
    epoch = -(-len(data.train_images) // protocol.batch_size)
    contestants += [Ours(kind(data, net, protocol, device), net, models, epoch) for kind in serving]
    return Result(
        place=place,
        network=net,
        effort=effort,
        contestants=contestants,
        timings={one: [] for one in contestants},
        refused={name: why for name, why in refused.items() if why},
    )


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


def operations(result: Result) -> float:
    """Floating-point operations of one iteration of dense arithmetic with its share of an evaluation.

    Forward, weight gradients, and the gradients that go back to every layer but the first.
    """
    layers = [layer.inputs * layer.outputs for layer in result.network.layers]
    step = 2 * result.protocol.batch_size * (3 * sum(layers) - layers[0])
    images = len(dataset(result.place).validation_labels)
    return step + 2 * images * sum(layers) / result.protocol.record_every


def spread(values: Sequence[float]) -> Spread:
    """Median, smallest and largest."""
    return Spread(median(values), min(values), max(values))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def as_json(result: Result) -> dict[str, Any]:
    """The result as plain JSON values, times in seconds."""
    ratios = {kind: result.ratio(kind) for kind in ("plain", "careful")}
    return {
        "dataset": result.protocol.dataset,
        "sizes": list(result.network.sizes),
        "device": result.effort.device,
        "cores": cores(),
        "rounds": result.effort.repeats,
        "seconds_per_contestant": result.effort.seconds,
        "peak_flops_of_one_core": median(result.peaks),
        "contestants": [_row(result, one) for one in result.contestants],
        "best": result.best("ltsm").name,
        "ratios": {kind: ratio.median for kind, ratio in ratios.items()},
        "ratio_ranges": {kind: [ratio.low, ratio.high] for kind, ratio in ratios.items()},
        "refused": result.refused,
        "warnings": result.warnings,
    }


def _row(result: Result, one: Contestant) -> dict[str, Any]:
    timings = result.timings[one]
    return {
        "kind": one.kind,
        "name": one.name,
        "threads": one.threads,
        "models": one.models,
        "iteration": spread([timing.iteration for timing in timings])._asdict(),
        "evaluation": spread([timing.evaluation for timing in timings])._asdict(),
        "model_iterations_per_second": spread(result.rates(one))._asdict(),
        "share_of_peak": result.share_of_peak(one),
        "sweep_seconds": result.sweep_seconds(one),
    }

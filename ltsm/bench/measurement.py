"""What `ltsm benchmark` found: timings, and what follows from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from ltsm.steps import plan
from ltsm.steps.machine import cores
from ltsm.steps.provenance import processor
from ltsm.steps.training import Setup, dataset
from ltsm.studies import paper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.bench.contestants import Contestant, Kind
    from ltsm.core.network import Network
    from ltsm.protocol import Protocol
    from ltsm.studies.recipe import Learned


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

    setup: Setup
    network: Network
    effort: Effort
    contestants: list[Contestant]
    timings: dict[Contestant, list[Timing]] = field(default_factory=dict)
    peaks: list[float] = field(default_factory=list)
    """Floating-point operations a second of torch.mm with one thread."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Who was not measured, and why."""
    warnings: list[str] = field(default_factory=list)
    learned: Learned | None = None
    """How masks were trained; None: weights were."""

    @property
    def protocol(self) -> Protocol:
        """What is trained and how often it is evaluated."""
        return self.setup.protocol

    @property
    def rivals(self) -> list[Kind]:
        """The kinds that this program is compared with."""
        return list(dict.fromkeys(one.kind for one in self.contestants if one.kind != "ltsm"))

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
        study = paper.study(self.protocol)
        iterations = sum(plan.expected_iterations(study, name) for name in study.recipes)
        evaluation = median(timing.evaluation for timing in self.timings[one])
        seconds = iterations / median(self.rates(one)) + len(self.protocol.thresholds) * evaluation
        return len(self.protocol.seeds) * seconds / self.side_by_side(one)


def operations(result: Result) -> float:
    """Floating-point operations of one iteration of dense arithmetic with its share of an evaluation.

    Forward, weight gradients, and the gradients that go back to every layer but the first.
    """
    layers = [layer.inputs * layer.outputs for layer in result.network.layers]
    step = 2 * result.protocol.batch_size * (3 * sum(layers) - layers[0])
    images = len(dataset(result.setup).validation_labels)
    return step + 2 * images * sum(layers) / result.protocol.record_every


def spread(values: Sequence[float]) -> Spread:
    """Median, smallest and largest."""
    return Spread(median(values), min(values), max(values))


def as_json(result: Result) -> dict[str, Any]:
    """The result as plain JSON values, times in seconds."""
    ratios = {kind: result.ratio(kind) for kind in result.rivals}
    return {
        "dataset": result.protocol.dataset,
        "sizes": list(result.network.sizes),
        **({"learned": asdict(result.learned)} if result.learned else {}),
        "order": result.protocol.order,
        "device": result.effort.device,
        "cores": cores(),
        "rounds": result.effort.repeats,
        "seconds_per_contestant": result.effort.seconds,
        "peak_flops_of_one_core": median(result.peaks),
        "contestants": [_row(result, one) for one in result.contestants],
        "best": result.best("ltsm").name,
        "ratios": {kind: ratio.median for kind, ratio in ratios.items()},
        "ratio_ranges": {kind: [ratio.low, ratio.high] for kind, ratio in ratios.items()},
        "left_out": result.left_out,
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
        **({} if result.learned else {"sweep_seconds": result.sweep_seconds(one)}),
    }


def machine() -> dict[str, Any]:
    """Where and when this was measured."""
    return {
        "processor": processor(),
        "cores": cores(),
        "torch": version("torch"),
        "ltsm": version("ltsm"),
        "date": datetime.now(UTC).date().isoformat(),
    }

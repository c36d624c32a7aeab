"""`ltsm benchmark --scale`: how time and memory grow with seeds, widths, batch size and data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from ltsm.steps.machine import peak_memory
from ltsm.steps.training import Setup, dataset, network
from ltsm.steps.worker import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ltsm.core.state import TrainState

SEEDS = (1, 10, 100)
WIDTHS = (25, 50, 100, 200, 400, 800)
BATCH_SIZES = (10, 60, 200, 1_000)
SHARES = (8, 4, 2, 1)
"""One in so many of the training images."""
REPEATS = 3
"""How often a network is advanced by the time between two records; the median counts."""


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table: what is different from the paper's setting, and that setting."""

    what: str
    value: int
    setup: Setup
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """What a case takes: seconds per model-iteration, evaluations included, and bytes of memory at the most."""

    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Line:
    """A case with its cost."""

    case: Case
    cost: Cost

    @property
    def training_seconds(self) -> float:
        """The time in which one process trains all models as long as a ticket."""
        return self.cost.seconds * self.case.seeds * self.case.setup.protocol.iterations


def cases(setup: Setup, training_images: int) -> Iterator[Case]:
    """Every line: one thing at a time is changed from `setup`.

    Args:
        setup: the protocol to start from, and its data.
        training_images: how many that data has.
    """
    protocol = setup.protocol
    yield from (Case("seeds", seeds, setup, seeds) for seeds in SEEDS)
    for width in WIDTHS:
        hidden = (width, *protocol.hidden[1:])
        yield Case(
            "width of the first layer", width, replace(setup, protocol=replace(protocol, hidden=hidden))
        )
    for size in BATCH_SIZES:
        yield Case("images a batch", size, replace(setup, protocol=replace(protocol, batch_size=size)))
    for share in SHARES:
        images = training_images // share
        yield Case("training images", images, replace(setup, protocol=replace(protocol, train_size=images)))


def scale(setup: Setup, training_images: int, say: Callable[[str], None]) -> list[Line]:
    """Measure every case in a process of its own, whose memory is then that of the case.

    Raises:
        LtsmError: as training does.
    """
    lines = []
    for case in cases(setup, training_images):
        say(f"{case.what}: {case.value:,}")
        with WorkerProcess() as worker:
            lines.append(Line(case, worker.submit(cost, case.setup, case.seeds).result()))
    return lines


def cost(setup: Setup, seeds: int) -> Cost:
    """Train that many networks as a sweep does, one after the other on a CPU and side by side elsewhere."""
    from ltsm.core.training import advance

    data, protocol = dataset(setup), setup.protocol
    every, times = protocol.record_every, []
    lanes = [tuple(range(seeds))] if setup.device != "cpu" else [(seed,) for seed in range(seeds)]
    for lane in lanes:
        # the first one goes once through all batches, which an engine may have to prepare
        untimed = (
            -(-len(data.train_images) // (protocol.batch_size * every)) * every if lane[0] == 0 else every
        )
        state, _ = advance(data, protocol, _untrained(setup, lane), untimed, setup.device)
        for _ in range(REPEATS):
            began = perf_counter()
            state, _ = advance(data, protocol, state, state.iteration + every, setup.device)
            times.append((perf_counter() - began) / len(lane) / every)
    return Cost(median(times), _memory(setup.device))


def table(lines: list[Line]) -> str:
    """The lines as a table in Markdown."""
    head = "| | | µs per model-iteration | {:,} iterations of each, one process | peak memory |\n|---|---:|---:|---:|---:|\n"
    rows = [
        f"| {line.case.what if above != line.case.what else ''} | {line.case.value:,} | {line.cost.seconds * 1e6:,.0f} |"
        f" {line.training_seconds:,.1f} s | {line.cost.memory / 2**20:,.0f} MiB |\n"
        for above, line in zip(["", *(line.case.what for line in lines)], lines, strict=False)
    ]
    return head.format(lines[0].case.setup.protocol.iterations) + "".join(rows)


def _untrained(setup: Setup, seeds: tuple[int, ...]) -> TrainState:
    import torch

    from ltsm.core.network import initial_values
    from ltsm.core.state import fresh_state

    net = network(setup, setup.protocol.hidden)
    return fresh_state(net, seeds, torch.stack([initial_values(net, seed, "benchmark") for seed in seeds]))


def _memory(device: str) -> int:
    """The most memory so far: of the process, or of the device that it computes on."""
    import torch

    return torch.cuda.max_memory_allocated() if device.startswith("cuda") else peak_memory()


def as_json(lines: list[Line]) -> list[dict[str, object]]:
    """The lines as plain JSON values: seconds and bytes."""
    return [
        {
            "what": line.case.what,
            "value": line.case.value,
            "seconds_per_model_iteration": line.cost.seconds,
            "training_seconds": line.training_seconds,
            "peak_memory": line.cost.memory,
        }
        for line in lines
    ]

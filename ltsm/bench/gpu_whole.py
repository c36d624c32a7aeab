"""The whole evaluation on a GPU, without a store: the part of `python -m ltsm.bench.gpu` that users wait for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from ltsm.core import masking
from ltsm.core.criteria import CRITERIA, Values
from ltsm.core.engine import choose_engine
from ltsm.core.network import initial_values
from ltsm.core.state import fresh_state
from ltsm.core.torch_engine import resident
from ltsm.core.training import advance
from ltsm.studies import paper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ltsm.bench.gpu_case import Bench, Line
    from ltsm.core.network import Network
    from ltsm.core.records import Record
    from ltsm.core.state import TrainState

SIDE_BY_SIDE = 3
"""How many shapes are trained beside the chain from initial networks to tickets, each by a thread."""


def whole(bench: Bench, which: int) -> Iterator[Line]:
    """The whole evaluation for so many seeds side by side; nothing is stored. Accuracies are means over the seeds."""
    began, models = perf_counter(), bench.models[which]
    for step, found in _steps(bench, tuple(range(models))):
        yield {"models": models, "step": step, "seconds_so_far": perf_counter() - began} | found


def _steps(bench: Bench, seeds: tuple[int, ...]) -> Iterator[tuple[str, Line]]:
    """Each step of sections 2.3 and 3.5 with what came out of it; the hyperops are trained beside the others."""
    p, net = bench.protocol, bench.network(bench.protocol.hidden)

    def untrained(shape: Network, *purpose: str | int) -> Tensor:
        return torch.stack([initial_values(shape, seed, *purpose) for seed in seeds])

    def trained(state: TrainState, until: int) -> tuple[TrainState, list[Record]]:
        return advance(bench.data, p, state, until, bench.device)

    def hyperop(hidden: tuple[int, ...]) -> float:
        shape = bench.network(hidden)
        return _accuracy(
            trained(fresh_state(shape, seeds, untrained(shape, "hyperop", *hidden)), p.iterations)[1]
        )

    resident(bench.data, bench.device)
    threads = ThreadPoolExecutor(SIDE_BY_SIDE)
    hyperops = [threads.submit(hyperop, hidden) for hidden in p.hyperops]
    initial = untrained(net, "initial")
    _, records = trained(fresh_state(net, seeds, initial), p.initial_iterations)
    best = [min(records, key=lambda record: record.val_loss[place]).iteration for place in range(len(seeds))]
    yield "initial", {"val_accuracy": _accuracy(records), "best_iteration": sum(best) / len(best)}
    baseline, state = initial.clone(), fresh_state(net, seeds, initial)
    for until in sorted(set(best)):
        state, records = trained(state, until)
        ending = torch.tensor([iteration == until for iteration in best])
        baseline[ending] = state.parameters[ending]
    yield paper.BASELINE, {"val_accuracy": _accuracy(records)}
    masks = torch.stack([_supermask(bench, net, *pair) for pair in zip(initial, baseline, strict=True)])
    yield paper.SUPERMASK, {"relative_size": masks.double().mean().item()}
    _, records = trained(fresh_state(net, seeds, initial, masks), p.iterations)
    yield paper.TICKET, {"val_accuracy": _accuracy(records)}
    for hidden, waiting in zip(p.hyperops, hyperops, strict=True):
        yield paper.hyperop(hidden), {"val_accuracy": waiting.result()}


def _supermask(bench: Bench, net: Network, initial: Tensor, trained: Tensor) -> Tensor:
    p = bench.protocol
    masks = masking.masks(net, CRITERIA["sign"], Values(trained, initial), p.thresholds, covers=p.mask)
    engine = choose_engine(bench.data, net, p, bench.device)
    found = masking.evaluate_masks(
        engine, net, list(zip(p.thresholds, masks, strict=True)), lambda mask: initial.where(mask, 0.0)
    )
    best = masking.choose(p.thresholds, [one.val_accuracy for one in found], p.selectable)
    assert best is not None  # noqa: S101 - a protocol allows a threshold
    return masks[best]


def _accuracy(records: list[Record]) -> float:
    """The mean over the models of each one's best."""
    best: list[float] = [max(values) for values in zip(*(one.val_accuracy for one in records), strict=True)]
    return sum(best) / len(best)

"""Steps 5 and 6 by autograd, on a copy of the caller's module."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from ltsm.core.datasets import Dataset
from ltsm.core.training import record_points
from ltsm.errors import UsageError
from ltsm.library.batches import Pair, as_pair, training_batches
from ltsm.library.evaluation import (
    FORWARD,
    as_taken,
    copied,
    device_of,
    evaluate_states,
    tensors_of,
    whole_states,
)
from ltsm.library.foreign import theirs
from ltsm.library.frozen import frozen_zeros
from ltsm.library.learnable import check_learnable
from ltsm.library.outputs import check_logits, default_loss, number_of
from ltsm.library.tickets import TrainingRecord
from ltsm.library.weights import load_exactly, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor, nn

    from ltsm.library.batches import Data
    from ltsm.library.outputs import Loss
    from ltsm.library.pruned import Pruned
    from ltsm.protocol import Protocol

    Optimiser = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

R = TypeVar("R")

_MAKES = "optimiser=lambda parameters: torch.optim.SGD(parameters, lr=0.1)"


def by_module(
    supermask: Pruned,
    module: nn.Module,
    training: Data | Dataset,
    validation: Data | Dataset | None,
    optimiser: Optimiser | None,
    loss: Loss | None,
    plan: Protocol,
    seed: int,
) -> tuple[dict[str, Tensor], list[TrainingRecord]]:
    """The trained state dict and the records; see `ltsm.library.training.train_ticket`.

    Raises:
        UsageError: the mask is not the module's, nothing of it can be trained, or the optimiser is over something else.
        DataError: the data is no images with labels, does not fit, or nothing can be learnt of it.
        RunError: the caller's own code failed.
    """
    network = copied(module).train()
    load_exactly(network, supermask.state)
    if not any(p.requires_grad for p in network.parameters()):
        raise UsageError(
            "every parameter of the module is frozen.", "requires_grad_() on what is to be trained"
        )
    batches = batches_of(network, training, plan, seed)
    judged = None if validation is None else at_hand(network, validation, "validation")
    loss = loss or default_loss
    steps = optimiser_over(network.parameters(), optimiser, lambda p: torch.optim.Adam(p, lr=plan.lr))
    recorded = partial(_recorded, network, judged, loss)
    with frozen_zeros(network, supermask.mask, steps, at=supermask.state):
        records = stepped(lambda _, batch: step(network, steps, loss, batch), recorded, batches, plan)
    return state_of(network), records


def batches_of(network: nn.Module, training: Data | Dataset, plan: Protocol, seed: int) -> Iterator[Pair]:
    """Batches without end, in the shape that the network takes.

    Raises:
        DataError: the data is no images with labels, or nothing can be learnt of it.
    """
    batched = at_hand(network, training, "train")
    if isinstance(batched, Pair):
        check_learnable(batched.images, batched.labels, "training")
    return training_batches(batched, plan.batch_size, plan.order, seed)


def at_hand(network: nn.Module, data: Data | Dataset, part: str) -> Data | Pair:
    """A data set's part as the network takes it, or data of the caller's, made a pair once and not at every record."""
    given: Data = as_taken(network, data, part) if isinstance(data, Dataset) else data
    return as_pair(given) or given


def stepped(
    step_of: Callable[[int, Pair], float],
    recorded: Callable[[int, float], R],
    batches: Iterable[Pair],
    plan: Protocol,
) -> list[R]:
    """What is recorded before the first of so many steps and every so often: of the iteration and the mean loss since."""
    records, lost, last = [recorded(0, math.nan)], 0.0, 0
    points = set(record_points(0, plan.iterations, plan.record_every))
    for iteration, batch in zip(range(1, plan.iterations + 1), batches, strict=False):
        lost += step_of(iteration, batch)
        if iteration in points:
            records.append(recorded(iteration, lost / (iteration - last)))
            lost, last = 0.0, iteration
    return records


def optimiser_over(
    parameters: Iterable[nn.Parameter], make: Optimiser | None, otherwise: Optimiser
) -> torch.optim.Optimizer:
    """The caller's over these, or the one of ours.

    Raises:
        UsageError: it makes no optimiser, or one over other parameters, which would train nothing.
        RunError: it fails.
    """
    given = list(parameters)
    if make is None:
        return otherwise(given)
    with theirs("the optimiser"):
        made: Any = make(iter(given))
    if not isinstance(made, torch.optim.Optimizer):
        raise UsageError(f"optimiser must make a torch.optim.Optimizer, not {type(made).__name__}.", _MAKES)
    own = set(map(id, given))
    if not all(id(p) in own for group in made.param_groups for p in group["params"]):
        raise UsageError("the optimiser is over other parameters than the ones that are trained.", _MAKES)
    return made


def step(network: nn.Module, optimiser: torch.optim.Optimizer, loss: Loss, batch: Pair) -> float:
    """One step, and the loss before it; the closure is for optimisers that evaluate more than once."""
    found: list[float] = []
    device = device_of(network)

    def closure() -> float:
        optimiser.zero_grad()
        own = batch.to(device)  # a forward pass may write to its images
        with theirs(FORWARD.format(tuple(own.images.shape))):
            logits = network(own.images)
        check_logits(logits, batch)
        value = number_of(loss, logits, own.targets)
        with theirs("the gradient"):
            value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        found.append(value.item())
        return found[-1]

    with theirs("the optimiser's step"):
        optimiser.step(closure)
    return next(iter(found), math.nan)  # not what step() gives back, which need not be anything


def _recorded(
    network: nn.Module, validation: Data | Pair | None, loss: Loss, iteration: int, train_loss: float
) -> TrainingRecord:
    if validation is None:
        return TrainingRecord(iteration, train_loss, math.nan, math.nan)
    network.eval()
    # copies: what a forward pass writes, to whatever of the network, is no part of the ticket
    found = evaluate_states(network, whole_states(network, [tensors_of(network)]), validation, loss)
    network.train()
    return TrainingRecord(iteration, train_loss, found.loss[0], found.accuracy[0])

"""Steps 5 and 6 on a network of one's own: freeze the supermask's zeros, and train what is left."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ltsm.core.datasets import Dataset
from ltsm.core.state import fresh_state
from ltsm.core.training import advance, record_points
from ltsm.errors import UsageError
from ltsm.library.batches import as_pair, training_batches
from ltsm.library.evaluation import as_dataset, copied, device_of, evaluate_states
from ltsm.library.tickets import TrainingRecord, ticket_of, trained_ticket
from ltsm.library.weights import state_of
from ltsm.protocol import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import Tensor

    from ltsm.core.records import Record
    from ltsm.library.batches import Data
    from ltsm.library.supermasks import Loss, Supermask
    from ltsm.library.tickets import Ticket
    from ltsm.protocol import Order

    Optimiser = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@contextmanager
def frozen_zeros(
    module: nn.Module, mask: Mapping[str, Tensor], optimiser: torch.optim.Optimizer
) -> Iterator[None]:
    """For a training loop of one's own: what the mask prunes is exactly 0 in here, whatever the optimiser does.

    The parameters are set to 0 on entry. Their gradients are 0, so that momentum and norms know nothing of them, and after every
    step they are set to 0 again, so that neither weight decay nor momentum from before can move them.

    Args:
        module: the network; its pruned parameters change.
        mask: by parameter name, True for what is kept.
        optimiser: whose steps are followed.

    Raises:
        UsageError: the mask is not this network's.
    """
    kept = _on_parameters(module, mask)
    _set_zeros(kept)
    trained: list[tuple[Any, Tensor]] = [(p, flags) for p, flags in kept if p.requires_grad]
    hooks: list[Any] = [p.register_hook(_gradient_hook(flags)) for p, flags in trained]
    hooks.append(optimiser.register_step_post_hook(lambda *_: _set_zeros(kept)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How to train."""

    iterations: int
    batch_size: int
    lr: float
    order: Order
    seed: int
    record_every: int


def train_ticket(
    supermask: Supermask,
    training: Data | Dataset,
    validation: Data | Dataset | None = None,
    *,
    model: nn.Module | None = None,
    optimiser: Optimiser | None = None,
    loss: Loss | None = None,
    iterations: int = PAPER.iterations,
    batch_size: int = PAPER.batch_size,
    lr: float = PAPER.lr,
    order: Order = "shuffled",
    seed: int = 0,
    record_every: int = PAPER.record_every,
) -> Ticket:
    """Train the supermasked network with its zeros frozen (section 3.5).

    Nothing that is handed over is changed, but for what a loader or a generator of random numbers counts.

    Args:
        supermask: what `find_supermask` found.
        training: (images, labels), a loader, or a `Dataset`; a loader is gone through again and again.
        validation: recorded every so often; None: the training loss alone is.
        model: the module to train; by default the one that found the supermask.
        optimiser: makes one of parameters, e.g. `lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)`;
            by default Adam with `lr`.
        loss: of logits and labels; by default cross entropy.
        iterations: how many batches to train on.
        batch_size: images a batch, where `training` is no loader.
        lr: Adam's learning rate, where there is no `optimiser`.
        order: of the images, where `training` is no loader: shuffled anew every epoch, or as they come.
        seed: of the shuffling.
        record_every: iterations between two records.

    Raises:
        UsageError: the mask is not the module's, or there is no module to train.
        DataError: the data is no images with labels.
    """
    plan = _Plan(
        iterations=iterations, batch_size=batch_size, lr=lr, order=order, seed=seed, record_every=record_every
    )
    ours = _our_data(supermask, training, validation)
    if ours is not None and model is None and optimiser is None and loss is None:
        state, records = _by_ours(supermask, ours, plan)
    else:
        module = model or supermask.model
        if module is None:
            raise UsageError("there is no module to train.", "model= gives it")
        whole = (training.train_images, training.train_labels) if isinstance(training, Dataset) else training
        state, records = _by_module(supermask, module, whole, validation, optimiser, loss, plan)
    return trained_ticket(ticket_of(supermask), state, records)


def _our_data(
    supermask: Supermask, training: Data | Dataset, validation: Data | Dataset | None
) -> Dataset | None:
    """The data for our engines, where the network and the data are such that they can train."""
    if supermask.chain is None or isinstance(training, Dataset):
        return training if supermask.chain is not None and isinstance(training, Dataset) else None
    pair = as_pair(training)
    if pair is None or validation is None or isinstance(validation, Dataset):
        return None
    return as_dataset(validation, supermask.chain.network, pair)


def _by_ours(
    supermask: Supermask, data: Dataset, plan: _Plan
) -> tuple[dict[str, Tensor], list[TrainingRecord]]:
    """By `ltsm.core`, as a sweep trains."""
    chain = supermask.chain
    assert chain is not None  # noqa: S101 - `_our_data` has looked
    everything = {name: torch.ones_like(t, dtype=torch.bool) for name, t in supermask.state.items()}
    initial = chain.flat(supermask.initial)
    flags = chain.flat({name: t.float() for name, t in {**everything, **supermask.mask}.items()}) > 0
    protocol = PAPER.changed(
        activation=chain.network.activation,
        lr=plan.lr,
        batch_size=plan.batch_size,
        order=plan.order,
        record_every=plan.record_every,
    )
    state = fresh_state(chain.network, (plan.seed,), initial[None], flags[None])
    after, records = advance(data, protocol, state, plan.iterations)
    return {name: t.clone() for name, t in chain.views(after.parameters[0]).items()}, [
        _plain(r) for r in records
    ]


def _plain(record: Record) -> TrainingRecord:
    return TrainingRecord(record.iteration, record.train_loss[0], record.val_loss[0], record.val_accuracy[0])


def _by_module(
    supermask: Supermask,
    module: nn.Module,
    training: Data,
    validation: Data | Dataset | None,
    optimiser: Optimiser | None,
    loss: Loss | None,
    plan: _Plan,
) -> tuple[dict[str, Tensor], list[TrainingRecord]]:
    """By autograd, on a copy of the module."""
    network = copied(module).train()
    load_exactly(network, supermask.state)
    loss = loss or nn.functional.cross_entropy
    steps = (optimiser or (lambda p: torch.optim.Adam(p, lr=plan.lr)))(network.parameters())
    batches = training_batches(training, plan.batch_size, plan.order, plan.seed)
    device, records, lost = device_of(network), [_recorded(network, 0, math.nan, validation, loss)], 0.0
    points = set(record_points(0, plan.iterations, plan.record_every))
    last = 0
    with frozen_zeros(network, supermask.mask, steps):
        for iteration, batch in zip(range(1, plan.iterations + 1), batches, strict=False):
            lost += _step(network, steps, loss, batch.images.to(device), batch.labels.to(device))
            if iteration in points:
                records.append(_recorded(network, iteration, lost / (iteration - last), validation, loss))
                lost, last = 0.0, iteration
    return state_of(network), records


def _step(
    network: nn.Module, optimiser: torch.optim.Optimizer, loss: Loss, images: Tensor, labels: Tensor
) -> float:
    """One step; the closure is for optimisers that evaluate more than once."""

    def closure() -> float:
        optimiser.zero_grad()
        value = loss(network(images), labels)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return value.item()

    return float(optimiser.step(closure))


def _recorded(
    network: nn.Module, iteration: int, train_loss: float, validation: Data | Dataset | None, loss: Loss
) -> TrainingRecord:
    if validation is None:
        return TrainingRecord(iteration, train_loss, math.nan, math.nan)
    network.eval()
    found = evaluate_states(network, [dict], validation, loss)
    network.train()
    return TrainingRecord(iteration, train_loss, found.loss[0], found.accuracy[0])


def load_exactly(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict whose names and shapes have to be the module's.

    Raises:
        UsageError: they are not.
    """
    own = module.state_dict()
    tensors = {name: t for name, t in own.items() if isinstance(t, torch.Tensor)}
    if differing := sorted(tensors.keys() ^ state.keys()):
        what = "lacks" if differing[0] in tensors else "has"
        raise UsageError(f"this is a ticket of another network: it {what} {differing[0]!r}.", _ANOTHER)
    for name, values in state.items():
        if values.shape != tensors[name].shape:
            shapes = f"{tuple(values.shape)}, not {tuple(tensors[name].shape)}"
            raise UsageError(f"this is a ticket of another network: its {name!r} is {shapes}.", _ANOTHER)
    module.load_state_dict({**own, **state})


_ANOTHER = "ltsm ticket show FILE says which network it is of"


def _on_parameters(module: nn.Module, mask: Mapping[str, Tensor]) -> list[tuple[nn.Parameter, Tensor]]:
    known = dict(module.named_parameters())
    for name, kept in mask.items():
        if name not in known or known[name].shape != kept.shape:
            raise UsageError(f"the mask is of another network: here is no {name!r} of {tuple(kept.shape)}.")
    return [(known[name], kept.to(known[name].device)) for name, kept in mask.items()]


@torch.no_grad()
def _set_zeros(kept: list[tuple[nn.Parameter, Tensor]]) -> None:
    for parameter, flags in kept:
        # not a product, which would leave -0.0, and NaN where training diverges
        parameter.masked_fill_(~flags, 0.0)


def _gradient_hook(flags: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: torch.where(flags, gradient, 0.0)

"""Steps 5 and 6 on a network of one's own: freeze the supermask's zeros, and train what is left."""

from __future__ import annotations

import math
import operator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ltsm.core.datasets import Dataset
from ltsm.core.state import fresh_state
from ltsm.core.training import advance, record_points
from ltsm.errors import UsageError
from ltsm.library.batches import Pair, as_pair, training_batches
from ltsm.library.evaluation import as_dataset, copied, device_of, evaluate_states
from ltsm.library.tickets import TrainingRecord, ticket_of, trained_ticket
from ltsm.library.weights import state_of
from ltsm.protocol import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import Tensor

    from ltsm.core.network import Network
    from ltsm.core.records import Record
    from ltsm.library.batches import Data
    from ltsm.library.chains import Chain
    from ltsm.library.supermasks import Loss, Supermask
    from ltsm.library.tickets import Ticket
    from ltsm.protocol import Order, Protocol

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
    Our own engines train what they can: a chain of linear layers, none of them frozen by requires_grad, on whole
    data, where no `model`, `optimiser` or `loss` is given.

    Args:
        supermask: what `find_supermask` found.
        training: (images, labels), a loader, or a `Dataset`; a loader is gone through again and again.
        validation: recorded every so often; None: a `Dataset`'s own; otherwise the training loss alone.
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
        UsageError: an argument cannot be, the mask is not the module's, or there is no module to train.
        DataError: the data is no images with labels, or does not fit the network.
    """
    plan = _plan(iterations=iterations, batch_size=batch_size, lr=lr, order=order, record_every=record_every)
    if validation is None and isinstance(training, Dataset):
        validation = training
    as_it_is = model is None and optimiser is None and loss is None
    chain = supermask.chain if as_it_is and not _partly_frozen(supermask.model) else None
    data = None if chain is None else _our_data(chain.network, training, validation)
    if chain is not None and data is not None:
        state, records = _by_ours(supermask, chain, data, plan, seed)
        if validation is None:
            records = [replace(record, val_loss=math.nan, val_accuracy=math.nan) for record in records]
    else:
        module = _needed(model or supermask.model)
        state, records = _by_module(supermask, module, training, validation, optimiser, loss, plan, seed)
    return trained_ticket(ticket_of(supermask), state, records)


def _plan(*, iterations: Any, batch_size: Any, lr: Any, order: Any, record_every: Any) -> Protocol:
    """How to train, as a sweep's protocol says it, which checks it.

    Raises:
        UsageError: a value of the wrong type or out of range.
    """

    def number(kind: Callable[[Any], Any], value: Any) -> Any:
        try:
            return kind(value)  # NumPy's numbers, and 1 for 1.0
        except (TypeError, ValueError, OverflowError):
            return value  # the protocol refuses it, by name

    return PAPER.changed(
        iterations=number(operator.index, iterations),
        batch_size=number(operator.index, batch_size),
        lr=lr if isinstance(lr, str) else number(float, lr),
        order=order,
        record_every=number(operator.index, record_every),
    )


def _partly_frozen(module: nn.Module | None) -> bool:
    return module is not None and not all(p.requires_grad for p in module.parameters())


def _needed(module: nn.Module | None) -> nn.Module:
    if module is None:
        raise UsageError(
            "there is no module to train.",
            "model= gives it; without one train on (images, labels), with no optimiser or loss of your own",
        )
    return module


def _our_data(
    network: Network, training: Data | Dataset, validation: Data | Dataset | None
) -> Dataset | None:
    """The data for our engines; None where the training set is not at hand whole.

    Without a validation set one training image stands in for it.
    """
    if isinstance(training, Dataset) and validation is training:
        return as_dataset(training, network)
    pair = _training_pair(training)
    if pair is None:
        return None
    if validation is None:
        validation = (pair.images[:1], pair.labels[:1])
    elif isinstance(validation, Dataset):
        validation = (validation.validation_images, validation.validation_labels)
    return as_dataset(validation, network, pair)


def _training_pair(training: Data | Dataset) -> Pair | None:
    if isinstance(training, Dataset):
        return Pair(training.train_images, training.train_labels)
    return as_pair(training)


def _by_ours(
    supermask: Supermask, chain: Chain, data: Dataset, plan: Protocol, seed: int
) -> tuple[dict[str, Tensor], list[TrainingRecord]]:
    """By `ltsm.core`, as a sweep trains."""
    everything = {name: torch.ones_like(t, dtype=torch.bool) for name, t in supermask.state.items()}
    initial = chain.flat(supermask.initial)
    flags = chain.flat({name: t.float() for name, t in {**everything, **supermask.mask}.items()}) > 0
    protocol = plan.changed(activation=chain.network.activation)
    state = fresh_state(chain.network, (seed,), initial[None], flags[None])
    after, records = advance(data, protocol, state, plan.iterations)
    return {name: t.clone() for name, t in chain.views(after.parameters[0]).items()}, [
        _plain(r) for r in records
    ]


def _plain(record: Record) -> TrainingRecord:
    return TrainingRecord(record.iteration, record.train_loss[0], record.val_loss[0], record.val_accuracy[0])


def _by_module(
    supermask: Supermask,
    module: nn.Module,
    training: Data | Dataset,
    validation: Data | Dataset | None,
    optimiser: Optimiser | None,
    loss: Loss | None,
    plan: Protocol,
    seed: int,
) -> tuple[dict[str, Tensor], list[TrainingRecord]]:
    """By autograd, on a copy of the module."""
    network = copied(module).train()
    load_exactly(network, supermask.state)
    if not any(p.requires_grad for p in network.parameters()):
        raise UsageError(
            "every parameter of the module is frozen.", "requires_grad_() on what is to be trained"
        )
    loss = loss or nn.functional.cross_entropy
    steps = (optimiser or (lambda p: torch.optim.Adam(p, lr=plan.lr)))(network.parameters())
    whole = (training.train_images, training.train_labels) if isinstance(training, Dataset) else training
    batches = training_batches(whole, plan.batch_size, plan.order, seed)
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
    """One step, and the loss before it; the closure is for optimisers that evaluate more than once."""
    found: list[float] = []

    def closure() -> float:
        optimiser.zero_grad()
        value = loss(network(images), labels)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        found.append(value.item())
        return found[-1]

    optimiser.step(closure)
    return next(iter(found), math.nan)  # not what step() gives back, which need not be anything


def _recorded(
    network: nn.Module, iteration: int, train_loss: float, validation: Data | Dataset | None, loss: Loss
) -> TrainingRecord:
    if validation is None:
        return TrainingRecord(iteration, train_loss, math.nan, math.nan)
    network.eval()
    # copies, so that a forward pass which writes to buffers leaves nothing of the validation set in the ticket
    found = evaluate_states(
        network, [lambda: {name: t.clone() for name, t in network.named_buffers()}], validation, loss
    )
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
    known = dict(module.named_parameters(remove_duplicate=False))
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

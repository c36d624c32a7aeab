"""Steps 5 and 6 on a network of one's own: freeze the supermask's zeros, and train what is left."""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import nn

from ltsm.core.ambient import own_state
from ltsm.core.datasets import Dataset
from ltsm.core.state import fresh_state
from ltsm.core.training import advance
from ltsm.errors import UsageError
from ltsm.library.arguments import function, instance, one_of, seed_of
from ltsm.library.batches import as_pair
from ltsm.library.by_module import by_module
from ltsm.library.evaluation import as_dataset
from ltsm.library.learnable import check_learnable
from ltsm.library.outputs import check_loss
from ltsm.library.pruned import Pruned
from ltsm.library.tickets import TrainingRecord, ticket_of, trained_ticket
from ltsm.library.wrappers import unwrapped
from ltsm.protocol import PAPER, Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ltsm.core.network import Network
    from ltsm.library.batches import Data
    from ltsm.library.by_module import Optimiser
    from ltsm.library.chains import Chain
    from ltsm.library.outputs import Loss
    from ltsm.library.tickets import Ticket
    from ltsm.protocol import Protocol


def train_ticket(
    supermask: Pruned,
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
    """Train a masked network with what is pruned frozen, at 0 or wherever it is (section 3.5).

    Nothing that is handed over is changed, nor anything of torch's state, but for what a loader counts.
    Our own engines train what they can: a chain of linear layers, none of them frozen by requires_grad, on whole
    data, where no `model`, `optimiser` or `loss` is given.

    Args:
        supermask: what `find_supermask` found, or `prune` made.
        training: (images, labels), a loader, or a `Dataset`; a loader is gone through again and again.
        validation: recorded every so often; None: a `Dataset`'s own; otherwise the training loss alone.
        model: the module to train; by default the one that found the supermask.
        optimiser: makes one of parameters, e.g. `lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)`;
            by default Adam with `lr`.
        loss: of logits and labels; by default cross entropy, see `find_supermask`.
        iterations: how many batches to train on.
        batch_size: images a batch, where `training` is no loader.
        lr: Adam's learning rate, where there is no `optimiser`.
        order: of the images, where `training` is no loader: shuffled anew every epoch, or as they come.
        seed: of the shuffling, and of what the network draws at random as it trains.
        record_every: iterations between two records.

    Raises:
        UsageError: an argument cannot be, the mask is not the module's, or there is no module to train.
        DataError: the data is no images with labels, or does not fit the network.
        RunError: the caller's own code failed.
    """
    instance("supermask", supermask, Pruned, "what find_supermask or prune gives")
    function("optimiser", optimiser)
    function("loss", loss)
    check_loss(loss)
    plan = plan_of(
        iterations=iterations, batch_size=batch_size, lr=lr, order=order, record_every=record_every
    )
    seed = seed_of(seed)
    if validation is None and isinstance(training, Dataset):
        validation = training
    as_it_is = model is None and optimiser is None and loss is None
    with own_state(seed):
        chain = _our_chain(supermask) if as_it_is else None
        data = None if chain is None else our_data(chain.network, training, validation)
        if chain is not None and data is not None:
            state, records = _by_ours(supermask, chain, data, plan, seed)
            if validation is None:
                records = [replace(record, val_loss=math.nan, val_accuracy=math.nan) for record in records]
        else:
            module = _needed(supermask.model if model is None else model)
            state, records = by_module(supermask, module, training, validation, optimiser, loss, plan, seed)
    return trained_ticket(ticket_of(supermask), state, records)


def plan_of(*, iterations: Any, batch_size: Any, lr: Any, order: Any, record_every: Any) -> Protocol:
    """How to train, as a sweep's protocol says it, which checks it.

    Raises:
        UsageError: a value of the wrong type or out of range.
    """
    one_of("order", order, get_args(Order))

    def number(kind: Callable[[Any], Any], value: Any) -> Any:
        try:
            return kind(value)  # NumPy's numbers, and 1 for 1.0
        except (TypeError, ValueError, OverflowError, RuntimeError):  # the last of a tensor of several
            return value  # the protocol refuses it, by name

    return PAPER.changed(
        iterations=number(operator.index, iterations),
        batch_size=number(operator.index, batch_size),
        lr=lr if isinstance(lr, str) else number(float, lr),
        order=order,
        record_every=number(operator.index, record_every),
    )


def _our_chain(supermask: Pruned) -> Chain | None:
    """The network as our engines train it: all of it, with a logit for each class."""
    chain, model = supermask.chain, supermask.model
    if chain is None or model is None:
        return chain
    frozen = not all(p.requires_grad for p in model.parameters())
    return None if frozen or chain.network.sizes[-1] == 1 else chain


def _needed(module: nn.Module | None) -> nn.Module:
    if module is None:
        raise UsageError(
            "there is no module to train.",
            "model= gives it; without one train on (images, labels), with no optimiser or loss of your own",
        )
    return unwrapped(instance("model", module, nn.Module, "a torch.nn.Module"))


def our_data(network: Network, training: Data | Dataset, validation: Data | Dataset | None) -> Dataset | None:
    """The data for our engines; None where the training set is not at hand whole.

    Without a validation set one training image stands in for it.
    """
    pair = as_pair(_part(training, "train"))
    if pair is None:
        return None
    given = (pair.images[:1], pair.labels[:1]) if validation is None else _part(validation, "validation")
    # the very data set where there is but one: the engines remember what they have worked out of it
    same = isinstance(training, Dataset) and validation is training
    data = as_dataset(training if same else given, network, None if same else pair)
    check_learnable(data.train_images, data.train_labels, "training")
    if validation is not None:
        check_learnable(data.validation_images, data.validation_labels, "validation")
    return data


def _part(data: Data | Dataset, part: str) -> Data:
    """A data set's "train" or "validation" part; anything else is one."""
    if isinstance(data, Dataset):
        return getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
    return data


def _by_ours(
    supermask: Pruned, chain: Chain, data: Dataset, plan: Protocol, seed: int
) -> tuple[dict[str, Tensor], list[TrainingRecord]]:
    """By `ltsm.core`, as a sweep trains."""
    everything = {name: torch.ones_like(t, dtype=torch.bool) for name, t in supermask.state.items()}
    values = chain.flat(supermask.state)[None]
    flags = chain.flat({name: t.float() for name, t in {**everything, **supermask.mask}.items()}) > 0
    protocol = plan.changed(activation=chain.network.activation)
    state = fresh_state(chain.network, (seed,), values, flags[None], frozen=values)
    after, records = advance(data, protocol, state, plan.iterations)
    return {name: t.clone() for name, t in chain.views(after.parameters[0]).items()}, [
        TrainingRecord(r.iteration, r.train_loss[0], r.val_loss[0], r.val_accuracy[0]) for r in records
    ]

"""Tickets: a supermask with the initial values that it keeps and, once trained, what became of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ltsm.errors import UsageError
from ltsm.library.arguments import instance
from ltsm.library.chains import Chain
from ltsm.library.pruned import Pruned
from ltsm.library.weights import checked_mask, state_of
from ltsm.notation import plain, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.library.weights import State


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What is kept of a ticket's training every so many iterations; NaN where there is no number."""

    iteration: int
    train_loss: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """What regenerates initial values.

    Attributes:
        seed: of the random stream.
        purpose: the rest of its name.
        weights: how they are drawn, and `biases`, as a protocol says it.
        kept: what becomes of them, by its name in `ltsm.core.actions`; `covers` is what a mask may prune there.
        factors: what each layer's weights are multiplied by then; empty: nothing.
    """

    seed: int
    purpose: tuple[str, ...]
    weights: str = "default"
    biases: str = "default"
    kept: str = "initial"
    covers: str = "all"
    factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ticket:
    """A network from which only a mask's share is left.

    Attributes:
        mask: by parameter name, True for what is kept; parameters that it does not cover are not in it.
        initial: the whole state dict before training: initial values, and 0, or what they are frozen at, where
            the mask says so.
        trained: the whole state dict after it; None: it was not trained, and is the supermask alone.
        records: of its training.
        chain: the network as ours, where it is one; only then can it be written as ONNX.
        recipe: what regenerates the initial values of a network of ours; None: a file has to hold them.
        shared: the further names of parameters that layers share, each with the one under which it counts.
        about: where it comes from, as JSON values; `val_accuracy`, `val_loss`, `images` and
            `data_sha256` say what it achieved untrained, `trained_val_accuracy` and `trained_val_loss` trained.
    """

    mask: State
    initial: State
    trained: State | None = None
    records: tuple[TrainingRecord, ...] = ()
    chain: Chain | None = None
    recipe: Recipe | None = None
    shared: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """What it is, without its values."""
        trained = "untrained" if self.trained is None else f"trained, {len(self.records)} records"
        about = ", ".join(f"{k} = {v:g}" for k, v in self.about.items() if isinstance(v, float))
        return f"Ticket(keeps {self.kept:,} of {self.covered:,} parameters, {trained}\n  {about})"

    @property
    def state(self) -> State:
        """The trained state dict, or the untrained one where it was not trained."""
        return self.initial if self.trained is None else self.trained

    @property
    def kept(self) -> int:
        """How many parameters the mask keeps, of those that it covers."""
        return sum(int(flags.sum()) for name, flags in self.mask.items() if name not in self.shared)

    @property
    def covered(self) -> int:
        """How many parameters the mask covers."""
        return sum(flags.numel() for name, flags in self.mask.items() if name not in self.shared)


def checked_ticket(ticket: Any) -> Ticket:
    """The ticket with values and masks as tensors on the CPU; one may be made by hand.

    Raises:
        UsageError: it is no ticket, or its parts do not belong together.
    """
    checked: Ticket = instance("ticket", ticket, Ticket, "a ticket, as train_ticket or ticket_of gives it")
    initial = state_of(checked.initial)
    trained = None if checked.trained is None else state_of(checked.trained)
    shapes = {name: t.shape for name, t in initial.items()}
    mask = checked_mask(checked.mask, shapes)
    if not mask:
        raise UsageError("the ticket's mask covers nothing.", "ticket_of(supermask)")
    if trained is not None and {name: t.shape for name, t in trained.items()} != shapes:
        raise UsageError("the ticket's initial and trained values are of two networks.")
    instance("chain", checked.chain, Chain | None, "a chain of layers, or None")
    if checked.chain is not None and checked.chain.shapes() != shapes:
        raise UsageError("the ticket's values are not those of its chain of layers.")
    instance("recipe", checked.recipe, Recipe | None, "a Recipe, or None")
    instance("records", checked.records, tuple, "a tuple of TrainingRecord")
    for record in checked.records:
        instance("each of records", record, TrainingRecord, "a TrainingRecord")
    _check_json("about", checked.about)
    _check_json("shared", checked.shared)
    if not {*checked.shared, *map(str, checked.shared.values())} <= shapes.keys():
        raise UsageError("the ticket's `shared` names parameters that it has not.")
    return replace(checked, mask=mask, initial=initial, trained=trained)


def _check_json(name: str, value: Any) -> None:
    """Refuse what a file of JSON cannot hold; its names are texts."""
    instance(name, value, Mapping, "a dictionary")
    try:
        same = json.loads(json.dumps(dict(value), allow_nan=False)).keys() == value.keys()
    except (TypeError, ValueError, RecursionError):
        same = False
    if not same:
        raise UsageError(f"the ticket's `{name}` is no JSON: {quoted(value)}.")


def ticket_of(supermask: Pruned) -> Ticket:
    """The untrained ticket: the mask with the values that it keeps.

    Raises:
        UsageError: it is nothing that was pruned.
    """
    instance("supermask", supermask, Pruned, "what find_supermask or prune gives")
    return Ticket(
        mask=supermask.mask,
        initial=supermask.state,
        chain=supermask.chain,
        shared=supermask.shared,
        about=supermask.about(),
    )


def trained_ticket(ticket: Ticket, state: State, records: Sequence[TrainingRecord]) -> Ticket:
    """The ticket with what training made of it, and what it achieved last."""
    about = dict(ticket.about)
    if records and not math.isnan(records[-1].val_accuracy):
        about["trained_val_accuracy"] = plain(records[-1].val_accuracy)
        about["trained_val_loss"] = plain(records[-1].val_loss)
    return replace(ticket, trained=state, records=tuple(records), about=about)

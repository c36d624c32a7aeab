"""What a ticket achieves on a validation set: untrained, and trained where it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import nn

from ltsm.core.ambient import own_state
from ltsm.errors import UsageError
from ltsm.library.arguments import instance
from ltsm.library.by_module import at_hand
from ltsm.library.evaluation import copied, evaluate_states, through_ours, whole_states
from ltsm.library.tickets import checked_ticket
from ltsm.library.weights import load_exactly
from ltsm.library.wrappers import unwrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.core.records import Evaluation
    from ltsm.library.batches import Data
    from ltsm.library.tickets import Ticket
    from ltsm.library.weights import State


@dataclass(frozen=True, slots=True)
class Achieved:
    """Mean loss and share of images classified, of the untrained or of the trained network."""

    val_loss: float
    val_accuracy: float


@own_state()
def evaluate_ticket(
    ticket: Ticket, validation: Data | Dataset, model: nn.Module | None = None
) -> tuple[Achieved, Achieved | None]:
    """The untrained network's, and the trained one's if there is one.

    Args:
        ticket: what to evaluate.
        validation: (images, labels), a loader, or a `Dataset`.
        model: the module that the ticket is of; needed where it is no chain of linear layers.

    Raises:
        UsageError: the module is missing, or the ticket is of another network.
        DataError: the data does not fit the network.
    """
    ticket = checked_ticket(ticket)
    states = [ticket.initial] if ticket.trained is None else [ticket.initial, ticket.trained]
    if model is None and ticket.chain is not None and ticket.chain.network.sizes[-1] > 1:
        _, found = through_ours(ticket.chain, [], validation, states)
    elif model is not None:
        found = _by_module(model, states, validation)
    else:
        raise UsageError("this ticket is of a network of one's own.", "--network module:function, or model=")
    achieved = [Achieved(*pair) for pair in zip(found.loss, found.accuracy, strict=True)]
    return achieved[0], achieved[1] if len(achieved) > 1 else None


def evaluate_test(
    ticket: Ticket, data: Dataset, test: TestSet, model: nn.Module | None = None
) -> tuple[Achieved, Achieved | None]:
    """As `evaluate_ticket`, on the test set that belongs to a data set; whoever calls this selects no more.

    Raises:
        UsageError: as `evaluate_ticket`.
        DataError: likewise.
    """
    judged = replace(data, validation_images=test.images, validation_labels=test.labels)
    return evaluate_ticket(ticket, judged, model)


def _by_module(model: nn.Module, states: Sequence[State], validation: Data | Dataset) -> Evaluation:
    network = copied(unwrapped(instance("model", model, nn.Module, "a torch.nn.Module"))).eval()
    for state in states:
        load_exactly(network, state)
    return evaluate_states(network, whole_states(network, states), at_hand(network, validation, "validation"))

"""What iterative pruning gives after each round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ltsm.library.pruned import counts, relative_size

if TYPE_CHECKING:
    from ltsm.library.tickets import Ticket
    from ltsm.library.weights import State


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """One round of iterative pruning, after its training.

    Attributes:
        number: 0 for the dense network.
        ticket: what was trained: the mask, the values that training began with and those that it ended with.
        total: how many single parameters the network has.
        weights_at: the state dict after each step that `keep` names and this round made.
    """

    number: int
    ticket: Ticket
    total: int
    weights_at: dict[int, State] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Which one it is and what is left, without its values."""
        return (
            f"Round({self.number}: keeps {self.ticket.kept:,} of {self.ticket.covered:,}, {self.density:.1%})"
        )

    @property
    def mask(self) -> State:
        """By parameter name, True for what is kept; a parameter that no mask covers is not in it."""
        return self.ticket.mask

    @property
    def kept(self) -> dict[str, int]:
        """How many single values each covered parameter keeps, by its name; by the first one where it has several."""
        return counts(self.mask, self.ticket.shared)

    @property
    def density(self) -> float:
        """What is kept ÷ what may be pruned: the size that Frankle and Carbin (2019) give, biases not counted."""
        return self.ticket.kept / self.ticket.covered

    @property
    def relative_size(self) -> float:
        """Parameters kept ÷ all parameters of the network, those that may not be pruned counted as kept."""
        return relative_size(self.mask, self.ticket.shared, self.total)

"""A network of one's own pruned by any criterion: what `prune` gives, and what `find_supermask` chooses among."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ltsm.core.ambient import own_state
from ltsm.library.arguments import number
from ltsm.library.prepared import check_fractions, making_of, prepared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from ltsm.library.chains import Chain
    from ltsm.library.coverage import Kinds
    from ltsm.library.ranking import Ranking, Scoring
    from ltsm.library.weights import State, Weights
    from ltsm.protocol import Activation, MaskScope
    from ltsm.studies.recipe import Scope


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pruned:
    """A masked network.

    Attributes:
        mask: by parameter name, True for what is kept; parameters that are left alone are not in it. A parameter
            that several layers share is in it, and in `state`, under all its names.
        state: the masked network's state dict: what became of the values that are kept, and 0, or what the others
            are frozen at, where the mask says so.
        left_alone: parameters that the mask does not cover; they keep the values that it starts from.
        initial: the state dict that it starts from, in the types that the network computes in.
        ranking: the scores, and what is ranked together.
        model: the module, None where there was none.
        chain: the network as ours, where it is one.
        total: how many single parameters the network has.
        amount: how much is kept, by `ranking.by` a threshold of the score or a fraction.
        shared: the further names of shared parameters, each with the one under which it counts.
    """

    mask: State
    state: State
    left_alone: tuple[str, ...]
    initial: State
    ranking: Ranking
    model: nn.Module | None
    chain: Chain | None
    total: int
    amount: float
    shared: Mapping[str, str] = field(default_factory=dict)

    @property
    def scores(self) -> State:
        """Of the criterion, of which a threshold is one; the paper's is sign(initial)·trained."""
        return self.ranking.scores

    @property
    def kept(self) -> dict[str, int]:
        """How many single values each masked parameter keeps, by its name; by the first one where it has several."""
        return counts(self.mask, self.shared)

    @property
    def relative_size(self) -> float:
        """Parameters kept ÷ all parameters of the network, those left alone counted as kept."""
        return relative_size(self.mask, self.shared, self.total)

    def about(self) -> dict[str, Any]:
        """What a ticket says of where it comes from, as JSON values."""
        return {self.ranking.by: self.amount, "relative_size": self.relative_size}

    def mask_at(self, amount: float) -> State:
        """The mask of any other amount."""
        return self.ranking.mask(number("amount", amount))


def counts(mask: State, shared: Mapping[str, str]) -> dict[str, int]:
    """How many single values each parameter keeps."""
    return {name: int(flags.sum()) for name, flags in mask.items() if name not in shared}


def relative_size(mask: State, shared: Mapping[str, str], total: int) -> float:
    """The share of all of a network's parameters that is kept."""
    flags = [one for name, one in mask.items() if name not in shared]
    return (total - sum(int((~one).sum()) for one in flags)) / total


@own_state()
def prune(
    initial: Weights | None,
    trained: Weights,
    *,
    keep: float,
    criterion: str | Scoring = "large_final",
    scope: Scope = "layer",
    mask: MaskScope = "weights",
    kept: str = "initial",
    pruned: str = "zero",
    model: nn.Module | None = None,
    only: Kinds | None = None,
    activation: Activation = "relu",
    seed: int = 0,
) -> Pruned:
    """Keep a fraction of a network's weights, without a search: by default the largest of each layer, as everybody does.

    Nothing that is handed over is changed. What comes back can be trained by `train_ticket`.

    Args:
        initial: the network before training, see `find_supermask`; None: nobody kept it. Then what is kept has its
            trained values, and the criterion may look at no others.
        trained: the network after training.
        keep: the fraction that is kept, 0 to 1: exactly round(keep · count), on a tie those that come first.
        criterion: what scores a weight, see `find_supermask`.
        scope: the fraction is of each layer by itself, or global.
        mask: what it covers: weights, or all parameters.
        kept: what kept values become, see `find_supermask`.
        pruned: what the others become.
        model: the module, where neither `initial` nor `trained` is one.
        only: the kinds of layers to cover, e.g. (nn.Linear, nn.Conv2d); needed where there are others than nn.Linear.
        activation: see `find_supermask`.
        seed: of what is drawn.

    Raises:
        UsageError: an argument cannot be, or the weights are not two states of one network that the recipe covers.
        RunError: the caller's own code failed.
    """
    amount = number("keep", keep)
    check_fractions("keep", [amount])
    making = making_of(
        initial,
        trained,
        model=model,
        mask=mask,
        kept=kept,
        pruned=pruned,
        only=only,
        activation=activation,
        seed=seed,
    )
    made = prepared(making, criterion, by="fraction", scope=scope)
    return Pruned(**made.of(amount))

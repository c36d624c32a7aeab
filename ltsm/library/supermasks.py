"""Steps 3 and 4 on a network of one's own: the mask of every amount, and the one that classifies best untrained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ltsm.core.ambient import own_state
from ltsm.core.masking import choose
from ltsm.errors import UsageError
from ltsm.library.arguments import function, interval, numbers
from ltsm.library.evaluation import through_module, through_ours
from ltsm.library.outputs import check_loss
from ltsm.library.prepared import check_fractions, making_of, prepared
from ltsm.library.pruned import Pruned, counts, relative_size
from ltsm.notation import plain
from ltsm.protocol import PAPER, MaskScope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from ltsm.core.datasets import Dataset
    from ltsm.core.records import Evaluation
    from ltsm.library.batches import Data
    from ltsm.library.coverage import Kinds
    from ltsm.library.outputs import Loss
    from ltsm.library.prepared import Prepared
    from ltsm.library.ranking import Scoring
    from ltsm.library.weights import State, Weights
    from ltsm.protocol import Activation
    from ltsm.studies.recipe import By, Scope

FRACTIONS = tuple(round(0.8**k, 12) for k in range(1, 21))
"""0.8ᵏ, as Zhou et al. (2019) have them: tried where amounts are fractions and none are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountResult:
    """One amount's masked network, untrained.

    Attributes:
        amount: a threshold of the score, or the fraction kept.
        relative_size: parameters kept ÷ all parameters of the network, those left alone counted as kept.
        kept: how many single values each masked parameter keeps, by its name; by the first one where it has several.
    """

    amount: float
    relative_size: float
    kept: dict[str, int]
    val_loss: float
    val_accuracy: float

    @property
    def threshold(self) -> float:
        """The amount, as the paper calls it."""
        return self.amount


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supermask(Pruned):
    """What `find_supermask` found: what `Pruned` has, of the amount that was chosen.

    Attributes:
        results: one per amount, in their order.
        selected: the most accurate of those that could be chosen, of the smallest amount on a tie.
        through: what evaluated: the name of an engine of ours, or "module".
        initial_accuracy: the share of validation images that the whole network classified before training.
        trained_accuracy: and after it. Lower than it was known to be: other pixels, another activation, other weights.
    """

    results: tuple[AmountResult, ...]
    selected: AmountResult
    through: str
    initial_accuracy: float = math.nan
    trained_accuracy: float = math.nan

    def about(self) -> dict[str, Any]:
        """What a ticket says of where it comes from, and of what it achieves untrained, as JSON values."""
        best = self.selected
        found: dict[str, Any] = plain({"val_accuracy": best.val_accuracy, "val_loss": best.val_loss})
        return Pruned.about(self) | found  # a class with slots has no super()

    def __repr__(self) -> str:
        """What it is and how good, without its values."""
        best = self.selected
        what = f"t = {best.amount:g}" if self.ranking.by == "threshold" else f"a fraction of {best.amount:g}"
        return (
            f"Supermask({what} of {len(self.results)} {self.ranking.by}s, keeps {best.relative_size:.1%}\n"
            f"  untrained, its network classifies {best.val_accuracy:.2%} of the validation images;\n"
            f"  the whole network {self.initial_accuracy:.2%} before training, {self.trained_accuracy:.2%} after it)"
        )


@own_state()
def find_supermask(
    initial: Weights | None,
    trained: Weights,
    validation: Data | Dataset,
    *,
    model: nn.Module | None = None,
    criterion: str | Scoring = "sign",
    by: By = "threshold",
    amounts: Sequence[float] | None = None,
    thresholds: Sequence[float] | None = None,
    scope: Scope = "layer",
    select: tuple[float, float] | None = None,
    kept: str = "initial",
    pruned: str = "zero",
    mask: MaskScope = "all",
    only: Kinds | None = None,
    loss: Loss | None = None,
    activation: Activation = "relu",
    seed: int = 0,
) -> Supermask:
    """Mask initial values by what training made of them, by every amount, and choose the best (section 3.4).

    Nothing that is handed over is changed, nor anything of torch's state; and nothing of that changes a result.
    Evaluation goes through the module, in evaluation mode, or, where that is certain to give the same, through
    our own engines. Without further arguments it is the paper's method.

    Args:
        initial: the network before training: a module, or a state dict that was copied then. Its values are
            taken in the types of `model`; without a module, in float32. None: nobody kept it, and trained values
            are masked.
        trained: the network after training. It is compared in its own types, to which thresholds are rounded.
        validation: (images, labels), a DataLoader, or a `Dataset`; images as the network takes them.
        model: the module to evaluate with; by default `trained` or `initial`, whichever is one. With two
            state dicts and no module, linear layers with `activation` between them are assumed.
        criterion: what scores a parameter, the largest scores being kept: a name in `ltsm.core.criteria`, or a
            function of its values before and after training; "sign" is the paper's.
        by: what an amount is: a threshold of the score, or the fraction that is kept.
        amounts: every amount to evaluate; by default the paper's thresholds, -0.1 to 0.4, or 0.8ᵏ to a hundredth.
        thresholds: another name of `amounts`; one of the two.
        scope: a fraction is of each layer by itself, or global.
        select: the smallest and largest amount that may be chosen; by default 0 to 0.2, the paper's, and with
            `amounts` of one's own, or fractions, all of them.
        kept: what kept values become: initial, trained, or an action of `ltsm.core.actions`: reinitialised,
            shuffled, signed_constant …
        pruned: what the others become, and are frozen at: zero, initial, zero_if_shrunk.
        mask: what it covers: all parameters, or weights and not biases.
        only: the kinds of layers to cover; needed where there are others than nn.Linear, which are left alone.
        loss: of logits and labels, averaged over a batch; by default cross entropy. Of one logit that is binary cross
            entropy, labels are 0 and 1, also as floats (n,) or (n, 1), and a positive logit says 1.
        activation: see `model`.
        seed: of what is drawn.

    Raises:
        UsageError: the weights are not two states of one network that the recipe covers, or no amount
            can be chosen.
        DataError: the validation data is no images with labels.
        RunError: the caller's own code failed.
    """
    function("loss", loss)
    check_loss(loss)
    if amounts is not None and thresholds is not None:
        raise UsageError("amounts and thresholds are two names of one argument.", "give one of them")
    given = amounts if thresholds is None else thresholds
    values = _values(by, given)
    low, high = _selectable(select, paper=given is None and by == "threshold")
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
    made = prepared(making, criterion, by=by, scope=scope)
    through, found = _evaluated(made, values, validation, loss)
    # After the masked networks come the whole ones.
    results = tuple(map(partial(result_of, made), values, found.loss, found.accuracy))
    best = _best(results, by, low, high)
    return Supermask(
        **made.of(best.amount),
        results=results,
        selected=best,
        through=through,
        initial_accuracy=found.accuracy[-2],
        trained_accuracy=found.accuracy[-1],
    )


def _values(by: str, given: Sequence[float] | None) -> tuple[float, ...]:
    if given is None:
        return FRACTIONS if by == "fraction" else PAPER.thresholds
    values = numbers("thresholds" if by == "threshold" else "amounts", given)
    if by == "fraction":
        check_fractions("each of amounts", values)
    return values


def _evaluated(
    made: Prepared, values: Sequence[float], validation: Data | Dataset, loss: Loss | None
) -> tuple[str, Evaluation]:
    """What evaluated, and how each amount's masked network does."""

    def masked(amount: float) -> State:
        return made.making.masked(made.ranking.mask(amount))

    networks = [partial(masked, amount) for amount in values]
    chain, model = made.making.chain, made.making.model
    if chain is not None and loss is None and (model is None or chain.network.sizes[-1] > 1):
        return through_ours(chain, networks, validation, made.wholes)
    if model is None:
        raise UsageError("a loss of your own needs the network itself.", "model= gives it")
    start, names = made.making.start, made.covered.masked
    return "module", through_module(model, start, networks, names, validation, loss, made.wholes)


def _selectable(select: tuple[float, float] | None, *, paper: bool) -> tuple[float, float]:
    if select is not None:
        return interval("select", select)
    return (PAPER.select_min, PAPER.select_max) if paper else (-math.inf, math.inf)


def result_of(made: Prepared, amount: float, loss: float, accuracy: float) -> AmountResult:
    """What the mask of an amount keeps, with how its network does."""
    mask, covered = made.ranking.mask(amount), made.covered
    return AmountResult(
        amount=amount,
        relative_size=relative_size(mask, covered.shared, covered.total),
        kept=counts(mask, covered.shared),
        val_loss=loss,
        val_accuracy=accuracy,
    )


def _best(results: Sequence[AmountResult], by: By, low: float, high: float) -> AmountResult:
    amounts, accuracies = [r.amount for r in results], [r.val_accuracy for r in results]
    best = choose(amounts, accuracies, lambda amount: low - 1e-9 <= amount <= high + 1e-9)
    if best is None:
        raise UsageError(
            f"no {by} lies in {low:g} … {high:g}.", f"other {by}s, or another range to select from"
        )
    return results[best]

"""Steps 3 and 4 on a network of one's own: every threshold's mask, and the one that classifies best untrained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from torch import nn

from ltsm.core.activations import ACTIVATIONS
from ltsm.core.ambient import own_state
from ltsm.core.masking import choose
from ltsm.errors import UsageError
from ltsm.library.arguments import function, instance, interval, number, numbers, one_of
from ltsm.library.chains import Chain, chain_of_module, chain_of_state, obstacle
from ltsm.library.coverage import Coverage, Kinds, coverage, coverage_of_state
from ltsm.library.evaluation import through_module, through_ours
from ltsm.library.masks import criterion_named, mask_of, masked_state, scores_of
from ltsm.library.outputs import check_loss
from ltsm.library.weights import (
    State,
    Weights,
    as_computed,
    check_pair,
    check_whole,
    state_of,
    under_all_names,
)
from ltsm.library.wrappers import aligned, unwrapped
from ltsm.notation import quoted
from ltsm.protocol import PAPER, MaskScope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ltsm.core.criteria import Criterion
    from ltsm.core.datasets import Dataset
    from ltsm.core.records import Evaluation
    from ltsm.library.batches import Data
    from ltsm.library.outputs import Loss
    from ltsm.protocol import Activation

__all__ = ["Supermask", "ThresholdResult", "find_supermask", "masked_state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdResult:
    """One threshold's masked network, untrained.

    Attributes:
        relative_size: parameters kept ÷ all parameters of the network, those left alone counted as kept.
        kept: how many single values each masked parameter keeps, by its name; by the first one where it has several.
    """

    threshold: float
    relative_size: float
    kept: dict[str, int]
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supermask:
    """What `find_supermask` found.

    Attributes:
        results: one per threshold, in their order.
        selected: the most accurate of those that could be chosen, at the smallest threshold on a tie.
        mask: by parameter name, True for what is kept; parameters that are left alone are not in it. A parameter
            that several layers share is in it, and in `state`, under all its names.
        state: the masked network's state dict: initial values, and 0 where the mask says so.
        left_alone: parameters that the mask does not cover; they keep their initial values.
        through: what evaluated: the name of an engine of ours, or "module".
        initial: the initial state dict, in the types that the network computes in.
        scores: of the criterion, of which t is a threshold; the paper's is sign(initial)·trained.
        model: the module it was evaluated with, None where there was none.
        chain: the network as ours, where it is one.
        shared: the further names of shared parameters, each with the one under which it counts.
        initial_accuracy: the share of validation images that the whole network classified before training.
        trained_accuracy: and after it. Lower than it was known to be: other pixels, another activation, other weights.
    """

    results: tuple[ThresholdResult, ...]
    selected: ThresholdResult
    mask: State
    state: State
    left_alone: tuple[str, ...]
    through: str
    initial: State
    scores: State
    model: nn.Module | None
    chain: Chain | None
    shared: Mapping[str, str] = field(default_factory=dict)
    initial_accuracy: float = math.nan
    trained_accuracy: float = math.nan

    def __repr__(self) -> str:
        """What it is and how good, without its values."""
        best = self.selected
        return (
            f"Supermask(t = {best.threshold:g} of {len(self.results)} thresholds, keeps {best.relative_size:.1%}\n"
            f"  untrained, its network classifies {best.val_accuracy:.2%} of the validation images;\n"
            f"  the whole network {self.initial_accuracy:.2%} before training, {self.trained_accuracy:.2%} after it)"
        )

    def mask_at(self, threshold: float) -> State:
        """The mask of any threshold t: True where the score is at least t."""
        return mask_of(self.scores, number("threshold", threshold))


@own_state()
def find_supermask(
    initial: Weights,
    trained: Weights,
    validation: Data | Dataset,
    *,
    model: nn.Module | None = None,
    criterion: str | Criterion = "sign",
    thresholds: Sequence[float] | None = None,
    select: tuple[float, float] | None = None,
    mask: MaskScope = "all",
    only: Kinds | None = None,
    loss: Loss | None = None,
    activation: Activation = "relu",
) -> Supermask:
    """Mask initial values by what training made of them, at every threshold, and choose the best (section 3.4).

    Nothing that is handed over is changed, nor anything of torch's state; and nothing of that changes a result.
    Evaluation goes through the module, in evaluation mode, or, where that is certain to give the same, through
    our own engines.

    Args:
        initial: the network before training: a module, or a state dict that was copied then. Its values are
            taken in the types of `model`; without a module, in float32.
        trained: the network after training. It is compared in its own types, to which thresholds are rounded.
        validation: (images, labels), a DataLoader, or a `Dataset`; images as the network takes them.
        model: the module to evaluate with; by default `trained` or `initial`, whichever is one. With two
            state dicts and no module, linear layers with `activation` between them are assumed.
        criterion: what scores a parameter: a name in `ltsm.core.criteria`, or a function of its values before and
            after training; "sign" is the paper's.
        thresholds: every t to evaluate; by default the paper's, -0.1 to 0.4.
        select: the smallest and largest t that may be chosen; by default 0 to 0.2, the paper's, and with
            `thresholds` of one's own all of them.
        mask: what it covers: all parameters, or weights and not biases.
        only: the kinds of layers to cover; needed where there are others than nn.Linear, which are left alone.
        loss: of logits and labels, averaged over a batch; by default cross entropy. Of one logit that is binary cross
            entropy, labels are 0 and 1, also as floats (n,) or (n, 1), and a positive logit says 1.
        activation: see `model`.

    Raises:
        UsageError: the weights are not two states of one network that the recipe covers, or no threshold
            can be chosen.
        DataError: the validation data is no images with labels.
        RunError: the caller's own code failed.
    """
    _check(mask, only, loss, activation)
    scored = criterion_named(criterion)
    values = PAPER.thresholds if thresholds is None else numbers("thresholds", thresholds)
    low, high = _selectable(select, paper=thresholds is None)
    model = _module(initial, trained, model)
    before, after = _named_alike(state_of(initial), state_of(trained), model)
    before = as_computed(before, model)
    chain, covered = _structure(before, model, mask, only, activation)
    before, after = _checked(before, after, covered, model)
    scores = scores_of(before, after, covered.masked, scored)
    wholes = (before, before | as_computed(after, model))
    if chain is not None and loss is None and (model is None or chain.network.sizes[-1] > 1):
        through, found = through_ours(chain, before, scores, values, validation, wholes)
    else:
        found = through_module(_needed(model), before, scores, values, validation, loss, wholes)
        through = "module"
    results = _results(values, scores, covered, found)
    best = _best(results, low, high)
    chosen = mask_of(scores, best.threshold)
    return Supermask(
        results=results,
        selected=best,
        mask=chosen,
        state=masked_state(before, chosen),
        left_alone=covered.left_alone,
        through=through,
        initial=before,
        scores=scores,
        model=model,
        chain=chain,
        shared=covered.shared,
        initial_accuracy=found.accuracy[-2],
        trained_accuracy=found.accuracy[-1],
    )


def _check(mask: object, only: Any, loss: Loss | None, activation: object) -> None:
    """Refuse arguments that mean nothing.

    Raises:
        UsageError: naming the argument.
    """
    one_of("mask", mask, get_args(MaskScope))
    one_of("activation", activation, ACTIVATIONS)
    for kind in only if isinstance(only, tuple) else () if only is None else (only,):
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise UsageError(
                f"only must be a kind of layer or several, not {quoted(kind)}.", "only=nn.Linear"
            )
    function("loss", loss)
    check_loss(loss)


def _module(initial: Weights, trained: Weights, model: nn.Module | None) -> nn.Module | None:
    """The module to evaluate with, without wrappers."""
    if model is None:
        model = next((w for w in (trained, initial) if isinstance(w, nn.Module)), None)
    return None if model is None else unwrapped(instance("model", model, nn.Module, "a torch.nn.Module"))


def _named_alike(initial: State, trained: State, model: nn.Module | None) -> tuple[State, State]:
    """Both state dicts under the module's names; without one under the initial ones', without a wrapper's prefix."""
    own = {name for name, _ in model.named_parameters(remove_duplicate=False)} if model is not None else ()
    before = aligned("initial", initial, own)
    return before, aligned("trained", aligned("trained", trained, own), own or before.keys())


def _structure(
    state: State, model: nn.Module | None, mask: MaskScope, only: Kinds | None, activation: Activation
) -> tuple[Chain | None, Coverage]:
    """The network as a chain where it is one, and what the mask covers.

    Raises:
        UsageError: there is no module, and the state dict is no chain of linear layers.
    """
    if model is not None:
        return chain_of_module(model), coverage(model, only, mask)
    chain = chain_of_state(state, activation)
    if chain is None:
        raise UsageError(
            f"these weights are not plainly those of linear layers one after the other: {obstacle(state)}.",
            "model= (on the command line --network module:function) gives the network that they belong to",
        )
    names = chain.views(chain.flat(state))
    return chain, coverage_of_state({name: state[name] for name in names}, mask)


def _checked(
    initial: State, trained: State, covered: Coverage, model: nn.Module | None
) -> tuple[State, State]:
    """Both state dicts with all names of every parameter.

    Raises:
        UsageError: they are not two states of one network.
    """
    before = under_all_names("initial", initial, covered.shared)
    after = under_all_names("trained", trained, covered.shared)
    check_pair(before, after, covered.masked)
    check_whole(before, model)
    return before, after


def _needed(model: nn.Module | None) -> nn.Module:
    if model is None:
        raise UsageError("a loss of your own needs the network itself.", "model= gives it")
    return model


def _selectable(select: tuple[float, float] | None, *, paper: bool) -> tuple[float, float]:
    if select is not None:
        return interval("select", select)
    return (PAPER.select_min, PAPER.select_max) if paper else (-math.inf, math.inf)


def _results(
    thresholds: Sequence[float], scores: State, covered: Coverage, found: Evaluation
) -> tuple[ThresholdResult, ...]:
    scores = {name: score for name, score in scores.items() if name not in covered.shared}
    pruneable = sum(score.numel() for score in scores.values())
    results = []
    # After the masked networks come the whole ones.
    for threshold, loss, accuracy in zip(thresholds, found.loss, found.accuracy, strict=False):
        kept = {name: int(flags.sum()) for name, flags in mask_of(scores, threshold).items()}
        results.append(
            ThresholdResult(
                threshold=threshold,
                relative_size=(sum(kept.values()) + covered.total - pruneable) / covered.total,
                kept=kept,
                val_loss=loss,
                val_accuracy=accuracy,
            )
        )
    return tuple(results)


def _best(results: Sequence[ThresholdResult], low: float, high: float) -> ThresholdResult:
    amounts, accuracies = [r.threshold for r in results], [r.val_accuracy for r in results]
    best = choose(amounts, accuracies, lambda threshold: low - 1e-9 <= threshold <= high + 1e-9)
    if best is None:
        raise UsageError(
            f"no threshold lies in {low:g} … {high:g}.", "other thresholds, or another range to select from"
        )
    return results[best]

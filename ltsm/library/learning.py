"""Supermasks that are trained: a score for each weight learns whether it is kept, and no weight moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import nn

from ltsm.core.actions import KEPT
from ltsm.core.ambient import own_state
from ltsm.core.learned import METHODS
from ltsm.errors import RunError, UsageError
from ltsm.library.arguments import function, instance, number, one_of, seed_of
from ltsm.library.mask_learning import by_autograd, by_ours
from ltsm.library.outputs import check_loss
from ltsm.library.prepared import Prepared, check_fractions, making_of
from ltsm.library.ranking import Ranking, ranked_together
from ltsm.library.supermasks import Supermask, result_of
from ltsm.library.training import our_data, plan_of
from ltsm.protocol import PAPER, MaskScope, Order
from ltsm.studies.learned import OF

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ltsm.core.datasets import Dataset
    from ltsm.core.learned import Method
    from ltsm.library.batches import Data
    from ltsm.library.by_module import Optimiser
    from ltsm.library.coverage import Kinds
    from ltsm.library.mask_learning import Learning, LearningRecord
    from ltsm.library.masked import Making
    from ltsm.library.outputs import Loss
    from ltsm.library.weights import Weights
    from ltsm.protocol import Activation
    from ltsm.studies.recipe import Learned


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearnedSupermask(Supermask):
    """What `learn_supermask` learned: a `Supermask` of one amount, by the scores that were learned.

    `amount` is 0, the score of a probability of a half, or the fraction that edge-popup keeps. `state` has the values
    that the mask keeps, rescaled where that was asked for, and the network's buffers as learning left them.
    `trained_accuracy` is NaN: nothing was trained but scores.

    Attributes:
        learned: the method and its settings.
        records: of the learning; the last one is the result's.
    """

    learned: Learned
    records: tuple[LearningRecord, ...]

    @property
    def sampled_accuracy(self) -> float:
        """The mean share of validation images that masks drawn of the probabilities classify; NaN where none is drawn."""
        return self.records[-1].sampled_accuracy

    def about(self) -> dict[str, Any]:
        """What a ticket says of how it was learned, and of what it achieves untrained, as JSON values."""
        found = {name: value for name, value in Supermask.about(self).items() if name != self.ranking.by}
        return {"learned": self.learned.method, "iterations": self.records[-1].iteration} | found

    def __repr__(self) -> str:
        """What it is and how good, without its values."""
        best, sampled = self.selected, f" (masks that are drawn: {self.sampled_accuracy:.2%})"
        return (
            f"LearnedSupermask({self.learned.method}, {self.records[-1].iteration:,} iterations,"
            f" keeps {best.relative_size:.1%}\n"
            f"  untrained, its network classifies {best.val_accuracy:.2%} of the validation images"
            f"{sampled * math.isfinite(self.sampled_accuracy)};\n"
            f"  the whole network, untrained as well, {self.initial_accuracy:.2%})"
        )


def learn_supermask(
    model: Weights,
    training: Data | Dataset,
    validation: Data | Dataset,
    *,
    initial: Weights | None = None,
    method: str = "bernoulli",
    keep: float | None = None,
    kept: str = "initial",
    rescale: bool = False,
    mask: MaskScope = "weights",
    only: Kinds | None = None,
    activation: Activation = "relu",
    optimiser: Optimiser | None = None,
    loss: Loss | None = None,
    iterations: int = PAPER.iterations,
    batch_size: int | None = None,
    lr: float | None = None,
    order: Order = "shuffled",
    seed: int = 0,
    record_every: int = PAPER.record_every,
    watch: Callable[[LearningRecord], object] | None = None,
) -> LearnedSupermask:
    """Learn a mask for a network's values as they are, without moving one of them (Zhou et al., 2019, section 5).

    Each covered value gets a score. In every step the scores make a mask, the masked network classifies a batch, and
    the gradient by the mask goes straight through to the scores. Nothing that is handed over is changed, nor anything
    of torch's state, but for what a loader counts; and nothing of that changes a result. A chain of linear layers on
    whole data is learned by our own engines, where no `optimiser` or `loss` is given; else it is the module's own
    forward pass, in training mode, on a copy.

    Args:
        model: the untrained network: a module, or a state dict of linear layers with `activation` between them.
        training: (images, labels), a loader, or a `Dataset`; a loader is gone through again and again.
        validation: as `training`; what records and result are measured on. It selects nothing.
        initial: values of `model`'s to learn a mask for; by default those that it has.
        method: "bernoulli": the sigmoid of a score is the probability of being kept, every step draws a mask, and the
            result keeps what is more probable than not (Zhou et al., 2019). "edge_popup": kept are each layer's largest
            scores by magnitude (Ramanujan et al., 2020).
        keep: the fraction of each layer that edge-popup keeps; by default a half.
        kept: what kept values become: initial, or another action of `ltsm.core.actions`, above all signed_constant.
        rescale: a layer's kept weights are multiplied by a factor of the share that is kept: its inverse (Bernoulli:
            dynamic weight rescaling), or the root of that (edge-popup).
        mask: what it covers: weights and not biases, or all parameters.
        only: the kinds of layers to cover; needed where there are others than nn.Linear, which are left alone.
        activation: see `model`.
        optimiser: makes one of the scores, e.g. `lambda s: torch.optim.Adam(s, lr=0.1)`; by default SGD with momentum,
            at a constant rate (Bernoulli) or along a cosine (edge-popup).
        loss: of logits and labels; by default cross entropy, see `find_supermask`.
        iterations: how many batches to learn from.
        batch_size: images a batch, where `training` is no loader; by default the method's: 250 (Bernoulli), 64
            (edge-popup).
        lr: the rate of the method's own optimiser; by default the method's: 100 (Bernoulli), 0.1 (edge-popup).
        order: of the images, where `training` is no loader: shuffled anew every epoch, or as they come.
        seed: of first scores, of masks that are drawn, of the shuffling, and of what the network draws at random.
        record_every: iterations between two records.
        watch: is called with every record as soon as it is made.

    Raises:
        UsageError: an argument cannot be, or the recipe does not cover the network.
        DataError: the data is no images with labels, or does not fit the network.
        RunError: the caller's own code failed, or scores have become no numbers.
    """
    one_of("kept", kept, KEPT)
    function("optimiser", optimiser)
    function("loss", loss)
    function("watch", watch)
    check_loss(loss)
    usual = _settings(method, keep, rescale, mask)
    plan = plan_of(
        iterations=iterations,
        batch_size=usual.batch_size if batch_size is None else batch_size,
        lr=usual.lr if lr is None else lr,
        order=order,
        record_every=record_every,
    )
    learned, seed = replace(usual, lr=plan.lr, batch_size=plan.batch_size), seed_of(seed)
    with own_state(seed):
        making = making_of(
            None,
            model if initial is None else initial,
            model=model if isinstance(model, nn.Module) else None,
            mask=mask,
            kept=kept,
            pruned="zero",
            only=only,
            activation=activation,
            seed=seed,
        )
        chain = making.chain if optimiser is None and loss is None else None
        ours = chain is not None and (making.model is None or chain.network.sizes[-1] > 1)
        data = our_data(chain.network, training, validation) if chain is not None and ours else None
        if chain is not None and data is not None:
            made = by_ours(making, chain, learned, plan, data, seed, watch)
        else:
            made = by_autograd(making, learned, plan, (training, validation), optimiser, loss, seed, watch)
    return _result(making, learned, made)


def _settings(method: Any, keep: Any, rescale: Any, mask: Any) -> Learned:
    """The method's settings with those that were asked for.

    Raises:
        UsageError: one cannot be.
    """
    one_of("method", method, OF)
    one_of("mask", mask, get_args(MaskScope))
    instance("rescale", rescale, bool, "True or False")
    settings = replace(OF[method], rescale=rescale, covers=mask)
    if keep is None:
        return settings
    if METHODS[method].sampled:
        raise UsageError(f"{method} learns how much is kept.", "leave keep out, or method='edge_popup'")
    share = number("keep", keep)
    check_fractions("keep", [share])
    return replace(settings, keep=share)


def _result(making: Making, learned: Learned, made: Learning) -> LearnedSupermask:
    if any(scores.isnan().any() for scores in made.scores.values()):
        raise RunError("the learning diverged: scores have become no numbers.", "a smaller lr")
    method, last = METHODS[learned.method], made.records[-1]
    ranking = Ranking(
        scores=made.scores,
        together=ranked_together(making.covered, "layer"),
        by="threshold" if method.sampled else "fraction",
        shared=making.covered.shared,
        keeps=torch.gt if method.sampled else partial(_ranked, method),
    )
    amount = 0.0 if method.sampled else learned.keep
    prepared = Prepared(making=making, ranking=ranking, wholes=(making.start, making.start))
    best = result_of(prepared, amount, last.val_loss, last.val_accuracy)
    return LearnedSupermask(
        **prepared.of(amount) | {"state": made.state},
        results=(best,),
        selected=best,
        through=made.through,
        initial_accuracy=made.initial_accuracy,
        learned=learned,
        records=made.records,
    )


def _ranked(method: Method, scores: Tensor, keep: float) -> Tensor:
    return method.mask(scores, keep, None)

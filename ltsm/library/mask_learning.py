"""How the scores of a mask are trained: by `ltsm.core`, as a sweep trains them, or by autograd through the caller's module."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from ltsm.core.engine import choose_engine
from ltsm.core.learning import SAMPLES_AT_THE_END, learn_by
from ltsm.core.mask_engine import choose_mask_engine
from ltsm.core.mask_state import fresh_mask_state
from ltsm.core.mask_training import Course, first_scores, mask_of, masked
from ltsm.core.training import record_points
from ltsm.errors import UsageError
from ltsm.library.by_module import at_hand, batches_of, optimiser_over, step, stepped
from ltsm.library.evaluation import copied, evaluate_states, whole_states
from ltsm.library.foreign import theirs
from ltsm.library.outputs import default_loss
from ltsm.library.scored import Scored
from ltsm.library.weights import load_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ltsm.core.datasets import Dataset
    from ltsm.core.learning import MaskRecord
    from ltsm.core.records import Evaluation
    from ltsm.library.batches import Data, Pair
    from ltsm.library.by_module import Optimiser
    from ltsm.library.chains import Chain
    from ltsm.library.masked import Making
    from ltsm.library.outputs import Loss
    from ltsm.library.weights import State
    from ltsm.protocol import Protocol
    from ltsm.studies.recipe import Learned

    Watch = Callable[["LearningRecord"], object]


@dataclass(frozen=True, slots=True)
class LearningRecord:
    """What is kept of a mask's learning every so many iterations: how the network of the mask learned so far does.

    Attributes:
        train_loss: the mean since the record before, of the masks that the steps were made with; NaN at first.
        density: the share of the covered parameters that is kept.
        sampled_accuracy: of masks that are drawn of the scores; NaN where the method draws none.
    """

    iteration: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    density: float
    sampled_accuracy: float


class Learning(NamedTuple):
    """What came of it: scores by parameter name, the masked state dict, records, the whole network's accuracy, and by what."""

    scores: State
    state: State
    records: tuple[LearningRecord, ...]
    initial_accuracy: float
    through: str


def by_ours(
    making: Making,
    chain: Chain,
    learned: Learned,
    plan: Protocol,
    data: Dataset,
    seed: int,
    watch: Watch | None,
) -> Learning:
    """By `ltsm.core`, as a sweep learns."""
    network, values = chain.network, chain.flat(making.dense())
    course = Course(learned, len(data.train_labels), plan.order, plan.iterations)
    judge = choose_engine(data, network, plan.changed(activation=network.activation))
    engine = choose_mask_engine(data, network, course)
    after = fresh_mask_state(network, seed, values, first_scores(network, learned, seed))
    records: list[LearningRecord] = []
    for point in record_points(0, plan.iterations, plan.record_every):
        # record by record, to the same bits, so that somebody may watch
        after, found = learn_by(engine, judge, course, after, point, plan.record_every)
        records += [_told(_plain(record), watch) for record in found]
    flat = masked(network, learned, values, mask_of(network, learned, after.scores))
    whole = judge.evaluate_parameters(chain.flat(making.start)[None])
    scores = chain.views(after.scores)
    return Learning(
        scores={name: scores[name].clone() for name in making.covered.masked},
        state={name: t.clone() for name, t in chain.views(flat).items()},
        records=tuple(records),
        initial_accuracy=whole.accuracy[0],
        through=judge.name,
    )


def _plain(record: MaskRecord) -> LearningRecord:
    return LearningRecord(*(getattr(record, field.name) for field in fields(LearningRecord)))


def _told(record: LearningRecord, watch: Watch | None) -> LearningRecord:
    if watch is not None:
        with theirs("watch"):
            watch(record)
    return record


def by_autograd(
    making: Making,
    learned: Learned,
    plan: Protocol,
    data: tuple[Data | Dataset, Data | Dataset],
    optimiser: Optimiser | None,
    loss: Loss | None,
    seed: int,
    watch: Watch | None,
) -> Learning:
    """Through a copy of the caller's module, in training mode.

    Raises:
        UsageError: there is no module, or the optimiser is over something else than the scores.
        DataError: the data, to learn from and to be measured on, is no images with labels, does not fit, or nothing can
            be learnt of it.
        RunError: the caller's own code failed.
    """
    if making.model is None:
        raise UsageError("there is no module to learn a mask through.", "hand over the module itself")
    network = copied(making.model).train()
    load_exactly(network, making.start)
    scored = Scored(network, making, learned, seed)
    batches = batches_of(network, data[0], plan, seed)
    learner = _Learner(
        scored, learned, plan, optimiser, loss or default_loss, at_hand(network, data[1], "validation")
    )
    whole = learner.evaluated(whole_states(network, [making.start]))
    records = stepped(learner.step, lambda i, loss: _told(learner.recorded(i, loss), watch), batches, plan)
    return Learning(
        scored.scores_by_name(), scored.whole_state(), tuple(records), whole.accuracy[0], "module"
    )


class _Learner:
    """Steps of the scores, each with a mask of its own, and what comes of them.

    Args:
        scored: what learns.
        learned: the method's rate and schedule, over the plan's iterations.
        plan: how long.
        make: the caller's optimiser, whose rate is the caller's.
        loss: of logits and labels.
        judged: the validation set.
    """

    def __init__(
        self,
        scored: Scored,
        learned: Learned,
        plan: Protocol,
        make: Optimiser | None,
        loss: Loss,
        judged: Data | Pair,
    ) -> None:
        # where a loader ends nobody knows: a schedule goes by iterations here, as if each were an epoch
        self._course = Course(learned, learned.batch_size, plan.order, plan.iterations)
        sgd = partial(torch.optim.SGD, lr=learned.lr, momentum=learned.momentum, weight_decay=learned.decay)
        self._scored, self._loss, self._judged, self._ours = scored, loss, judged, make is None
        self._optimiser = optimiser_over(scored.parameters(), make, sgd)

    def step(self, iteration: int, batch: Pair) -> float:
        """The step that makes this iteration, and the loss before it."""
        self._scored.iteration = iteration - 1
        for group in self._optimiser.param_groups if self._ours else ():
            group["lr"] = self._course.rate(iteration - 1)
        return step(self._scored, self._optimiser, self._loss, batch)

    def recorded(self, iteration: int, train_loss: float) -> LearningRecord:
        """How the network does now under the mask, and under some that are drawn."""
        scored, last = self._scored, iteration == self._course.iterations
        scored.iteration = iteration
        count = scored.sampled * (SAMPLES_AT_THE_END if last else 1)
        draws: list[Callable[[], State]] = [partial(scored.state, i) for i in range(count)]
        found = self.evaluated([scored.state, *draws])
        sampled = sum(found.accuracy[1:]) / count if count else math.nan
        return LearningRecord(
            iteration, train_loss, found.loss[0], found.accuracy[0], scored.density(), sampled
        )

    def evaluated(self, states: Sequence[Callable[[], State]]) -> Evaluation:
        """In evaluation mode, each state in place of the network's own."""
        network = self._scored.network.eval()
        found = evaluate_states(network, states, self._judged, self._loss)
        network.train()
        return found

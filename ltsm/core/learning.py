"""The training of a mask: `learn_by` takes a state to a later iteration, and gives what is recorded on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ltsm.core.mask_training import mask_of, masked
from ltsm.core.records import Evaluation
from ltsm.core.training import record_points

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.datasets import TestSet
    from ltsm.core.engine import Engine
    from ltsm.core.mask_engine import MaskEngine
    from ltsm.core.mask_state import MaskState
    from ltsm.core.mask_training import Course

SAMPLES_AT_THE_END = 10
"""Masks drawn to be evaluated when the training is over, as in Zhou et al.'s program; one at every other record."""


@dataclass(frozen=True, slots=True)
class MaskRecord:
    """What is kept of a mask's training every so many iterations; NaN where there is no number.

    Attributes:
        train_loss: the mean over the iterations since the record before this one, of the masks they were made with.
        val_loss: of the mask that stands for all that could be drawn; NaN where scores have become none.
        density: the share of the scored parameters that this mask keeps.
        sampled_loss: of masks that are drawn, the mean on the validation set; NaN where none is, as below.
    """

    iteration: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    test_loss: float
    test_accuracy: float
    density: float
    sampled_loss: float
    sampled_accuracy: float
    sampled_test_accuracy: float


def learn_by(
    engine: MaskEngine,
    judge: Engine,
    course: Course,
    state: MaskState,
    until: int,
    every: int,
    test: TestSet | None = None,
) -> tuple[MaskState, list[MaskRecord]]:
    """The state at iteration `until`, or at the first record without a finite loss, and the records made on the way.

    A pure function. There is a record at iteration 0, at every multiple of `every` and at `until`. Segments that end at
    such multiples give the same bits, records included, as one uninterrupted call.

    Args:
        engine: trains; it serves the course and the state's network.
        judge: evaluates networks of the state's shape.
        course: method, rates and length.
        state: where to start.
        until: the iteration to end at.
        every: iterations from record to record.
        test: measured too, and decides nothing.
    """
    engine.load(state)
    records = [record(judge, course, state, math.nan, test)] if state.iteration == 0 else []
    for point in record_points(state.iteration, until, every):
        loss = engine.train(point)
        records.append(record(judge, course, engine.state(), loss, test))
        if not math.isfinite(records[-1].val_loss):
            break
    return engine.state(), records


def record(
    judge: Engine, course: Course, state: MaskState, train_loss: float, test: TestSet | None
) -> MaskRecord:
    """How the state's mask does, and masks drawn from it where the method draws."""
    network, learned = state.network, course.learned
    mask = mask_of(network, learned, state.scores)
    kept, tested = _judged(judge, course, state, [mask], test)
    sampled, sampled_tested = _judged(judge, course, state, _samples(course, state), test)
    scored = mask[course.scored(network)]
    finite = bool(state.scores.isfinite().all())
    return MaskRecord(
        iteration=state.iteration,
        train_loss=train_loss,
        val_loss=kept.loss[0] if finite else math.nan,
        val_accuracy=kept.accuracy[0],
        test_loss=tested.loss[0],
        test_accuracy=tested.accuracy[0],
        density=float(scored.sum()) / len(scored),
        sampled_loss=_mean(sampled.loss),
        sampled_accuracy=_mean(sampled.accuracy),
        sampled_test_accuracy=_mean(sampled_tested.accuracy),
    )


def _samples(course: Course, state: MaskState) -> list[Tensor]:
    if not course.method.sampled:
        return []
    count = SAMPLES_AT_THE_END if state.iteration == course.iterations else 1
    return [course.sample(state.network, state.scores, state.seed, state.iteration, i) for i in range(count)]


def _judged(
    judge: Engine, course: Course, state: MaskState, masks: list[Tensor], test: TestSet | None
) -> tuple[Evaluation, Evaluation]:
    """How the network does with each of these masks, on the validation and on the test set; NaN without one."""
    nothing = Evaluation((math.nan,) * len(masks), (math.nan,) * len(masks))
    if not masks:
        return nothing, nothing
    models = torch.stack([masked(state.network, course.learned, state.values, mask) for mask in masks])
    found = judge.evaluate_parameters(models)
    return found, nothing if test is None else judge.evaluate_parameters(models, test)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values) if values else math.nan

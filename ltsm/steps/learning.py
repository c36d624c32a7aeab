"""What a worker does for a run that trains its mask: its state before, and an advance by a segment."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from ltsm.core.sparse_library import kernel_of
from ltsm.steps.training import Trained, dataset, engine, finite, network, test_set, weights_file
from ltsm.store.values import MaskRow, Metric

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.engine import Engine
    from ltsm.core.mask_engine import MaskEngine
    from ltsm.core.mask_state import MaskState
    from ltsm.core.mask_training import Course
    from ltsm.core.network import Network
    from ltsm.steps.training import Setup
    from ltsm.studies.recipe import Learned, Recipe

MASK_RECORDS_PER_SEGMENT = 10
"""A step of (300, 100) on batches of 250 takes a dozen times as long as one of the paper's network on 60."""


def fresh_mask(net: Network, recipe: Recipe, seed: int, values: Tensor) -> bytes:
    """The state before a mask of values (P,) is trained."""
    from ltsm.core.mask_state import fresh_mask_state, pack_mask
    from ltsm.core.mask_training import first_scores

    scores = first_scores(net, _learned(recipe), seed, recipe.draw)
    return pack_mask(fresh_mask_state(net, seed, values, scores))


def mask_engine(setup: Setup, net: Network, course: Course) -> MaskEngine:
    """What trains a mask of this network on the data at hand."""
    from ltsm.core import sparse_library
    from ltsm.core.mask_engine import choose_mask_engine

    sparse_library.use(setup.kernels)
    return choose_mask_engine(dataset(setup), net, course, setup.device)


def engines_of(setup: Setup, recipe: Recipe, net: Network) -> str:
    """The names of what trains and evaluates a mask of this network."""
    return _named(mask_engine(setup, net, course_of(setup, recipe, 0)), engine(setup, net))


def _named(learner: MaskEngine, judge: Engine) -> str:
    """By the one that trains, where the other is of its kind."""
    alike = kernel_of(learner.name) == kernel_of(judge.name)
    return learner.name if alike else f"{learner.name}+{judge.name}"


def learn(setup: Setup, state: bytes, until: int, end: int, keep: bool, recipe: Recipe) -> Trained:
    """Advance a run by a segment, to iteration `until`, with its records on the way; `end` is its last iteration.

    The mask of the last iteration is the run's, as in both papers: no record chooses among them. `keep` asks for the
    network that the mask leaves there.
    """
    from ltsm.core.learning import learn_by
    from ltsm.core.mask_state import pack_mask, unpack_mask

    began, before, every = time.perf_counter(), unpack_mask(state), setup.protocol.record_every
    course = course_of(setup, recipe, end)
    learner = mask_engine(setup, before.network, course)
    judge = engine(setup, before.network)
    after, records = learn_by(learner, judge, course, before, until, every, test_set(setup))
    metrics = tuple(Metric(**asdict(record)) for record in records)
    ended = after.iteration == end or not finite(metrics)
    row = _mask_row(course, after, metrics[-1]) if ended else None
    dense = network(setup, setup.protocol.hidden).parameters
    return Trained(
        iteration=after.iteration,
        metrics=metrics,
        state=pack_mask(after),
        weights=_network_left(course, after) if ended or keep else b"",
        ended=ended,
        seconds=time.perf_counter() - began,
        engine=_named(learner, judge),
        masks=(row,) if row else (),
        relative_size=sum(row.layer_sizes) / dense if row else None,
    )


def course_of(setup: Setup, recipe: Recipe, iterations: int) -> Course:
    """How the recipe's mask is trained on the data at hand."""
    from ltsm.core.mask_training import Course

    images = len(dataset(setup).train_images)
    return Course(_learned(recipe), images, setup.protocol.order, iterations, recipe.draw)


def _learned(recipe: Recipe) -> Learned:
    assert recipe.learned is not None  # noqa: S101 - a study has no other that trains its mask
    return recipe.learned


def _mask_row(course: Course, state: MaskState, last: Metric) -> MaskRow:
    """The rounded mask of a state, and how it did in that iteration's record."""
    from ltsm.core.mask_training import histogram, mask_of
    from ltsm.core.masking import pack_bits

    mask = mask_of(state.network, course.learned, state.scores)
    kept = tuple(int(mask[layer.parameters].sum()) for layer in state.network.layers)
    return MaskRow(
        run_id=0,
        seed=state.seed,
        amount=last.density,
        relative_size=sum(kept) / state.network.parameters,
        layer_sizes=kept,
        val_loss=last.val_loss,
        val_accuracy=last.val_accuracy,
        selected=True,
        bits=pack_bits(mask),
        amount_by="fraction",
        test_loss=last.test_loss,
        test_accuracy=last.test_accuracy,
        probabilities=histogram(state.network, course.learned, state.scores),
    )


def _network_left(course: Course, state: MaskState) -> bytes:
    """The weights file of the network that the rounded mask leaves, rescaled where that is asked for."""
    from ltsm.core.mask_training import mask_of, masked

    mask = mask_of(state.network, course.learned, state.scores)
    return weights_file(state.network, masked(state.network, course.learned, state.values, mask))

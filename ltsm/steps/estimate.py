"""How long a plan will take on this machine, and how much disk: estimates, from a short measurement."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from ltsm.core.learned import METHODS
from ltsm.steps.learning import mask_engine
from ltsm.steps.plan import expected_iterations
from ltsm.steps.training import dataset, engine, network, test_set
from ltsm.studies.recipe import Masking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ltsm.core.network import Network
    from ltsm.steps.training import Setup
    from ltsm.studies.recipe import Learned
    from ltsm.studies.study import RunKey, Study

BYTES_A_RECORD, BYTES_A_RUN = 50, 3_000
"""What a record takes in the store, and a run's rows with their provenance and seals."""
ITERATIONS = 60
"""So many iterations tell a shape's pace to some per cent, within a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds on all workers together, and bytes of disk."""

    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class _Pace:
    """Seconds that an iteration and a record take for one shape, and its parameters."""

    iteration: float
    record: float
    parameters: int


def estimate(setup: Setup, study: Study, runs: Iterable[RunKey], jobs: int) -> Estimate:
    """What these runs will take on so many workers: each shape is trained for a moment on the data itself.

    Raises:
        DataError: the data is not there.
    """
    counts = Counter(run.recipe for run in runs)
    shapes = {name: (study.recipes[name].hidden, study.recipes[name].learned) for name in counts}
    paces = {shape: _pace(setup, *shape) for shape in set(shapes.values())}
    found = {name: _of_recipe(setup, study, name, paces[shapes[name]]) for name in counts}
    seconds = sum(count * found[name].seconds for name, count in counts.items())
    return Estimate(seconds / jobs, sum(count * found[name].bytes for name, count in counts.items()))


def _of_recipe(setup: Setup, study: Study, name: str, pace: _Pace) -> Estimate:
    recipe, iterations = study.recipes[name], expected_iterations(study, name)
    records = iterations // setup.protocol.record_every + 1
    amounts = len(recipe.mask.amounts) if isinstance(recipe.mask, Masking) else int(recipe.makes_mask)
    trains = recipe.trains != "nothing"
    stays = trains and name not in study.passing
    files = (stays + (trains and recipe.owns_start) + len(recipe.keep)) * 4 * pace.parameters
    rows = BYTES_A_RUN + trains * records * BYTES_A_RECORD + amounts * (pace.parameters // 8 + 100)
    drawn = recipe.learned is not None and METHODS[recipe.learned.method].sampled
    evaluated = amounts + trains * records * (1 + drawn)
    return Estimate(trains * iterations * pace.iteration + evaluated * pace.record, files + rows)


def _pace(setup: Setup, hidden: tuple[int, ...], learned: Learned | None) -> _Pace:
    """Train a network of this shape for a moment, or its mask, and evaluate it."""
    from ltsm.core.network import initial_values
    from ltsm.core.state import fresh_state

    net, test = network(setup, hidden), test_set(setup)
    sets = [None] if test is None else [None, test]
    chosen = engine(setup, net)
    chosen.load(fresh_state(net, (0,), initial_values(net, 0, "benchmark")[None]))
    train = chosen.train if learned is None else _learning(setup, net, learned)
    train(5)
    began = perf_counter()
    train(5 + ITERATIONS)
    trained = perf_counter()
    for _ in range(2):
        for on in sets:
            chosen.evaluate(on)
    evaluated = perf_counter()
    return _Pace((trained - began) / ITERATIONS, (evaluated - trained) / 2, net.parameters)


def _learning(setup: Setup, net: Network, learned: Learned) -> Callable[[int], object]:
    """Trains a mask of the network up to an iteration."""
    from ltsm.core.mask_state import fresh_mask_state
    from ltsm.core.mask_training import Course, first_scores
    from ltsm.core.network import initial_values

    data = dataset(setup)
    course = Course(learned, len(data.train_images), setup.protocol.order, ITERATIONS)
    learner = mask_engine(setup, net, course)
    values = initial_values(net, 0, "benchmark")
    learner.load(fresh_mask_state(net, 0, values, first_scores(net, learned, 0)))
    return learner.train

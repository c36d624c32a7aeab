"""Dropped files made again: the same values, the same training, and believed only if they are the same bits.

No row but the file's changes: records, states and whatever is built on the run stay as they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from ltsm.errors import RunError
from ltsm.steps import inputs
from ltsm.steps.first import first_state
from ltsm.steps.training import train
from ltsm.store import artifacts, drop
from ltsm.studies.names import named
from ltsm.studies.recipe import Mask, Weights
from ltsm.studies.study import RunKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.steps.experiment import Experiment
    from ltsm.store.values import File
    from ltsm.studies.recipe import Recipe

    Contents = dict[tuple[str, int], bytes]


def rebuild(experiment: Experiment, keys: Sequence[RunKey]) -> Iterator[RunKey]:
    """Make all dropped files of these runs again, and first those of others that they are made from.

    Each run is in the store when it comes out.

    Raises:
        RunError: what came out is not what was dropped.
        LtsmError: as the steps do.
    """
    for key in keys:
        yield from _again(experiment, key, experiment.run(key).dropped)


def _again(experiment: Experiment, key: RunKey, wanted: Sequence[File]) -> Iterator[RunKey]:
    recipe = experiment.study.recipes[key.recipe]
    own = [file for file in wanted if file.role != "initial" or recipe.owns_start]
    if len(own) < len(wanted) and isinstance(recipe.start, Weights):  # they are in that run's file
        yield from _source(experiment, recipe.start, key.seed)
    if own:
        recipe = _with_stored_mask(key, recipe)
        for weights in dict.fromkeys(inputs.weights_of(recipe).values()):
            yield from _source(experiment, weights, key.seed)
        _write(experiment, key, own, _contents(experiment, key, recipe, own))
        yield key


def _source(experiment: Experiment, weights: Weights, seed: int) -> Iterator[RunKey]:
    """The file that these weights are in, if it was dropped."""
    key = RunKey(weights.of, seed)
    role, iteration = inputs.place(weights)
    dropped = experiment.run(key).dropped
    yield from _again(
        experiment, key, [f for f in dropped if f.role == role and iteration in {None, f.iteration}]
    )


def _with_stored_mask(key: RunKey, recipe: Recipe) -> Recipe:
    """The recipe with the mask that its run has made, so that nobody needs the weights which that was made from.

    What becomes of weights may follow from those, too: then they are needed.
    """
    if not recipe.makes_mask or (recipe.kept, recipe.pruned) != ("initial", "zero"):
        return recipe
    return replace(recipe, mask=Mask(key.recipe))


def _contents(experiment: Experiment, key: RunKey, recipe: Recipe, files: Sequence[File]) -> Contents:
    """The bytes of a run's files by role and iteration, trained no further than they ask for."""
    setup = experiment.setup
    first = first_state(setup, recipe, key.seed, inputs.gather(experiment, key, recipe))
    found: Contents = {("initial", 0): first.initial}
    state = first.state
    for at in sorted({file.iteration for file in files if file.role != "initial"}):
        trained = train(setup, state, at, at)
        state, weights = trained.state, trained.weights
        found |= {("kept", at): weights, ("final", at): weights}
    return found


def _write(experiment: Experiment, key: RunKey, files: Sequence[File], contents: Contents) -> None:
    store = experiment.store
    for file in files:
        content = contents[file.role, file.iteration]
        if hashlib.sha256(content).hexdigest() != file.artifact.sha256:
            engines = experiment.run(key).device
            raise RunError(
                f"the {file.role} weights of {named(key)} come out differently here; they were computed by {engines}.",
                "the machine and the versions that ltsm runs show ID names; or a sweep with --force",
            )
        artifacts.write(store.folder, file.artifact.path, content)
    drop.restore_files(store, [file.artifact for file in files], experiment.now())

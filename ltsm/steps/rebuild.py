"""Dropped files made again: the same values, the same training, and believed only if they are the same bits.

No row but the file's changes: records, states and whatever is built on the run stay as they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ltsm.errors import RunError
from ltsm.steps import inputs
from ltsm.steps.first import first_state
from ltsm.steps.jobs import segment
from ltsm.steps.plan import of_study
from ltsm.store import artifacts, drop, read
from ltsm.studies.names import named
from ltsm.studies.recipe import Mask, Weights
from ltsm.studies.study import RunKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from ltsm.steps.experiment import Experiment
    from ltsm.store.values import File
    from ltsm.studies.recipe import Recipe

    Contents = dict[tuple[str, int], bytes]


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """Makes dropped files again, one run after the other, each in the store when it comes out.

    Args:
        experiment: the study, the store and all that its runs share.
        worker: what computes; a process of its own, as the runs had.
    """

    experiment: Experiment
    worker: Executor

    def runs(self, keys: Iterable[RunKey]) -> Iterator[RunKey]:
        """All dropped files of these runs, and first those of others that they are made from.

        Raises:
            RunError: what came out is not what was dropped.
            LtsmError: as the steps do.
        """
        for key in keys:
            yield from self._again(key, self.experiment.run(key).dropped)

    def sources(self, keys: Iterable[RunKey]) -> Iterator[RunKey]:
        """What these runs are to be made from and was dropped. Raises as `runs` does."""
        store, study = self.experiment.store, self.experiment.study
        lacking = of_study(study, read.lacking(store, self.experiment.protocol_id))
        wanted = (
            (w, key.seed) for key in keys for w in inputs.weights_of(study.recipes[key.recipe]).values()
        )
        for weights, seed in dict.fromkeys(wanted):
            if RunKey(weights.of, seed) in lacking:  # one query of all: one of each takes milliseconds
                yield from self._source(weights, seed)

    def _again(self, key: RunKey, wanted: Sequence[File]) -> Iterator[RunKey]:
        recipe = self.experiment.study.recipes[key.recipe]
        own = [file for file in wanted if file.role != "initial" or recipe.owns_start]
        if len(own) < len(wanted) and isinstance(recipe.start, Weights):  # they are in that run's file
            yield from self._source(recipe.start, key.seed)
        if own:
            recipe = _with_stored_mask(key, recipe)
            for weights in dict.fromkeys(inputs.weights_of(recipe).values()):
                yield from self._source(weights, key.seed)
            _write(self.experiment, key, own, self._contents(key, recipe, own))
            yield key

    def _source(self, weights: Weights, seed: int) -> Iterator[RunKey]:
        """The file that these weights are in, if it was dropped."""
        key = RunKey(weights.of, seed)
        role, iteration = inputs.place(weights)
        dropped = self.experiment.run(key).dropped
        yield from self._again(
            key, [f for f in dropped if f.role == role and iteration in {None, f.iteration}]
        )

    def _contents(self, key: RunKey, recipe: Recipe, files: Sequence[File]) -> Contents:
        """The bytes of a run's files by role and iteration, trained no further than they ask for."""
        setup = self.experiment.setup_for(self.experiment.run(key).device)
        given = inputs.gather(self.experiment, key, recipe)
        end = inputs.iterations(self.experiment, key)
        first = self.worker.submit(first_state, setup, recipe, key.seed, given).result()
        found: Contents = {("initial", 0): first.initial}
        state = first.state
        for at in sorted({file.iteration for file in files if file.role != "initial"}):
            call = segment(setup, recipe, state, at, end)
            trained = self.worker.submit(call.func, *call.args).result()
            state, weights = trained.state, trained.weights
            found |= {("kept", at): weights, ("final", at): weights}
        return found


def _with_stored_mask(key: RunKey, recipe: Recipe) -> Recipe:
    """The recipe with the mask that its run has made, so that nobody needs the weights which that was made from.

    What becomes of weights may follow from those, too: then they are needed. A mask that is trained is no part of the
    first state.
    """
    made = recipe.makes_mask and recipe.trains != "mask"
    as_they_are = (recipe.kept, recipe.pruned) == ("initial", "zero")
    return replace(recipe, mask=Mask(key.recipe)) if made and as_they_are else recipe


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
    for file in files:
        artifacts.write(store.folder, file.artifact.path, contents[file.role, file.iteration])
    drop.restore_files(store, [file.artifact for file in files], experiment.now())

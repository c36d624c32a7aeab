"""What a run is made from, read from the store by the process that drives: other runs' weights and masks.

Weights that were for one other run alone are dropped when that one is done: in a store of long chains they are most of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ltsm.errors import RunError, StoreError
from ltsm.grammar import rebuild
from ltsm.store import artifacts, drop, read
from ltsm.store.values import FINISHED
from ltsm.studies.names import named
from ltsm.studies.recipe import BestOf, Mask, Masking, Weights
from ltsm.studies.study import RunKey

if TYPE_CHECKING:
    from ltsm.steps.experiment import Experiment
    from ltsm.store.values import Artifact, Role
    from ltsm.studies.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Inputs:
    """Bytes by role: of weights files (start, before, after), and of masks as the store keeps them (mask, within).

    `covers` is what the run's mask may prune: all parameters, or weights.
    """

    weights: dict[str, bytes] = field(default_factory=dict)
    masks: dict[str, bytes] = field(default_factory=dict)
    covers: str = "all"


def weights_of(recipe: Recipe) -> dict[str, Weights]:
    """Whose weights a first state is made from, by role."""
    mask = recipe.mask
    weights = {"start": recipe.start, "after": recipe.after}
    if isinstance(mask, Masking):
        weights |= {"before": mask.before, "after": mask.after}
    return {role: w for role, w in weights.items() if isinstance(w, Weights)}


def gather(experiment: Experiment, key: RunKey, recipe: Recipe | None = None) -> Inputs:
    """What the worker needs to make a run's first state, by its recipe or by this one.

    Raises:
        RunError: what it is made from will never be there, or was dropped.
        StoreError: a file is missing or damaged, or a run has no mask.
    """
    recipe = recipe or experiment.study.recipes[key.recipe]
    mask, wanted = recipe.mask, weights_of(recipe)
    masks = {"within": mask.within} if isinstance(mask, Masking) else {"mask": mask}
    # each file once: in a search the start values are those before training
    folder = experiment.store.folder
    content = {
        w: artifacts.read(folder, file_of(experiment, w, key.seed)) for w in dict.fromkeys(wanted.values())
    }
    return Inputs(
        {role: content[w] for role, w in wanted.items()},
        {role: _mask(experiment, m, key.seed) for role, m in masks.items() if isinstance(m, Mask)},
        experiment.study.covers(key.recipe),
    )


def place(weights: Weights) -> tuple[Role, int | None]:
    """The role of the file that these weights are in, and its iteration where that is asked for."""
    return ("kept", weights.at) if isinstance(weights.at, int) else (weights.at, None)


def file_of(experiment: Experiment, weights: Weights, seed: int) -> Artifact:
    """The file that these weights are in.

    Raises:
        RunError: their run has ended and never came to that iteration; or they were dropped.
        StoreError: their run has none yet.
    """
    key = RunKey(weights.of, seed)
    run = experiment.run(key)
    at = weights.at
    role, iteration = place(weights)
    found = run.file(role, iteration)
    if found is None and run.written(role, iteration) is not None:
        raise RunError(
            f"the {at} weights of {named(key)} were dropped: {rebuild(run, experiment.store.path)} makes them again."
        )
    if found is None and run.state in FINISHED:
        raise RunError(
            f"{named(key)} has no weights of iteration {at}: {run.error or 'it ended before'}",
            "a smaller --lr",
        )
    if found is None:
        raise StoreError(f"{named(key)} has no {at} weights yet.", "run that step first")
    return found


def iterations(experiment: Experiment, key: RunKey) -> int:
    """How long a run trains.

    Raises:
        StoreError: as long as another run's best iteration, and that one has none.
    """
    wanted = experiment.study.recipes[key.recipe].iterations
    if not isinstance(wanted, BestOf):
        return wanted
    source = RunKey(wanted.of, key.seed)
    best = experiment.run(source).best_iteration
    if best is None:
        raise StoreError(
            f"the {source.recipe} of seed {key.seed} has no finite loss to stop at.", "a smaller --lr"
        )
    return best


def _mask(experiment: Experiment, mask: Mask, seed: int) -> bytes:
    key = RunKey(mask.of, seed)
    found = read.selected_mask(experiment.store, experiment.run(key).id)
    if found is None:
        raise StoreError(f"{named(key)} has no mask yet.", "run that step first")
    return found.bits


def drop_spent(experiment: Experiment, done: RunKey) -> None:
    """Drop what this run was made from, of recipes whose weights were for its alone.

    Not before it is done: until then it may have to begin again. A kill in between leaves them, which costs space alone.
    """
    study = experiment.study
    wanted = dict.fromkeys(weights_of(study.recipes[done.recipe]).values())
    for weights in (w for w in wanted if w.of in study.passing and w.at == "final"):
        run = experiment.run(RunKey(weights.of, done.seed))
        files = [file for file in run.files if file.role == place(weights)[0]]
        drop.drop_files(experiment.store, {run.id: files}, experiment.now())

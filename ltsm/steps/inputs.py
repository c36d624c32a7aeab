"""What a run is made from, read from the store by the process that drives: other runs' weights and masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ltsm.errors import RunError, StoreError
from ltsm.store import artifacts, read
from ltsm.store.values import FINISHED
from ltsm.studies.names import named
from ltsm.studies.recipe import BestOf, Mask, Masking, Weights
from ltsm.studies.study import RunKey

if TYPE_CHECKING:
    from ltsm.steps.experiment import Experiment
    from ltsm.store.values import Artifact


@dataclass(frozen=True, slots=True)
class Inputs:
    """Bytes by role: of weights files (start, before, after), and of masks as the store keeps them (mask, within).

    `covers` is what the run's mask may prune: all parameters, or weights.
    """

    weights: dict[str, bytes] = field(default_factory=dict)
    masks: dict[str, bytes] = field(default_factory=dict)
    covers: str = "all"


def gather(experiment: Experiment, key: RunKey) -> Inputs:
    """What the worker needs to make a run's first state.

    Raises:
        RunError: what it is made from will never be there.
        StoreError: a file is missing or damaged, or a run has no mask.
    """
    recipe = experiment.study.recipes[key.recipe]
    mask = recipe.mask
    weights = {"start": recipe.start, "after": recipe.after}
    masks = {"mask": mask}
    if isinstance(mask, Masking):
        weights |= {"before": mask.before, "after": mask.after}
        masks = {"within": mask.within}
    wanted = {role: w for role, w in weights.items() if isinstance(w, Weights)}
    # each file once: in a search the start values are those before training
    content = {w: _weights(experiment, w, key.seed) for w in dict.fromkeys(wanted.values())}
    return Inputs(
        {role: content[w] for role, w in wanted.items()},
        {role: _mask(experiment, m, key.seed) for role, m in masks.items() if isinstance(m, Mask)},
        experiment.study.covers(key.recipe),
    )


def file_of(experiment: Experiment, weights: Weights, seed: int) -> Artifact:
    """The file that these weights are in.

    Raises:
        RunError: their run has ended and never came to that iteration.
        StoreError: their run has none yet.
    """
    key = RunKey(weights.of, seed)
    run = experiment.run(key)
    at = weights.at
    found = run.file("kept", at) if isinstance(at, int) else run.file(at)
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


def _weights(experiment: Experiment, weights: Weights, seed: int) -> bytes:
    return artifacts.read(experiment.store.folder, file_of(experiment, weights, seed))


def _mask(experiment: Experiment, mask: Mask, seed: int) -> bytes:
    key = RunKey(mask.of, seed)
    found = read.selected_mask(experiment.store, experiment.run(key).id)
    if found is None:
        raise StoreError(f"{named(key)} has no mask yet.", "run that step first")
    return found.bits

"""Weights that were for one other run alone, dropped when that one is done: in a store of long chains they are most of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.steps.inputs import place, weights_of
from ltsm.store import drop
from ltsm.studies.study import RunKey

if TYPE_CHECKING:
    from ltsm.steps.experiment import Experiment


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

"""A run under way: what its worker shall do next, and how what came back is written to the store."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ltsm.errors import StoreError
from ltsm.steps import inputs
from ltsm.steps.first import FirstState, first_state
from ltsm.steps.learning import MASK_RECORDS_PER_SEGMENT, learn
from ltsm.steps.training import Trained, finite, train
from ltsm.store import artifacts, write
from ltsm.store.values import Beginning, Segment
from ltsm.studies.names import named
from ltsm.studies.recipe import Weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ltsm.steps.experiment import Experiment
    from ltsm.steps.training import Setup
    from ltsm.store.values import Artifact, Metric, RunRow, State
    from ltsm.studies.recipe import Recipe
    from ltsm.studies.study import RunKey

log = logging.getLogger(__name__)


def segment(setup: Setup, recipe: Recipe, state: bytes, until: int, end: int) -> partial[Any]:
    """What a worker calls to take a run of the recipe to iteration `until`; `end` is its last."""
    how = (setup, state, until, end, until in recipe.keep)
    return partial(learn, *how, recipe) if recipe.trains == "mask" else partial(train, *how)


@dataclass(slots=True)
class Job:
    """A run being made: first its state before training, then segment by segment; or its masks alone."""

    key: RunKey
    experiment: Experiment
    run: RunRow = field(init=False)
    recipe: Recipe = field(init=False)
    iteration: int = 0
    iterations: int = 0
    state: bytes = b""
    ended: State | None = None
    _records: int = 0
    _engines: str = ""
    _provenance: dict[str, Any] = field(default_factory=dict)
    _where: Mapping[str, Any] = field(default_factory=dict)
    _goes_on: bool = False
    _inputs: inputs.Inputs = field(default_factory=inputs.Inputs)

    def __post_init__(self) -> None:
        self.recipe = self.experiment.study.recipes[self.key.recipe]
        self.run = self.experiment.run(self.key)
        learns = self.recipe.trains == "mask"
        usual = MASK_RECORDS_PER_SEGMENT if learns else self.experiment.setup.records_per_segment
        self._records = self.experiment.records.get(self.key.recipe, usual)
        self.iterations = inputs.iterations(self.experiment, self.key)
        self._take_up()

    def placed(self, where: Mapping[str, Any]) -> None:
        """Its next segment is computed there: what provenance says of another machine, nothing of this one."""
        goes_on, self._goes_on = self._goes_on or (bool(self.state) and where != self._where), False
        self._where = where
        if goes_on:
            now, experiment = self.experiment.now(), self.experiment
            entry = {"at": now.isoformat(), **experiment.provenance, **where}
            resumed = [*self._provenance.get("resumed", []), entry]
            self._provenance = {**self._provenance, "resumed": resumed}
            write.go_on(experiment.store, self.run.id, provenance=self._provenance, now=now)

    def prepare(self) -> None:
        """Read what a first state is made from, where there is none yet.

        Raises:
            LtsmError: as `inputs.gather`.
        """
        if not self.state:
            self._inputs = inputs.gather(self.experiment, self.key)

    def call(self) -> partial[Any] | None:
        """What the worker shall do next; None when the run has ended."""
        if self.ended is not None:
            return None
        setup, seed = self.experiment.setup_for(self._engines), self.key.seed
        if not self.state:
            return partial(first_state, setup, self.recipe, seed, self._inputs)
        length = self._records * setup.protocol.record_every
        stops = [(self.iteration // length + 1) * length, self.iterations, *self.recipe.keep]
        until = min(stop for stop in stops if stop > self.iteration or stop == self.iterations)
        return segment(setup, self.recipe, self.state, until, self.iterations)

    def receive(self, result: FirstState | Trained) -> None:
        """Take in what the worker made, so that the next call can be made before it is written."""
        self.state = result.state
        if isinstance(result, FirstState):
            self.ended = "done" if self.recipe.trains == "nothing" else None
            return
        self.iteration = result.iteration
        setup = self.experiment.setup
        if result.seconds < setup.short and setup.device == "cpu":  # elsewhere it is a lane's share
            self._records = self.experiment.records[self.key.recipe] = 2 * self._records
        if result.ended:
            self.ended = (
                "done" if self.iteration == self.iterations and finite(result.metrics) else "diverged"
            )

    def commit(self, result: FirstState | Trained) -> Sequence[Metric]:
        """Write it to the store: files first, then their rows. The new records come back."""
        if isinstance(result, FirstState):
            self._commit_first(result)
            return ()
        self._commit_segment(result)
        return result.metrics

    def stop(self, state: State, error: str | None = None) -> None:
        """The run stops here; its records and checkpoint stay."""
        write.stop(self.experiment.store, self.run.id, state, error, self.experiment.now())

    def _take_up(self) -> None:
        """Go on from the run's last checkpoint that can be believed, if it has one."""
        run, experiment = self.run, self.experiment
        self._engines = run.device or ""
        if run.checkpoint is None:
            return
        try:
            self.state = artifacts.read(experiment.store.folder, run.checkpoint)
        except StoreError as error:
            self._step_back(error)
            return
        self.iteration, self._provenance, self._goes_on = run.iteration, run.provenance, True

    def _step_back(self, damage: StoreError) -> None:
        """The last checkpoint is damaged: go on from the one before it, else from the beginning."""
        run, store, now = self.run, self.experiment.store, self.experiment.now()
        before = [f.iteration for f in run.files if f.role == "checkpoint" and f.iteration < run.iteration]
        if not before:
            log.warning("%s starts again: %s", named(self.key), damage.message)
            write.reset(store, [run.id], now)
        else:
            log.warning("%s goes back to iteration %s: %s", named(self.key), before[0], damage.message)
            write.rewind(store, run.id, now)
        self.run = self.experiment.run(self.key)
        self._take_up()

    def _commit_first(self, result: FirstState) -> None:
        experiment = self.experiment
        self._engines = result.engine
        self._provenance = {**experiment.provenance, **self._where, "data_sha256": result.digest}
        beginning = Beginning(
            iterations=self.iterations,
            initial=self._initial(result),
            inputs=result.sizes[0],
            classes=result.sizes[-1],
            parameters=result.parameters,
            relative_size=result.relative_size,
            device=result.engine,
            provenance=self._provenance,
            masks=result.masks,
        )
        write.begin(experiment.store, self.run.id, beginning, experiment.now())

    def _initial(self, result: FirstState) -> Artifact | None:
        """The file of the start values: written now, or another run's."""
        if self.recipe.trains == "nothing":
            return None
        if result.initial:
            return self._written("initial", result.initial)
        assert isinstance(self.recipe.start, Weights)  # noqa: S101 - else the values are its own
        return inputs.file_of(self.experiment, self.recipe.start, self.key.seed)

    def _commit_segment(self, result: Trained) -> None:
        experiment, at = self.experiment, result.iteration
        keeps = at in self.recipe.keep
        segment = Segment(
            metrics=result.metrics,
            iteration=at,
            state=(self.ended if result.ended else None) or "running",
            seconds=result.seconds,
            checkpoint=None if result.ended else self._written(f"checkpoint-{at}", result.state),
            final=self._written("final", result.weights) if result.ended else None,
            kept={at: self._written(f"kept-{at}", result.weights)} if keeps else {},
            error=f"diverged by iteration {at}" if self.ended == "diverged" else None,
            device=self._engines_with(result.engine),
            masks=result.masks,
            relative_size=result.relative_size,
        )
        for file in write.record(experiment.store, self.run.id, segment, experiment.now()):
            artifacts.remove(experiment.store.folder, file)

    def _written(self, name: str, content: bytes) -> Artifact:
        path = f"{self.experiment.folder(self.key)}/{name}.safetensors"
        return artifacts.write(self.experiment.store.folder, path, content)

    def _engines_with(self, now: str) -> str:
        """All engines that computed this run. A second one is said: the bits are no longer those of either alone."""
        engines = [name for name in self._engines.split(", ") if name]
        if now not in engines:
            if engines:
                log.warning(
                    "%s was begun by the engine %s and goes on with %s: its bits are its own",
                    named(self.key),
                    self._engines,
                    now,
                )
            self._engines = ", ".join([*engines, now])
        return self._engines

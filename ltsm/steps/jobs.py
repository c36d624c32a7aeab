"""A task under way: what its worker shall do next, and how what came back is written to the store."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ltsm.errors import StoreError
from ltsm.steps import baseline, hyperop, supermask, ticket
from ltsm.steps.plan import Task
from ltsm.steps.training import Fresh, Place, Stretch, finite, stretch
from ltsm.store import artifacts, read, write
from ltsm.store.values import Artifact, MaskRow, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ltsm.store.engine import Store
    from ltsm.store.values import Metric, RunRow, State

log = logging.getLogger(__name__)


class Call(NamedTuple):
    """A function for a worker and its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(slots=True)
class Setting:
    """What all tasks of one command share. `now` is asked for the time, never the clock."""

    store: Store
    protocol_id: int
    place: Place
    now: Callable[[], datetime]
    provenance: dict[str, Any]
    files: str = field(init=False)
    """The name of the folders for this store's files of the protocol: not those of another store beside it."""

    def __post_init__(self) -> None:
        begun = next(p.created_at for p in read.protocols(self.store) if p.id == self.protocol_id)
        moment = hashlib.sha256(begun.isoformat().encode()).hexdigest()
        self.files = f"{self.place.protocol.fingerprint[:12]}-{moment[:12]}"

    def run(self, task: Task) -> RunRow:
        """The task's run as stored.

        Raises:
            StoreError: it was never planned.
        """
        row = read.find_run(self.store, self.protocol_id, task.spec(self.place.protocol))
        if row is None:
            raise StoreError(f"the store has no run for {task}.", "ltsm db check")
        return row

    def content(self, task: Task, which: str) -> bytes:
        """A weights file of another task's run, checked.

        Raises:
            StoreError: it is missing or damaged.
        """
        artifact: Artifact | None = getattr(self.run(task), which)
        if artifact is None:
            raise StoreError(f"{task} has no {which} weights yet.", "run that step first")
        return artifacts.read(self.store.folder, artifact)

    def keep_traceback(self, task: Task, error: BaseException) -> str:
        """Write what a worker noted of an error to a log file beside the store; where, to be added to its message."""
        notes = "\n".join(getattr(error, "__notes__", []))
        if not notes:
            return ""
        sizes = "-".join(map(str, task.hidden))
        path = f"logs/{self.files}/seed-{task.seed}-{task.step}-{sizes}.log"
        artifacts.write(self.store.folder, path, notes.encode())
        return f" (traceback: {path})"

    def folder(self, run: RunRow) -> str:
        """Where this run's files lie, relative to the store."""
        sizes = "-".join(map(str, run.hidden))
        return f"weights/{self.files}/seed-{run.seed}/{run.kind}-{sizes}"


@dataclass(slots=True)
class Training:
    """A run being trained, segment by segment."""

    task: Task
    setting: Setting
    run: RunRow = field(init=False)
    iteration: int = 0
    iterations: int = 0
    state: bytes = b""
    ended: State | None = None

    def __post_init__(self) -> None:
        self.run = self.setting.run(self.task)
        self.iterations = self._length()
        self._take_up()

    def call(self) -> Call | None:
        """What the worker shall do next; None when the run has ended."""
        if self.ended is not None:
            return None
        place = self.setting.place
        if not self.state:
            return self._first_call(place)
        segment = place.records_per_segment * place.protocol.record_every
        until = min((self.iteration // segment + 1) * segment, self.iterations)
        return Call(stretch, (place, self.state, until, self.iterations))

    def receive(self, result: Fresh | Stretch) -> None:
        """Take in what the worker made, so that the next call can be made before it is written."""
        self.state = result.state
        if isinstance(result, Stretch):
            self.iteration = result.iteration
            if result.final:
                self.ended = (
                    "done" if self.iteration == self.iterations and finite(result.metrics) else "diverged"
                )

    def commit(self, result: Fresh | Stretch) -> Sequence[Metric]:
        """Write it to the store: files first, then their row. The new records come back."""
        if isinstance(result, Fresh):
            self._commit_fresh(result)
            return ()
        self._commit_stretch(result)
        return result.metrics

    def stop(self, state: State, error: str | None = None) -> None:
        """The run stops here; its records and checkpoint stay."""
        write.stop(self.setting.store, self.run.id, state, error, self.setting.now())

    def _length(self) -> int:
        if self.task.step != "baseline":
            return self.task.spec(self.setting.place.protocol).iterations
        needed = self.task.needs
        best = self.setting.run(needed).best_iteration if needed else None
        if best is None:
            raise StoreError(
                f"the initial training of seed {self.task.seed} has no finite loss to stop at.",
                "a smaller --lr",
            )
        return best

    def _take_up(self) -> None:
        """Go on from the run's last checkpoint that can be believed, if it has one."""
        run, store = self.run, self.setting.store
        if run.checkpoint is None:
            return
        try:
            self.state = artifacts.read(store.folder, run.checkpoint)
        except StoreError as error:
            self._step_back(error)
            return
        self.iteration = run.iteration
        now = self.setting.now()
        resumed = [*run.provenance.get("resumed", []), {"at": now.isoformat(), **self.setting.provenance}]
        write.go_on(store, run.id, provenance={**run.provenance, "resumed": resumed}, now=now)

    def _step_back(self, damage: StoreError) -> None:
        """The last checkpoint is damaged: go on from the one before it, else from the beginning."""
        run, store, now = self.run, self.setting.store, self.setting.now()
        if run.previous is None:
            log.warning("%s starts again: %s", self.task, damage.message)
            write.reset(store, [run.id], now)
        else:
            log.warning("%s goes back to iteration %s: %s", self.task, run.previous_iteration, damage.message)
            write.rewind(store, run.id, now)
        self.run = self.setting.run(self.task)
        self._take_up()

    def _first_call(self, place: Place) -> Call:
        seed, hidden, setting = self.task.seed, self.task.hidden, self.setting
        first = Task("initial", seed, hidden)
        match self.task.step:
            case "initial":
                return Call(baseline.initial_training, (place, seed))
            case "baseline":
                return Call(baseline.retraining, (place, seed, setting.content(first, "initial")))
            case "ticket":
                mask = read.selected_mask(setting.store, setting.run(Task("baseline", seed, hidden)).id)
                if mask is None:
                    raise StoreError(
                        f"seed {seed} has no supermask yet.", f"ltsm find-supermask --seed {seed}"
                    )
                return Call(ticket.training, (place, seed, setting.content(first, "initial"), mask.bits))
            case _:
                return Call(hyperop.training, (place, seed, hidden))

    def _commit_fresh(self, result: Fresh) -> None:
        setting = self.setting
        if self.task.step in {"baseline", "ticket"}:
            initial = setting.run(Task("initial", self.task.seed, self.task.hidden)).initial
            assert initial is not None  # noqa: S101 - _first_call read it
        else:
            path = f"{setting.folder(self.run)}/initial.safetensors"
            initial = artifacts.write(setting.store.folder, path, result.initial)
        write.start(
            setting.store,
            self.run.id,
            iterations=self.iterations,
            initial=initial,
            parameters=result.parameters,
            relative_size=result.relative_size,
            device=result.engine,
            provenance={**setting.provenance, "data_sha256": result.digest},
            now=setting.now(),
        )

    def _commit_stretch(self, result: Stretch) -> None:
        store, folder = self.setting.store, f"{self.setting.folder(self.run)}"
        ended = self.ended if result.final else None
        name = "final.safetensors" if result.final else f"checkpoint-{result.iteration}.safetensors"
        written = artifacts.write(store.folder, f"{folder}/{name}", result.final or result.state)
        before = self.setting.run(self.task)
        segment = Segment(
            metrics=result.metrics,
            iteration=result.iteration,
            state=ended or "running",
            seconds=result.seconds,
            checkpoint=None if ended else written,
            final=written if ended else None,
            error=f"diverged by iteration {result.iteration}" if ended == "diverged" else None,
            device=self._engines(before.device or "", result.engine),
        )
        write.record(store, self.run.id, segment, self.setting.now())
        for file in (before.previous, before.checkpoint if ended else None):
            artifacts.remove(store.folder, file)

    def _engines(self, before: str, now: str) -> str:
        """All engines that computed this run. A second one is said: the bits are no longer those of either alone."""
        engines = [name for name in before.split(", ") if name]
        if now in engines:
            return before
        if engines:
            log.warning(
                "%s was begun by the engine %s and goes on with %s: its bits are its own",
                self.task,
                before,
                now,
            )
        return ", ".join([*engines, now])


@dataclass(slots=True)
class Search:
    """The search for one seed's supermask: a single call."""

    task: Task
    setting: Setting
    ended: State | None = None
    iteration: int = 0
    iterations: int = 0

    def call(self) -> Call | None:
        """What the worker shall do; None when it has been done."""
        if self.ended is not None:
            return None
        seed, hidden, setting = self.task.seed, self.task.hidden, self.setting
        initial = setting.content(Task("initial", seed, hidden), "initial")
        trained = setting.content(Task("baseline", seed, hidden), "final")
        return Call(supermask.find, (setting.place, seed, initial, trained))

    def receive(self, _result: list[MaskRow]) -> None:
        """Nothing more is to be done."""
        self.ended = "done"

    def commit(self, result: list[MaskRow]) -> Sequence[Metric]:
        """Write all masks in one transaction."""
        run = self.setting.run(Task("baseline", self.task.seed, self.task.hidden))
        write.add_masks(self.setting.store, run.id, result, self.setting.now())
        return ()

    def stop(self, state: State, error: str | None = None) -> None:
        """Nothing was written, so nothing stops; the baseline run keeps its state."""


Job = Training | Search


def job(task: Task, setting: Setting) -> Job:
    """The task, ready to begin or to go on."""
    return Search(task, setting) if task.step == "supermask" else Training(task, setting)

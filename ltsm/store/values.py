"""What leaves the store and what enters it: frozen values, never rows, cursors or sessions.

What a store has hundred thousands of are tuples, which are made in a fraction of the time of a dataclass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ltsm.studies.names import kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

State = Literal["pending", "running", "interrupted", "done", "diverged", "failed"]
FINISHED: frozenset[State] = frozenset({"done", "diverged"})
"""States in which nothing is left to do; a diverged run would only diverge again."""


Role = Literal["initial", "final", "kept", "checkpoint"]
"""What a run's file holds: its values before and after training, at an iteration kept for others, or its state."""
DROPPED = "dropped "
"""Before the role of a file that was deleted for its space: its digest stays, by which the same made again is known."""


@dataclass(frozen=True, slots=True)
class RecipeSpec:
    """A recipe to be stored: its identity, what it is called, and all of it as plain JSON values."""

    fingerprint: str
    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run to be stored: which recipe, for which seed, of which hidden sizes and length.

    `iterations` is None where the length is another run's best iteration; `needs` are the fingerprints of the
    recipes whose runs of this seed it is made from, by role.
    """

    seed: int
    fingerprint: str
    hidden: tuple[int, ...]
    iterations: int | None
    needs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file beside the store: its path relative to the store's folder, and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class File:
    """A file of a run: what it holds, and of which iteration."""

    role: Role
    iteration: int
    artifact: Artifact


class Metric(NamedTuple):
    """One record of one run; NaN where there is no finite number, no separate test set, or no mask that is trained.

    Of a trained mask, losses and accuracies are those of the rounded mask and `density` its share of what is scored;
    `sampled` is what masks do that are drawn by their probabilities, on the validation set and on the test set.
    """

    iteration: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    test_loss: float = math.nan
    test_accuracy: float = math.nan
    density: float = math.nan
    sampled_loss: float = math.nan
    sampled_accuracy: float = math.nan
    sampled_test_accuracy: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """How a run begins: what its first state was made of.

    `initial` is the file of its start values, None for a run that trains nothing and is done with its masks;
    `relative_size` is None where the mask is trained.
    """

    iterations: int
    initial: Artifact | None
    inputs: int
    classes: int
    parameters: int
    relative_size: float | None
    device: str
    provenance: dict[str, Any]
    masks: Sequence[MaskRow] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of one run's training: its new records, and where the run stands after it.

    `checkpoint` holds the state after `iteration`, None once the run is finished; `final` the trained
    weights of a finished run; `kept` the weights at iterations kept for others; `seconds` is the time spent on this stretch; `error` says why a diverged run ended;
    `device` names every engine that computed the run so far, where it changed; `masks` are those that a finished run
    has trained, and `relative_size` what they leave of it.
    """

    metrics: Sequence[Metric]
    iteration: int
    state: State
    seconds: float
    checkpoint: Artifact | None = None
    final: Artifact | None = None
    kept: Mapping[int, Artifact] = field(default_factory=dict)
    error: str | None = None
    device: str | None = None
    masks: Sequence[MaskRow] = ()
    relative_size: float | None = None


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """A protocol as stored: `settings` are plain JSON values."""

    id: int
    name: str
    fingerprint: str
    settings: dict[str, Any]
    created_at: datetime


class RunRow(NamedTuple):
    """A run as stored; `recipe` is that one's name, `iterations` None while the length is not known."""

    id: int
    protocol_id: int
    seed: int
    recipe: str
    fingerprint: str
    hidden: tuple[int, ...]
    state: State
    iterations: int | None
    iteration: int
    best_iteration: int | None
    parameters: int | None
    relative_size: float | None
    inputs: int | None
    classes: int | None
    files: tuple[File, ...]
    device: str | None
    seconds: float
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    error: str | None
    provenance: dict[str, Any]
    dropped: tuple[File, ...] = ()
    """Files that were deleted for their space; see `ltsm.store.drop`."""

    @property
    def kind(self) -> str:
        """The word by which its recipe's runs are found."""
        return kind(self.recipe)

    @property
    def worker(self) -> str:
        """The address of the cluster's worker that computes it, or was the last to; empty where it was no cluster's."""
        last = (self.provenance.get("resumed") or [self.provenance])[-1]
        return str(last.get("worker", ""))

    def file(self, role: Role, iteration: int | None = None) -> Artifact | None:
        """The newest file of that role, or the one of that iteration; None where there is none."""
        return _newest(self.files, role, iteration)

    def written(self, role: Role, iteration: int | None = None) -> Artifact | None:
        """The same of a file that may have been dropped since: what it was."""
        return _newest((*self.files, *self.dropped), role, iteration)

    @property
    def initial(self) -> Artifact | None:
        """Its start values, which may be another run's file."""
        return self.file("initial")

    @property
    def final(self) -> Artifact | None:
        """Its trained weights."""
        return self.file("final")

    @property
    def checkpoint(self) -> Artifact | None:
        """The state to go on from, while it has not ended."""
        return self.file("checkpoint")


def _newest(files: Sequence[File], role: Role, iteration: int | None) -> Artifact | None:
    found = [f for f in files if f.role == role and iteration in {None, f.iteration}]
    return max(found, key=lambda f: f.iteration).artifact if found else None


class Tally(NamedTuple):
    """How many runs of a recipe are in a state, and how many iterations they have made in all."""

    protocol_id: int
    fingerprint: str
    recipe: str
    state: State
    runs: int
    iterations: int


class ResultRow(NamedTuple):
    """What a table needs of a finished run; losses are NaN where they diverged, or where nothing was trained.

    Accuracies on the test set are NaN without one; `minimal_test_accuracy` is that at the minimal validation loss.
    `sampled` are those of masks that are drawn, NaN where none is trained or drawn.
    """

    run_id: int
    seed: int
    recipe: str
    hidden: tuple[int, ...]
    state: State
    relative_size: float
    untrained_val_loss: float
    untrained_val_accuracy: float
    final_val_loss: float
    final_val_accuracy: float
    minimal_val_loss: float
    minimal_iteration: float
    untrained_test_accuracy: float = math.nan
    final_test_accuracy: float = math.nan
    minimal_test_accuracy: float = math.nan
    sampled_val_accuracy: float = math.nan
    sampled_test_accuracy: float = math.nan

    @property
    def achieved_val_accuracy(self) -> float:
        """Of the network that the run ends with, trained or not."""
        return self.untrained_val_accuracy if math.isnan(self.final_val_accuracy) else self.final_val_accuracy

    @property
    def achieved_test_accuracy(self) -> float:
        """Of the trained network at its minimal validation loss, or of the one that was not trained."""
        trained = self.minimal_test_accuracy
        return self.untrained_test_accuracy if math.isnan(trained) else trained


class MaskRow(NamedTuple):
    """A masked network, untrained, of one amount; `bits` is only filled where asked for. NaN without a test set.

    `probabilities` is empty, or of a trained mask that is drawn how many scored parameters are kept with a probability in
    each twentieth of 0 … 1.
    """

    run_id: int
    seed: int
    amount: float
    relative_size: float
    layer_sizes: tuple[int, ...]
    val_loss: float
    val_accuracy: float
    selected: bool
    bits: bytes = b""
    amount_by: str = "threshold"
    test_loss: float = math.nan
    test_accuracy: float = math.nan
    probabilities: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes to a store: the process that holds its lock."""

    pid: int
    host: str
    since: datetime | None
    command: str

"""What leaves the store and what enters it: frozen values, never rows, cursors or sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ltsm.protocol import Kind

State = Literal["pending", "running", "interrupted", "done", "diverged", "failed"]
FINISHED: frozenset[State] = frozenset({"done", "diverged"})
"""States in which nothing is left to do; a diverged run would only diverge again."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """Which network: what makes a run unique within its protocol, and how long it trains.

    `iterations` of a baseline is 0 until the initial training's best iteration is known.
    """

    seed: int
    kind: Kind
    hidden: tuple[int, ...]
    iterations: int = field(compare=False, default=0)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file beside the store: its path relative to the store's folder, and the SHA-256 of its bytes."""

    path: str
    sha256: str


class Metric(NamedTuple):
    """One record of one run; NaN where there is no finite number."""

    iteration: int
    train_loss: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of one run's training: its new records, and where the run stands after it.

    `checkpoint` holds the state after `iteration`, None once the run is finished; `final` the trained
    weights of a finished run; `seconds` is the time spent on this stretch; `error` says why a diverged run ended;
    `device` names every engine that computed the run so far, where it changed.
    """

    metrics: Sequence[Metric]
    iteration: int
    state: State
    seconds: float
    checkpoint: Artifact | None = None
    final: Artifact | None = None
    error: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """A protocol as stored: `settings` are plain JSON values."""

    id: int
    name: str
    fingerprint: str
    settings: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as stored; `previous` is the checkpoint before the last, which held the state at `previous_iteration`."""

    id: int
    protocol_id: int
    seed: int
    kind: Kind
    hidden: tuple[int, ...]
    state: State
    iterations: int
    iteration: int
    best_iteration: int | None
    parameters: int | None
    relative_size: float | None
    initial: Artifact | None
    final: Artifact | None
    checkpoint: Artifact | None
    device: str | None
    seconds: float
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    error: str | None
    provenance: dict[str, Any]
    previous: Artifact | None = None
    previous_iteration: int | None = None

    @property
    def spec(self) -> RunSpec:
        """Which network this is."""
        return RunSpec(self.seed, self.kind, self.hidden, self.iterations)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """What Table 1 needs of a finished run; losses are NaN where they diverged."""

    run_id: int
    seed: int
    kind: Kind
    hidden: tuple[int, ...]
    state: State
    relative_size: float
    final_val_loss: float
    final_val_accuracy: float
    minimal_val_loss: float
    minimal_iteration: float


@dataclass(frozen=True, slots=True)
class MaskRow:
    """The masked network of one threshold; `bits` is only filled where asked for."""

    run_id: int
    seed: int
    threshold: float
    relative_size: float
    layer_sizes: tuple[int, ...]
    val_loss: float
    val_accuracy: float
    selected: bool
    bits: bytes = b""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes to a store: the process that holds its lock."""

    pid: int
    host: str
    since: datetime | None
    command: str

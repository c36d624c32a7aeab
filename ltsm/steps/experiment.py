"""What all runs of one command share, and how their files are named and found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ltsm.core.sparse_library import kernel_of
from ltsm.errors import StoreError
from ltsm.grammar import typed
from ltsm.store import artifacts, read
from ltsm.studies.names import file_name, files_folder, named, run_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ltsm.steps.training import Setup
    from ltsm.store.engine import Store
    from ltsm.store.values import RunRow
    from ltsm.studies.study import RunKey, Study


@dataclass(slots=True)
class Experiment:
    """A study under a protocol, in a store. `now` is asked for the time, never the clock."""

    store: Store
    study: Study
    protocol_id: int
    setup: Setup
    now: Callable[[], datetime]
    provenance: dict[str, Any]
    records: dict[str, int] = field(default_factory=dict)
    """How many records a segment of a recipe has had to have, not to be too short."""
    fingerprints: dict[str, str] = field(init=False)
    files: str = field(init=False)
    """The name of the folders for this store's files of the protocol: not those of another store beside it."""

    def __post_init__(self) -> None:
        begun = read.protocol(self.store, self.protocol_id).created_at
        self.files = files_folder(self.setup.protocol.fingerprint, begun)
        self.fingerprints = self.study.fingerprints()

    def run(self, key: RunKey) -> RunRow:
        """A run as stored.

        Raises:
            StoreError: it was never planned.
        """
        # The caller holds the claim: somebody writes.
        found = read.find_run(
            self.store, self.protocol_id, self.fingerprints[key.recipe], key.seed, alive=True
        )
        if found is None:
            raise StoreError(
                f"the store has no run for {named(key)}.", typed(["db", "check"], self.store.path)
            )
        return found

    def setup_for(self, engines: str | None) -> Setup:
        """What calls for a run need: one that engines have computed already goes on with the last of them."""
        begun_with = (kernel_of(engines),) if engines else ()
        return replace(self.setup, kernels=(*begun_with, *self.setup.kernels))

    def folder(self, key: RunKey) -> str:
        """Where a run's files lie, relative to the store."""
        return run_folder(self.files, key.recipe, self.fingerprints[key.recipe], key.seed)

    def keep_traceback(self, key: RunKey, error: BaseException) -> str:
        """Write what a worker noted of an error to a log file beside the store; where, to be added to its message."""
        notes = "\n".join(getattr(error, "__notes__", []))
        if not notes:
            return ""
        path = f"logs/{self.files}/seed-{key.seed}-{file_name(key.recipe)}.log"
        artifacts.write(self.store.folder, path, notes.encode())
        return f" (traceback: {path})"

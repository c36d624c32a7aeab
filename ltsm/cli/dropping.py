"""What `--force` drops: the runs that are redone and all that is built on them; said first, and asked about."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from ltsm.cli import say
from ltsm.errors import UsageError
from ltsm.notation import duration
from ltsm.store import artifacts, read, write
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from ltsm.store.engine import Store
    from ltsm.store.values import RunRow
    from ltsm.studies.study import RunKey, Study

NAMED = 4
"""So many runs are named; of more their number says enough."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Runs that go, those of them that nobody named, and the seconds that all took."""

    runs: Sequence[RunRow] = ()
    unnamed: Sequence[RunRow] = ()

    def text(self) -> str:
        """How many runs, files and hours of work; and which of them were not asked for."""
        files = {file.artifact.path for run in self.runs for file in run.files}
        work = duration(sum(run.seconds for run in self.runs))
        runs = "1 run" if len(self.runs) == 1 else f"{len(self.runs)} runs"
        text = f"{runs}, {len(files)} files, {work} of work"
        if not self.unnamed:
            return text
        names = ", ".join(run_name(run.recipe, run.seed) for run in self.unnamed[:NAMED])
        more = " …" if len(self.unnamed) > NAMED else ""
        return f"{text}; {len(self.unnamed)} of the runs are built on what is redone: {names}{more}"


def built_on(store: Store, protocol_id: int, study: Study, named: Collection[RunKey]) -> Dropped:
    """What has begun of the runs named and of all that is built on them, of whatever study."""
    identities = study.fingerprints()
    chosen = {(identities[key.recipe], key.seed) for key in named}
    rows = {row.id: row for row in read.runs(store, protocol_id, alive=True)}
    ids = {row.id for row in rows.values() if (row.fingerprint, row.seed) in chosen}
    runs = [rows[i] for i in sorted(read.dependents(store, ids)) if rows[i].state != "pending"]
    return Dropped(runs, [run for run in runs if run.id not in ids])


def drop(store: Store, dropped: Dropped, now: datetime, *, yes: bool) -> None:
    """Make these runs undone and delete their files, unless whoever types says no.

    Raises:
        UsageError: they said no; or nobody can be asked, and more would go than was named.
    """
    if not dropped.runs:
        return
    asks = not yes and at_a_terminal()
    if dropped.unnamed and not (yes or asks):
        raise UsageError(
            f"--force would drop {dropped.text()}.", "--yes says that they may go; --dry-run shows what would"
        )
    say.note(f"--force drops {dropped.text()}")
    if asks and not typer.confirm("drop them?", err=True):
        raise UsageError("nothing was dropped, and nothing was run.", "--dry-run shows what would be")
    for artifact in write.reset(store, [run.id for run in dropped.runs], now):
        artifacts.remove(store.folder, artifact)


def at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()

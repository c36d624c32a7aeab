"""What is dropped for good: runs and all that is built on them, or files; said first, and asked about.

`--force` makes the runs undone, `runs delete` and `protocols delete` forget them, `db prune` drops files alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer
from rich.filesize import decimal

from ltsm.cli import say
from ltsm.errors import UsageError
from ltsm.notation import counted, duration
from ltsm.store import artifacts, read, write
from ltsm.store.drop import drop_runs
from ltsm.store.values import Artifact
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from ltsm.store.engine import Store
    from ltsm.store.values import RunRow
    from ltsm.studies.study import RunKey, Study

NAMED = 4
"""So many runs are named; of more their number says enough."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Runs that go, those of them that nobody named, and the files that no other run has."""

    runs: Sequence[RunRow] = ()
    unnamed: Sequence[RunRow] = ()
    files: Collection[Artifact] = ()

    def text(self) -> str:
        """How many runs, files and hours of work; and which of them were not asked for."""
        work = duration(sum(run.seconds for run in self.runs))
        text = f"{counted(len(self.runs), 'run')}, {counted(len(self.files), 'file')}, {work} of work"
        if not self.unnamed:
            return text
        return f"{text}; {len(self.unnamed)} of the runs are built on the others: {listed(self.unnamed)}"


def listed(runs: Sequence[RunRow]) -> str:
    """The first of these runs by name."""
    names = ", ".join(run_name(run.recipe, run.seed) for run in runs[:NAMED])
    return f"{names}{' …' * (len(runs) > NAMED)}"


def built_on(store: Store, protocol_id: int, study: Study, named: Collection[RunKey]) -> Dropped:
    """What has begun of the runs named and of all that is built on them, of whatever study."""
    identities = study.fingerprints()
    chosen = {(identities[key.recipe], key.seed) for key in named}
    rows = read.runs(store, protocol_id, alive=True)
    ids = {row.id for row in rows if (row.fingerprint, row.seed) in chosen}
    found = together(store, rows, ids)
    begun = [run for run in found.runs if run.state != "pending"]
    return Dropped(begun, [run for run in begun if run.id not in ids], found.files)


def together(store: Store, rows: Iterable[RunRow], ids: Collection[int]) -> Dropped:
    """The runs with these ids and all that are built on them; `rows` are all runs of their protocols."""
    going = read.dependents(store, ids)
    runs, others = [], set[Artifact]()
    for row in sorted(rows, key=lambda row: row.id):
        if row.id in going:
            runs.append(row)
        else:
            others.update(file.artifact for file in row.files)
    files = {file.artifact for run in runs for file in run.files} - others
    return Dropped(runs, [run for run in runs if run.id not in ids], files)


def drop(store: Store, dropped: Dropped, now: datetime, *, yes: bool) -> None:
    """Make these runs undone and delete their files, unless whoever types says no.

    Raises:
        UsageError: they said no; or nobody can be asked, and more would go than was named.
    """
    if not dropped.runs:
        return
    agree("--force", dropped.text(), yes=yes, must=bool(dropped.unnamed))
    for artifact in write.reset(store, [run.id for run in dropped.runs], now):
        artifacts.remove(store.folder, artifact)


def delete_runs(
    store: Store,
    ids: Collection[int],
    protocol_ids: Collection[int],
    who: str,
    *,
    yes: bool,
    dry_run: bool,
    json: bool,
) -> None:
    """Delete these runs and all that are built on them, and these protocols, all of whose runs are among them.

    Raises:
        UsageError: whoever types says no, or cannot be asked.
    """
    going = together(store, read.runs(store, alive=True), ids)
    size = bytes_of(store, going.files)
    text = f"{decimal(size)} of disk: {going.text()}"
    if not dry_run:
        agree(who, text, yes=yes)
        drop_runs(store, [run.id for run in going.runs], protocol_ids)
    if json:
        found = {
            "runs": [run.id for run in going.runs],
            "protocols": list(protocol_ids),
            "files": len(going.files),
        }
        say.as_json("ltsm-deleted", 1, {"dry_run": dry_run, **found, "bytes": size})
    else:
        say.data(f"{'would drop' if dry_run else 'dropped'} {text}")


def bytes_of(store: Store, files: Collection[Artifact]) -> int:
    """What files take, those that are gone nothing."""
    paths = (store.folder / file.path for file in files)
    return sum(path.stat().st_size for path in paths if path.is_file())


def agree(who: str, what: str, *, yes: bool, must: bool = True) -> None:
    """Say what goes, and at a terminal ask, unless `yes` has said it.

    Raises:
        UsageError: they said no; or nobody can be asked, and somebody `must` have agreed.
    """
    asks = not yes and at_a_terminal()
    if must and not (yes or asks):
        raise UsageError(
            f"{who} would drop {what}.", "--yes says that they may go; --dry-run shows what would"
        )
    say.note(f"{who} drops {what}")
    if asks and not typer.confirm("drop them?", err=True):
        raise UsageError("nothing was dropped, and nothing else was done.", "--dry-run shows what would be")


def at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()

"""Runs of another store brought into this one: their files, then their rows, a transaction a run.

Killed anywhere, the same again goes on: what is here already is found to be the same. Runs are first planned, with what
they are made from, and then take what the other store has of them, as a sweep would have written it. Only the holder of
the claim may call these.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from ltsm.errors import StoreError
from ltsm.grammar import typed
from ltsm.store import artifacts, models, read, write
from ltsm.store.belief import protocol_of
from ltsm.store.seal import seal_runs
from ltsm.store.values import DROPPED, Artifact, RunSpec
from ltsm.store.verdicts import COMING, keyed, needs, values_of
from ltsm.studies.names import files_folder, run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from ltsm.protocol import Protocol
    from ltsm.store.engine import Store
    from ltsm.store.other import Other
    from ltsm.store.values import File, ProtocolRow, RunRow
    from ltsm.store.verdicts import Finding

_OWN = ("id", "protocol_id", "recipe_id", "kind")
"""Of a run what is this store's own."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where this store has, or would have, a file of the other's."""

    path: str
    dropped: bool


@dataclass(slots=True)
class Merging:
    """A store being merged into this one.

    Attributes:
        own: this store, open for writing.
        other: the other one.
        copying: whether its files are copied; not where the result is thrown away.
        files: how many were.
        bytes: so many in them.
    """

    own: Store
    other: Other
    copying: bool = True
    files: int = 0
    bytes: int = 0
    _places: dict[Artifact, _Place] = field(default_factory=dict)

    def bring(self, findings: Sequence[Finding], now: datetime, moved: Callable[[], None]) -> None:
        """Bring what comes of these, in their order; `moved` is told of each that is here.

        Raises:
            StoreError: a file is missing or damaged, or this store cannot be written; what came is kept.
        """
        self._plan(findings, now)
        runs, protocols = keyed(self.own), {p.id: p for p in read.protocols(self.own)}
        for finding in findings:
            own = runs.get(finding.key)
            if own is not None and finding.verdict in COMING:
                self._take(finding.run, own, protocols[own.protocol_id])
                moved()
            elif own is not None:
                self._note(finding.run, own)

    def _plan(self, findings: Sequence[Finding], now: datetime) -> None:
        """Add the protocols, recipes and runs that are not here, with what these are made from."""
        made_from, fingerprints = needs(self.other.store), {f.run.id: f.key.recipe for f in findings}
        missing = [f for f in findings if f.own is None and f.verdict in {"new", "planned"}]
        for row in read.protocols(self.other.store):
            # in the order in which they were planned there
            runs = sorted((f.run for f in missing if f.run.protocol_id == row.id), key=lambda run: run.id)
            if not runs:
                continue
            specs = [
                RunSpec(
                    run.seed,
                    run.fingerprint,
                    run.hidden,
                    run.iterations,
                    {role: fingerprints[other] for role, other in made_from.get(run.id, {}).items()},
                )
                for run in runs
            ]
            recipes = {run.fingerprint: run.id for run in runs}
            named = [read.recipe(self.other.store, run_id) for run_id in recipes.values()]
            protocol_id = write.add_protocol(self.own, _protocol(self.own, self.other, row), now)
            write.add_runs(self.own, protocol_id, named, specs, now)

    def _note(self, run: RunRow, own: RunRow) -> None:
        """Remember where this store has the files of a run that does not come: others may begin with them."""
        here = {
            (f.role, f.iteration, f.artifact.sha256): _Place(f.artifact.path, dropped=dropped)
            for files, dropped in ((own.files, False), (own.dropped, True))
            for f in files
        }
        for file in (*run.files, *run.dropped):
            if place := here.get((file.role, file.iteration, file.artifact.sha256)):
                self._places.setdefault(file.artifact, place)

    def _take(self, run: RunRow, own: RunRow, protocol: ProtocolRow) -> None:
        """Let a run be what it is in the other store."""
        files = files_folder(protocol.fingerprint, protocol.created_at)
        folder = run_folder(files, own.recipe, own.fingerprint, own.seed)
        rows = [self._placed(file, folder, dropped=False) for file in run.files]
        rows += [self._placed(file, folder, dropped=True) for file in run.dropped]
        for artifact in _take_rows(self.own, own, self.other.store, run, rows):
            artifacts.remove(self.own.folder, artifact)

    def _placed(self, file: File, folder: str, *, dropped: bool) -> dict[str, object]:
        """The row of a file as this store has it, the file copied before; it may be another run's, which is here."""
        artifact = file.artifact
        if artifact not in self._places:
            name = file.role if file.role in {"initial", "final"} else f"{file.role}-{file.iteration}"
            place = self._places[artifact] = _Place(f"{folder}/{name}.safetensors", dropped)
            if not dropped and self.copying:
                self._copy(artifact, Artifact(place.path, artifact.sha256))
        place = self._places[artifact]
        role = f"{DROPPED}{file.role}" if place.dropped else file.role
        return {"role": role, "iteration": file.iteration, "path": place.path, "sha256": artifact.sha256}

    def _copy(self, artifact: Artifact, target: Artifact) -> None:
        """Copy a file; a killed command's that is there already is as good. What else is there no row names."""
        content = artifacts.read(self.other.folder, artifact)
        try:
            artifacts.check(self.own.folder, target)
        except StoreError:
            artifacts.write(self.own.folder, target.path, content)
        self.files += 1
        self.bytes += len(content)


def check_files(other: Other, findings: Iterable[Finding], moved: Callable[[], None]) -> None:
    """Compare the files of what comes with what was written; `moved` is told of each run.

    Raises:
        StoreError: one is missing or damaged.
    """
    seen = set[str]()
    for finding in findings:
        if finding.verdict in COMING:
            for artifact in (file.artifact for file in finding.run.files):
                if artifact.path not in seen:
                    seen.add(artifact.path)
                    _check(other, artifact)
            moved()


def _check(other: Other, artifact: Artifact) -> None:
    try:
        artifacts.check(other.folder, artifact)
    except StoreError as error:
        hint = f"copy the weights beside it too; {typed(['db', 'check'], other.path)} names all such files"
        if other.alive:
            hint = "a command that writes there may have deleted it: the same command again takes what is there then"
        raise StoreError(error.message, hint) from error


def _protocol(own: Store, other: Other, row: ProtocolRow) -> Protocol:
    """The protocol under its name, or with a part of its fingerprint where that is another's here."""
    protocol = protocol_of(other, row)
    taken = {p.name for p in read.protocols(own) if p.fingerprint != row.fingerprint}
    if row.name not in taken:
        return protocol
    return replace(protocol, name=f"{row.name} {row.fingerprint[: read.FINGERPRINT_DIGITS]}")


def _take_rows(
    own: Store, run: RunRow, other: Store, its: RunRow, files: Sequence[dict[str, object]]
) -> list[Artifact]:
    """Put what another store has of a run in the place of what is here; files that no row names any more come back."""
    with read.reading(other) as there, write.transaction(own) as connection:
        named = [file.artifact for file in run.files]
        for table in (models.metric, models.mask, models.file):
            connection.execute(delete(table).where(table.c.run_id == run.id))
        for table in (models.metric, models.mask):
            _copy_rows(connection, run.id, there, its.id, table)
        if files:
            connection.execute(insert(models.file), [{"run_id": run.id, **file} for file in files])
        row = dict(there.execute(select(models.run).where(models.run.c.id == its.id)).one()._mapping)  # noqa: SLF001 - SQLAlchemy's public name
        values = {name: value for name, value in row.items() if name not in _OWN} | {"state": its.state}
        connection.execute(update(models.run).where(models.run.c.id == run.id).values(**values))
        seal_runs(connection, [run.id])
        return write.unnamed(connection, named) if named else []


def _copy_rows(connection: Connection, run_id: int, there: Connection, its: int, table: Table) -> None:
    """The rows of a run, of a table that numbers its own."""
    found = there.execute(values_of(table).where(table.c.run_id == its))
    if rows := [{**row._mapping, "run_id": run_id} for row in found]:  # noqa: SLF001 - SQLAlchemy's public name
        connection.execute(insert(table), rows)

"""What goes for good: files whose bits can be made again, and runs with all that is built on them.

Rows first, in one transaction, then the files: a kill in between leaves files that no row names, never a row without
its file. Only the holder of the claim may call these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, select, update

from ltsm.store import artifacts, models
from ltsm.store.engine import chunks, compact
from ltsm.store.seal import seal_plan, seal_runs, unseal_runs
from ltsm.store.values import DROPPED, Artifact
from ltsm.store.write import files_where, transaction, unnamed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from ltsm.store.engine import Store
    from ltsm.store.values import File


def drop_files(
    store: Store, files: Mapping[int, Collection[File]], now: datetime, strays: Iterable[Artifact] = ()
) -> None:
    """Forget files of runs, by the runs' ids, and delete those that no other run names; and strays, which none does.

    A run's state, numbers and masks stay, and so does what each file was: `RunRow.dropped` has its SHA-256, by which
    one that is made again is known to be the same.
    """
    gone = _forgotten(store, files, now) if any(files.values()) else []
    _delete(store, [*gone, *strays])


def _forgotten(store: Store, files: Mapping[int, Collection[File]], now: datetime) -> list[Artifact]:
    """Let the rows say that these files are dropped; those that no row names any more come back."""
    named = [(run_id, file) for run_id, its in files.items() for file in its]
    file = models.file.c
    which = (
        file.run_id == bindparam("run"),
        file.role == bindparam("was"),
        file.iteration == bindparam("at"),
    )
    renamed = update(models.file).where(*which).values(role=bindparam("becomes"))
    run_ids = sorted(files)
    with transaction(store) as connection:
        connection.execute(
            renamed,
            [{"run": i, "was": f.role, "at": f.iteration, "becomes": f"{DROPPED}{f.role}"} for i, f in named],
        )
        _changed(connection, run_ids, now)
        return unnamed(connection, [f.artifact for _, f in named])


def restore_files(store: Store, made: Collection[Artifact], now: datetime) -> None:
    """Dropped files are there again, of whatever runs name them; the caller has made each the same as it was."""
    file = models.file.c
    role = func.substr(file.role, len(DROPPED) + 1)
    with transaction(store) as connection:
        run_ids = set[int]()
        for artifact in made:
            row = (file.path == artifact.path, file.sha256 == artifact.sha256, file.role.like(f"{DROPPED}%"))
            run_ids.update(connection.execute(select(file.run_id).where(*row)).scalars())
            connection.execute(update(models.file).where(*row).values(role=role))
        _changed(connection, sorted(run_ids), now)


def drop_runs(store: Store, run_ids: Collection[int], protocol_ids: Collection[int] = ()) -> None:
    """Forget runs, records, masks and files and all, and protocols that then have no run left; delete their files.

    The caller names all that is built on the runs, too: see `read.dependents`. Recipes that no run has any more go.
    """
    ids = sorted(run_ids)
    with transaction(store) as connection:
        named = [a for some in chunks(ids) for a in files_where(connection, models.file.c.run_id.in_(some))]
        for some in chunks(ids):
            # what hangs on a run goes by its foreign keys
            connection.execute(delete(models.run).where(models.run.c.id.in_(some)))
        unseal_runs(connection, ids)
        used = select(models.run.c.recipe_id)
        connection.execute(delete(models.recipe).where(models.recipe.c.id.not_in(used)))
        connection.execute(delete(models.protocol).where(models.protocol.c.id.in_(protocol_ids)))
        seal_plan(connection)
        gone = unnamed(connection, named)
    _delete(store, gone)
    compact(store)


def _changed(connection: Connection, run_ids: Sequence[int], now: datetime) -> None:
    for some in chunks(run_ids):
        connection.execute(update(models.run).where(models.run.c.id.in_(some)).values(updated_at=now))
    seal_runs(connection, run_ids)


def _delete(store: Store, files: Iterable[Artifact]) -> None:
    """Delete files that no row names, and the folders that are empty then."""
    for artifact in files:
        artifacts.remove(store.folder, artifact)
        artifacts.remove_empty_folders(store.folder, artifact)

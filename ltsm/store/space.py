"""What takes a store's space, and which of its files can be made again from what stays."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from ltsm.errors import StoreError
from ltsm.grammar import typed
from ltsm.store import read
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ltsm.store.engine import Store
    from ltsm.store.values import File, RunRow

_TABLES = """SELECT coalesce(s.tbl_name, d.name), sum(d.pgsize) FROM dbstat AS d
             LEFT JOIN sqlite_schema AS s ON s.name = d.name GROUP BY 1 ORDER BY 2 DESC"""
_WHOLE = "SELECT 'all tables', page_count * page_size FROM pragma_page_count, pragma_page_size"
_FREE = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size"
_OF_WEIGHTS = frozenset({"start", "before", "after"})
"""As what a run needs another's weights; masks and lengths stay when weights go."""


def tables(store: Store) -> dict[str, int]:
    """Bytes by table, indexes among it, the largest first; all in one where this SQLite cannot tell them apart."""
    try:
        with store.engine.connect() as connection:
            try:
                found = dict(tuple(row) for row in connection.execute(text(_TABLES)))
            except DatabaseError:  # an SQLite without dbstat
                found = dict(tuple(row) for row in connection.execute(text(_WHOLE)))
            free = connection.execute(text(_FREE)).scalar_one()
    except DatabaseError as error:
        raise StoreError(
            f"cannot read the store {store.path}: {error.orig}.", typed(["db", "check"], store.path)
        ) from error
    return found | ({"free pages": free} if free else {})


def starts(runs: Iterable[RunRow], chosen: Collection[int], busy: Collection[int]) -> dict[int, list[File]]:
    """Initial weights of runs with these ids that are in no other run's row, and that nothing planned needs."""
    names: dict[str, list[tuple[RunRow, File]]] = defaultdict(list)
    for run in runs:
        for file in run.files:
            if file.role == "initial":
                names[file.artifact.path].append((run, file))
    found: dict[int, list[File]] = defaultdict(list)
    for naming in names.values():
        if all(run.id in chosen and run.state in FINISHED and run.id not in busy for run, _ in naming):
            for run, file in naming:
                found[run.id].append(file)
    return dict(found)


def between(
    store: Store, runs: Iterable[RunRow], chosen: Collection[int], busy: Collection[int]
) -> dict[int, list[File]]:
    """Trained weights of finished runs that others were made from, all of which have ended."""
    needed = {i for i, others in read.needed_by(store).items() if any(r in _OF_WEIGHTS for _, r in others)}
    return {
        run.id: files
        for run in runs
        if run.id in chosen and run.id in needed and run.id not in busy and run.state in FINISHED
        if (files := [file for file in run.files if file.role in {"final", "kept"}])
    }


def busy(store: Store, runs: Iterable[RunRow]) -> set[int]:
    """The runs that one is still to be made from: it has not ended."""
    unfinished = {run.id for run in runs if run.state not in FINISHED}
    return {i for i, others in read.needed_by(store).items() if any(o in unfinished for o, _ in others)}


def strangers(store: Store, runs: Iterable[RunRow]) -> Iterator[str]:
    """Files among the weights that no row names, by their paths: a killed command may leave one."""
    known = {file.artifact.path for run in runs for file in run.files}
    for file in sorted((store.folder / "weights").rglob("*")):
        path = file.relative_to(store.folder).as_posix()
        if file.is_file() and path not in known:
            yield path

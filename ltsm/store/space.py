"""What takes a store's space, and which of its files can be made again from what stays."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from ltsm import regular
from ltsm.store import read, schema
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from ltsm.store.engine import Store
    from ltsm.store.values import File, RunRow

    Named = tuple[int, File]
    """A file, by the number of a run that names it."""

_TABLES = """SELECT coalesce(s.tbl_name, d.name), sum(d.pgsize) FROM dbstat AS d
             LEFT JOIN sqlite_schema AS s ON s.name = d.name GROUP BY 1 ORDER BY 2 DESC"""
_WHOLE = "SELECT 'all tables', page_count * page_size FROM pragma_page_count, pragma_page_size"
_FREE = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size"
_OF_WEIGHTS = frozenset({"start", "before", "after"})
"""As what a run needs another's weights; masks and lengths stay when weights go."""


def tables(store: Store) -> dict[str, int]:
    """Bytes by table, indexes among it, the largest first; all in one where this SQLite cannot tell them apart."""
    with read.reading(store) as connection:
        try:
            found = dict(tuple(row) for row in connection.execute(text(_TABLES)))
        except DatabaseError:  # an SQLite without dbstat
            found = dict(tuple(row) for row in connection.execute(text(_WHOLE)))
        free = connection.execute(text(_FREE)).scalar_one()
    return found | ({"free pages": free} if free else {})


def prunable(store: Store, runs: Iterable[RunRow], chosen: Collection[int]) -> dict[str, list[Named]]:
    """The files that can be made again and that nobody is waiting for, by kind, with every row that names them.

    `initial` are start values, which follow from the seed; `intermediate` the trained weights of a run that others were
    made from. All runs that name a file have ended and are among those `chosen`, and so have all that are made from
    those. `runs` are all of the store.
    """
    built_on, rows = read.needed_by(store), {run.id: run for run in runs}
    ended = {i for i, run in rows.items() if run.state in FINISHED}
    free = {i for i in ended & set(chosen) if all(other in ended for other, _ in built_on.get(i, ()))}
    between = {i for i, others in built_on.items() if any(role in _OF_WEIGHTS for _, role in others)}
    naming: dict[str, list[Named]] = defaultdict(list)
    for run in rows.values():
        for file in run.files:
            naming[file.artifact.path].append((run.id, file))
    found: dict[str, list[Named]] = {"initial": [], "intermediate": []}
    for named in naming.values():
        trained = [run_id for run_id, file in named if file.role != "initial"]
        if all(run_id in free for run_id, _ in named) and all(run_id in between for run_id in trained):
            found["intermediate" if trained else "initial"] += named
    return found


def strangers(store: Store, runs: Iterable[RunRow]) -> Iterator[str]:
    """Files among the weights that no row names, by their paths: a killed command may leave one."""
    known = {file.artifact.path for run in runs for file in run.files}
    for file in sorted((store.folder / "weights").rglob("*")):
        path = file.relative_to(store.folder).as_posix()
        if file.is_file() and path not in known:
            yield path


def beside(path: Path) -> list[Path]:
    """Other SQLite files in the store's folder, whose rows may name files there; its own older copies aside."""
    found = []
    for other in sorted(path.parent.iterdir()):
        if other.is_file() and not other.name.startswith((path.name, f".{path.name}.")):
            with suppress(OSError), regular.opened(other) as file:
                if file.read(len(schema.MAGIC)) == schema.MAGIC:
                    found.append(other)
    return found

"""`db path|upgrade|check|backup`, of `ltsm.cli.merging` merge, and of `ltsm.cli.space` size, prune and rebuild."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ltsm import grammar
from ltsm.cli import merging, options, say, space
from ltsm.cli.stores import reading, writing
from ltsm.errors import StoreError
from ltsm.paths import read_path
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.store.engine import Store
    from ltsm.store.values import RunRow

PATH_HELP = """Examples:

[bold]ltsm db path[/]
[bold]sqlite3 "$(ltsm db path)" "SELECT * FROM table_1"[/]

Print where the store is.
"""
UPGRADE_HELP = """Examples:

[bold]ltsm db upgrade[/]

Bring an older store up to date; a copy of it is kept beside it. Every command that writes does this too.
"""
CHECK_HELP = """Examples:

[bold]ltsm db check[/]
[bold]ltsm db check --json[/]

Look for damage: SQLite's own check, every row's files and their hashes, files that no row names.
Exit code 0: all is well; 3: something is missing or damaged. Changes nothing.
"""
BACKUP_HELP = """Examples:

[bold]ltsm db backup /backups/monday/ltsm.db[/]
[bold]ltsm db backup numbers.db --no-weights[/]     for a report elsewhere

Copy the store as it is at this moment, and the weights files beside it; a sweep may go on meanwhile.
To use the copy name it: ltsm report --store FILE; a sweep goes on from it too. Never over another file.
"""

HELP = """Examples:

[bold]ltsm db check[/]                        damage, missing files
[bold]ltsm db backup /backups/ltsm.db[/]      a copy, also while a sweep writes
[bold]ltsm db merge elsewhere/ltsm.db[/]      bring the runs of another store here
[bold]ltsm db prune[/]                        the space of what can be made again

The store: where it is, bring it up to date, check it, copy it, merge it; what takes its space, and giving that back.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")


@app.command(help=PATH_HELP, short_help="Print where the store is.")
def path(store: options.Store = options.STORE) -> None:
    """Print where the store is."""
    from ltsm.store.engine import store_path

    say.data(str(store_path(store).absolute()))


@app.command(help=UPGRADE_HELP, short_help="Bring an older store up to date.")
def upgrade(store: options.Store = options.STORE) -> None:
    """Bring an older store up to date."""
    from ltsm.store import schema
    from ltsm.store.engine import store_path

    where = store_path(store)
    if not where.exists():
        hint = f"{grammar.typed(['init'], where)} makes one"
        raise StoreError(f"there is no store at {where}.", hint)
    with writing(where):
        say.data(f"{where} has version {schema.HEAD}")


@app.command(help=CHECK_HELP, short_help="Look for damage and missing files.")
def check(store: options.Store = options.STORE, json: options.Json = False) -> None:
    """Look for damage."""
    with reading(store, unchecked=True) as opened:
        findings = list(damage(opened))
        if not any(f["what"] == "damaged database" for f in findings):
            findings += [*stuck(opened), *strangers(opened)]
    if json:
        say.as_json("ltsm-check", 1, {"store": str(opened.path), "findings": findings})
    else:
        for finding in findings:
            say.data(f"{finding['what']}: {finding['where']} — {finding['do']}")
        if not findings:
            say.data(f"{opened.path}: every row has its files, every file its row, every hash is right")
    if any(f["damage"] for f in findings):
        raise typer.Exit(StoreError.exit_code)


@app.command(help=BACKUP_HELP, short_help="Copy the store, also while a sweep writes.")
def backup(
    file: Annotated[
        Path, typer.Argument(parser=read_path, metavar="FILE", help="The copy's name, in another folder.")
    ],
    store: options.Store = options.STORE,
    weights: Annotated[
        bool, typer.Option("--weights/--no-weights", help="Copy the weights too, or the numbers alone.")
    ] = True,
) -> None:
    """Copy the store."""
    from ltsm.store import backup as copying
    from ltsm.store.engine import store_path

    target = store_path(str(file))
    with reading(store) as opened:
        count = copying.copy(opened, target, weights=weights)
    say.note(f"copied the store and {count} weights files" if weights else "copied the store without weights")
    say.data(str(target))


app.command(help=merging.HELP, short_help="Bring the runs of other stores into this one.")(merging.merge)
app.command(help=space.SIZE_HELP, short_help="What takes the space.")(space.size)
app.command(help=space.PRUNE_HELP, short_help="Drop files that can be made again.")(space.prune)
app.command(help=space.REBUILD_HELP, short_help="Make dropped files again.")(space.rebuild)


def damage(store: Store) -> Iterator[dict[str, Any]]:
    """What is wrong with the database, and rows whose file is missing or has changed."""
    from ltsm.store import artifacts, read

    faults = read.faults(store)
    for fault in faults:
        yield {"what": "damaged database", "where": fault, "do": "restore a backup", "damage": True}
    if faults:
        return  # what it says of files cannot be believed
    runs = sorted(read.runs(store), key=lambda run: run.id)
    gone = [run for run in runs if artifacts.gone(store.folder, run)]
    yield from _gone(store, gone)
    away, seen = {run.id for run in gone}, set[str]()
    # What a file's first run has written, later ones may start from.
    for run in (run for run in runs if run.id not in away):
        for artifact in (file.artifact for file in run.files if file.artifact.path not in seen):
            seen.add(artifact.path)
            try:
                artifacts.check(store.folder, artifact)
            except StoreError as error:
                redo = f"{_again(store, run, force=True)} redoes it"
                yield {"what": "damaged file", "where": error.message, "do": redo, "damage": True}


def _gone(store: Store, gone: Sequence[RunRow]) -> Iterator[dict[str, Any]]:
    """Runs whose files are not there, those of a protocol and a study together: a folder that is gone is one thing."""
    from ltsm.store import read

    together: dict[tuple[int, str], list[RunRow]] = {}
    for run in gone:
        together.setdefault((run.protocol_id, str(run.provenance.get("study"))), []).append(run)
    for (protocol_id, _), runs in together.items():
        settings = read.protocol(store, protocol_id).settings
        first = next(f for f in runs[0].files if not (store.folder / f.artifact.path).exists())
        where = f"{store.folder / first.artifact.path} is gone"
        if len(runs) > 1:
            where += f", as are files of {len(runs) - 1} more runs"
        redo = grammar.all_again(runs, settings, store.path, force=True)
        yield {"what": "damaged file", "where": where, "do": f"{redo} redoes it", "damage": True}


def stuck(store: Store) -> Iterator[dict[str, Any]]:
    """Runs in a state that no command writes; the next sweep mends them."""
    from ltsm.store import mend, read

    words = (
        (mend.finished(store), "has all its records and does not say that it ended", "ends it"),
        (mend.without_state(store), "was begun and has no checkpoint to go on from", "begins it again"),
    )
    for ids, state, cure in words:
        for run in read.runs(store, ids=ids):
            where = f"run {run.id}, {run_name(run.recipe, run.seed)}, {state}"
            do = f"{_again(store, run, force=False)} {cure}"
            yield {"what": "stuck run", "where": where, "do": do, "damage": True}


def strangers(store: Store) -> Iterator[dict[str, Any]]:
    """Files among the weights that no row names, and unfinished copies: a killed command may leave one."""
    from ltsm.store import read
    from ltsm.store import space as spaces

    unfinished = store.folder.glob(f".{glob.escape(store.path.name)}*.partial*")
    others = ", ".join(other.name for other in spaces.beside(store.path))
    do = f"perhaps it is of {others}, beside this store" if others else "it can be deleted"
    for path in [*spaces.strangers(store, read.runs(store)), *sorted(file.name for file in unfinished)]:
        yield {"what": "file without a row", "where": path, "do": do, "damage": False}


def _again(store: Store, run: RunRow, *, force: bool) -> str:
    """The command that does a run again, or to its end."""
    from ltsm.store import read

    return grammar.again(run, read.protocol(store, run.protocol_id).settings, store.path, force=force)

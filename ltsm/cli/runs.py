"""`runs list|show|delete`: single runs, by a filter or by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from ltsm.cli import options, say
from ltsm.cli.status import COLOURS
from ltsm.cli.stores import changing, reading
from ltsm.errors import UsageError
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.report.choice import Chosen
    from ltsm.report.listing import Listed
    from ltsm.store.engine import Store
    from ltsm.store.values import File

LIST_HELP = """Examples:

[bold]ltsm runs list[/]
[bold]ltsm runs list state:failed[/]
[bold]ltsm runs list 'kind:hyperop loss>0.12' --protocol paper[/]
[bold]ltsm runs list --json kind:ticket | jq '.runs\\[].final_val_loss'[/]

List runs with their last loss and accuracy, of all protocols. A filter says which, as in the dashboard.
"""
SHOW_HELP = """Examples:

[bold]ltsm runs show 12[/]
[bold]ltsm runs show 12 --json[/]

All that the store has of one run: what it is made from, what is built on it, its files, where it was computed.
"""
DELETE_HELP = """Examples:

[bold]ltsm runs delete state:failed --dry-run[/]       what would go
[bold]ltsm runs delete 'kind:hyperop seed:7-9'[/]
[bold]ltsm runs delete id:12 --yes[/]                  from a script

Delete runs with their records, masks and files, and all that is built on them; nothing else is touched.
What goes is said first, and asked about at a terminal; where nobody can be asked it needs --yes. The same sweep makes
them again.
"""
HELP = """Examples:

[bold]ltsm runs list state:failed[/]
[bold]ltsm runs show 12[/]
[bold]ltsm runs delete 'kind:hyperop seed:7-9'[/]

Single runs: list, look at, delete them.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")


@app.command("list", help=LIST_HELP, short_help="Runs with their losses, by a filter.")
def list_(
    where: options.Where = None,
    store: options.Store = options.STORE,
    protocol: options.OneProtocol = None,
    study: options.OneStudy = None,
    json: options.Json = False,
) -> None:
    """Print runs.

    Raises:
        UsageError: the filter is none, or there is no such study.
        StoreError: no store, or no such protocol.
    """
    from ltsm.report import formats, records
    from ltsm.report.choice import Choice, chosen

    with reading(store) as opened:
        found = chosen(opened, Choice(text=" ".join(where or []), protocol=protocol, study=study))
        if json:
            made = [formats.values(run) for run in records.runs(opened, found)]
            say.as_json("ltsm-runs", 1, {"store": str(opened.path), "runs": made})
            return
    for one in found:
        say.table(_table(one))
    if not found:
        say.data("no such runs" if where or protocol or study else "no runs yet")


@app.command(help=SHOW_HELP, short_help="All that the store has of one run.")
def show(
    run: Annotated[int, typer.Argument(metavar="ID", min=1, show_default=False, help="The run's number.")],
    store: options.Store = options.STORE,
    json: options.Json = False,
) -> None:
    """Print one run.

    Raises:
        StoreError: no store, or no such run.
    """
    from ltsm.report import choice

    with reading(store) as opened:
        found = _as_json(opened, choice.one(opened, run))
    if json:
        say.as_json("ltsm-run", 1, found)
        return
    say.rows(_lines(found), show_header=False, box=None, title=found["name"], title_justify="left")


@app.command(help=DELETE_HELP, short_help="Delete runs and what is built on them.")
def delete(
    where: options.Where = None,
    store: options.Store = options.STORE,
    protocol: options.OneProtocol = None,
    study: options.OneStudy = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Delete runs.

    Raises:
        UsageError: no filter, or none that any run passes; whoever types says no, or cannot be asked.
        StoreError: no store, no such protocol, or another command writes to the store.
    """
    if not where:
        raise UsageError(
            "which runs are to be deleted?", "a filter: state:failed, id:12; or ltsm protocols delete ID"
        )
    from ltsm.cli.dropping import delete_runs
    from ltsm.report.choice import Choice, chosen

    with changing(store, dry_run=dry_run) as opened:
        found = chosen(opened, Choice(text=" ".join(where), protocol=protocol, study=study))
        ids = [run.id for one in found for run in one.runs]
        if not ids:
            raise UsageError("there are no such runs.", "ltsm runs list shows which there are")
        delete_runs(opened, ids, (), "runs delete", yes=yes, dry_run=dry_run, json=json)


def _table(found: Chosen) -> Table:
    settings = found.protocol.settings
    title = f"{found.protocol.id}: {found.protocol.name} on {settings.get('dataset')}"
    table = Table(title=title, title_justify="left")
    for name in ("id", "seed"):
        table.add_column(name, justify="right")
    for name in ("recipe", "state"):
        table.add_column(name)
    for name in ("iteration", "loss", "accuracy", "size", "seconds"):
        table.add_column(name, justify="right")
    for one in found.listed:
        table.add_row(*_row(one))
    return table


def _row(one: Listed) -> list[str | Text]:
    run = one.run
    return [
        str(run.id),
        str(run.seed),
        run.recipe,
        Text(run.state, style=COLOURS.get(run.state, "")),
        f"{run.iteration:,}" if run.iterations else "",
        _number(one.loss, "{:.4f}"),
        _number(100 * one.accuracy, "{:.2f} %"),
        "" if run.relative_size is None else f"{100 * run.relative_size:.1f} %",
        f"{run.seconds:.1f}",
    ]


def _number(value: float, form: str) -> str:
    return form.format(value) if value == value else ""  # noqa: PLR0124 - NaN is not itself


def _as_json(store: Store, found: Chosen) -> dict[str, Any]:
    from ltsm.report import formats, records
    from ltsm.store import read

    run, (record,) = found.runs[0], records.runs(store, [found])
    built_on = read.dependents(store, [run.id]) - {run.id}
    return {
        "name": run_name(run.recipe, run.seed),
        **formats.values(record),
        "fingerprint": run.fingerprint,
        "recipe_settings": read.recipe(store, run.id).settings,
        "made_from": _named(store, read.needs(store, run.id)),
        "built_on_it": [{"id": i, "name": name} for i, name in _names(store, sorted(built_on)).items()],
        "files": [_file(store, file) for file in run.files],
        "dropped_files": [_file(store, file) for file in run.dropped],
        "provenance": run.provenance,
    }


def _named(store: Store, needs: dict[str, int]) -> list[dict[str, Any]]:
    names = _names(store, list(needs.values()))
    return [{"role": role, "id": i, "name": names[i]} for role, i in needs.items()]


def _names(store: Store, ids: Sequence[int]) -> dict[int, str]:
    from ltsm.store import read

    return {run.id: run_name(run.recipe, run.seed) for run in read.runs(store, ids=ids)}


def _file(store: Store, file: File) -> dict[str, Any]:
    path = store.folder / file.artifact.path
    size = path.stat().st_size if path.is_file() else None
    return {
        "role": file.role,
        "iteration": file.iteration,
        "path": file.artifact.path,
        "sha256": file.artifact.sha256,
        "bytes": size,
    }


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person reads of a run, a name and a value a line."""
    plain_ = {k: v for k, v in found.items() if not isinstance(v, list | dict) and v is not None}
    lines = [(name.replace("_", " "), str(value)) for name, value in plain_.items() if name != "name"]
    lines.append(("hidden", ", ".join(map(str, found["hidden"]))))
    lines += [(f"made from, {n['role']}", f"{n['name']} (run {n['id']})") for n in found["made_from"]]
    lines += [("built on it", f"{n['name']} (run {n['id']})") for n in found["built_on_it"]]
    for what, word in (("files", "file"), ("dropped_files", "dropped file")):
        for file in found[what]:
            size = "gone" if file["bytes"] is None else decimal(file["bytes"])
            lines.append((f"{word}, {file['role']}", f"{file['path']} ({size})"))
    lines += [(name, str(value)) for name, value in found["provenance"].items()]
    return lines

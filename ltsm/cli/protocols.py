"""`protocols list|show|rename|delete`: whole protocols with their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ltsm.cli import completions, options, say
from ltsm.cli.stores import changing, reading
from ltsm.errors import UsageError
from ltsm.notation import duration, format_seeds, quoted
from ltsm.protocol import PRESETS

if TYPE_CHECKING:
    from ltsm.store.engine import Store
    from ltsm.store.values import ProtocolRow

LIST_HELP = """Examples:

[bold]ltsm protocols list[/]
[bold]ltsm protocols list --json[/]

List the store's protocols: number, name, data, seeds, how much is done, and the hours of work in it.
"""
SHOW_HELP = """Examples:

[bold]ltsm protocols show 2[/]
[bold]ltsm protocols show smoke --json[/]

Print every setting of a protocol; where there are several, also in which settings it differs from the others.
"""
RENAME_HELP = """Examples:

[bold]ltsm protocols rename 2 wide[/]
[bold]ltsm protocols rename 'smoke hidden=300,100' wide[/]

Give a protocol another name. It is a label: settings, runs and fingerprint stay, and a sweep of the same settings goes on
under the new name.
"""
DELETE_HELP = """Examples:

[bold]ltsm protocols delete 2 --dry-run[/]      what would go
[bold]ltsm protocols delete 2[/]
[bold]ltsm protocols delete wide --yes[/]       from a script

Delete a protocol with all its runs, records, masks and files; the others are not touched. What goes is said first,
and asked about at a terminal; where nobody can be asked it needs --yes.
"""
HELP = """Examples:

[bold]ltsm protocols list[/]
[bold]ltsm protocols rename 2 wide[/]
[bold]ltsm protocols delete 2[/]

The store's protocols: list, look at, rename, delete them.
"""
LONGEST_NAME = 120
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")

Named = Annotated[
    str,
    typer.Argument(
        metavar="NAME|ID",
        help="One of the store's, by name, number or start of its fingerprint.",
        autocompletion=completions.protocols,
        show_default=False,
    ),
]


@app.command("list", help=LIST_HELP, short_help="The store's protocols.")
def list_(store: options.Store = options.STORE, json: options.Json = False) -> None:
    """Print the protocols."""
    from ltsm.report import formats, records

    with reading(store) as opened:
        found = list(records.protocols(opened))
    if json:
        made = [formats.values(one) for one in found]
        say.as_json("ltsm-protocols", 1, {"store": str(opened.path), "protocols": made})
        return
    table = Table("id", "name", "data", "seeds", "done", "work", "since")
    for one in found:
        done, since = f"{one.finished}/{one.runs}", f"{one.created_at:%Y-%m-%d %H:%M}"
        data, work = str(one.settings.get("dataset")), duration(one.seconds)
        table.add_row(str(one.id), one.name, data, format_seeds(one.seeds), done, work, since)
    say.table(table)


@app.command(help=SHOW_HELP, short_help="Every setting of one.")
def show(
    protocol: Named,
    store: options.Store = options.STORE,
    json: options.Json = False,
) -> None:
    """Print a protocol.

    Raises:
        StoreError: no store, no such protocol, or several of that name.
    """
    from ltsm.store import read

    with reading(store) as opened:
        found, known = read.find_protocol(opened, protocol), read.protocols(opened)
    if json:
        head = {name: getattr(found, name) for name in ("id", "name", "fingerprint", "settings")}
        say.as_json("ltsm-protocol", 1, head | {"created_at": found.created_at.isoformat()})
        return
    others = [other for other in known if other.id != found.id]
    heads = (f"{other.id}: {other.name}" for other in others)
    rows = ((name, *values) for name, values in _settings(found, others).items())
    title = f"{found.id}: {found.name}"
    say.rows(rows, "setting", title, *heads, title=found.fingerprint, title_justify="left")


@app.command(help=RENAME_HELP, short_help="Give one another name.")
def rename(
    protocol: Named,
    name: Annotated[str, typer.Argument(metavar="NEW", show_default=False, help="Its new name.")],
    store: options.Store = options.STORE,
) -> None:
    """Rename a protocol.

    Raises:
        UsageError: the name would be another's, or mislead.
        StoreError: no store, no such protocol, or another command writes to the store.
    """
    from ltsm.store import read, write

    with changing(store) as opened:
        found = read.find_protocol(opened, protocol)
        name = _new_name(opened, found, name)
        write.rename_protocol(opened, found.id, name)
    say.data(f"{found.id}: {found.name} is now {name}")


@app.command(help=DELETE_HELP, short_help="Delete some with all their runs.")
def delete(
    protocols: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|ID...",
            help="Which of the store's, by name, number or start of fingerprint.",
            autocompletion=completions.protocols,
            show_default=False,
        ),
    ],
    store: options.Store = options.STORE,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Delete protocols.

    Raises:
        UsageError: whoever types says no, or cannot be asked.
        StoreError: no store, no such protocol, or another command writes to the store.
    """
    from ltsm.cli.dropping import delete_runs
    from ltsm.store import read

    with changing(store, dry_run=dry_run) as opened:
        ids = list(dict.fromkeys(read.find_protocol(opened, name).id for name in protocols))
        runs = [run.id for i in ids for run in read.runs(opened, i)]
        names = ", ".join(read.protocol(opened, i).name for i in ids)
        who = f"protocols delete {names}"
        delete_runs(opened, runs, ids, who, yes=yes, dry_run=dry_run, json=json)


def _settings(found: ProtocolRow, others: list[ProtocolRow]) -> dict[str, list[str]]:
    """Its settings by name, and the others' where they differ."""
    names = dict.fromkeys(name for one in (found, *others) for name in one.settings)
    return {
        name: [
            _text(found.settings.get(name)),
            *(
                "" if one.settings.get(name) == found.settings.get(name) else _text(one.settings.get(name))
                for one in others
            ),
        ]
        for name in names
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return (
            " ".join(map(_text, value)) if value and isinstance(value[0], list) else ",".join(map(str, value))
        )
    return "–" if value is None else str(value)


def _new_name(store: Store, protocol: ProtocolRow, name: str) -> str:
    """The name, if it can be the protocol's.

    Raises:
        UsageError: it cannot.
    """
    from ltsm.store import read

    name = name.strip()
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UsageError(f"a name is one line of 1 to {LONGEST_NAME} characters, not {quoted(name)}.")
    if name.isdecimal() or name.endswith(".toml"):
        raise UsageError(f"{quoted(name)} would be taken for a number or a file.", "choose a word")
    if name in PRESETS and PRESETS[name].fingerprint != protocol.fingerprint:
        raise UsageError(f"{name} is a preset of other settings.", f"ltsm protocols show {protocol.id}")
    if any(name == other.name for other in read.protocols(store) if other.id != protocol.id):
        raise UsageError(f"the store has another protocol {quoted(name)}.", "ltsm protocols list")
    return name

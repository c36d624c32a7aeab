"""Options that several commands share, each spelled once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ltsm import grammar
from ltsm.cli import completions
from ltsm.cli.project import variable
from ltsm.paths import read_path
from ltsm.protocol import AUTO, PRESETS, is_own_data, load
from ltsm.studies.all import DEFAULT, STUDIES


def path(what: str, *names: str, metavar: str = "FILE") -> Any:
    """An option that names a file or folder; called as its parameter, where it has no other names."""
    return typer.Option(*names, parser=read_path, metavar=metavar, help=what)


def _where(setting: str, metavar: str, what: str, **more: Any) -> Any:
    """An option that says where something is; its variable says so for many commands."""
    more |= {"envvar": variable(setting), "rich_help_panel": "Where"}
    return typer.Option(f"--{setting}", metavar=metavar, help=what, **more)


Store = Annotated[str, _where("store", "FILE", "The results: an SQLite file; weights lie beside it.")]
STORE = grammar.STORE
Data = Annotated[
    Path | None,
    _where("data", "DIR", "The folder of the data sets \\[default: data].", parser=read_path),
]
Device = Annotated[str, _where("device", "DEVICE", "cpu, or a GPU as PyTorch names it: cuda, cuda:1.")]

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        envvar="LTSM_JOBS",
        min=1,
        help="Worker processes; default: one a core, or one for a GPU.",
    ),
]

Workers = Annotated[
    str | None,
    typer.Option(
        "--workers",
        envvar="LTSM_WORKERS",
        metavar="dask://HOST:PORT",
        help="Compute on the workers of this Dask scheduler, in place of --jobs processes here.",
    ),
]

Engine = Annotated[
    Literal["avx512", "avx2", "baseline", "torch"] | None,
    typer.Option(
        "--engine",
        envvar="LTSM_KERNEL",
        help="What runs that begin are computed with: a variant of the C kernel, or PyTorch's operators \\[default: the best that all have].",
        show_default=False,
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help=f"{', '.join(STUDIES)}, or module:function \\[default: {DEFAULT}].",
        show_default=False,
        autocompletion=completions.studies,
    ),
]
STUDY = DEFAULT

ProtocolName = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        envvar="LTSM_PROTOCOL",
        metavar="NAME|FILE.toml|ID",
        autocompletion=completions.protocols,
        help=f"{', '.join(PRESETS)}, a file (ltsm init --protocol-file FILE writes one), or one of the store's by its number \\[default: the study's, mostly paper].",
        rich_help_panel="Protocol",
    ),
]


def in_store(name: str | None) -> str | None:
    """What the store knows the protocol of a file by: its fingerprint; its name, where that needs the data's content."""
    if name is None or not name.endswith(".toml"):
        return name
    found = load(read_path(name, "--protocol"))
    return found.name if found.dataset == AUTO or is_own_data(found.dataset) else found.fingerprint


def of_store(what: str, **more: Any) -> Any:
    """An option that names one of the store's protocols."""
    return typer.Option("--protocol", callback=in_store, metavar="NAME|FILE.toml|ID", help=what, **more)


StoredProtocol = Annotated[
    str | None,
    of_store(
        "Which of the store's protocols, by name, number or file \\[default: the one that changed last].",
        envvar="LTSM_PROTOCOL",
        autocompletion=completions.protocols,
    ),
]

form = partial(typer.Option, rich_help_panel="Format")
"""A flag that says in which form a document is."""
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another command that writes to the store.")]

Markdown = Annotated[bool, form("--markdown", help="The finding and the tables.")]
Latex = Annotated[bool, form("--latex", help="A document for pdflatex.")]
Html = Annotated[bool, form("--html", help="One self-contained page with all figures.")]
Numbers = Annotated[bool, form("--json", help="Every number, for programs.")]

Measure = Annotated[
    Literal["loss", "accuracy"],
    typer.Option("--measure", help="What tables and curves show."),
]

Where = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILTER",
        help="Which runs, as in the dashboard: kind:ticket seed:0-3 state:failed 'loss<0.1'.",
        show_default=False,
    ),
]

OneProtocol = Annotated[
    str | None,
    of_store(
        "Only runs of this one of the store's protocols, by name, number or file \\[default: all of them].",
        autocompletion=completions.protocols,
        show_default=False,
    ),
]

OneStudy = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="STUDY",
        autocompletion=completions.studies,
        help="Only runs of this study, by name or module:function.",
        show_default=False,
    ),
]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it may go.")]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and drop nothing.")]

Output = Annotated[Path | None, path("Write to FILE instead of stdout.", "--output", "-o")]

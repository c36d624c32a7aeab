"""Options that several commands share, each spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ltsm import grammar
from ltsm.paths import read_path
from ltsm.studies.all import DEFAULT

Store = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="LTSM_STORE",
        metavar="FILE",
        help="The results: an SQLite file; weights lie beside it.",
        rich_help_panel="Where",
    ),
]
STORE = grammar.STORE

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        parser=read_path,
        metavar="DIR",
        help="The folder of the data sets \\[env var: LTSM_DATA; default: data].",
        rich_help_panel="Where",
    ),
]

Device = Annotated[
    str,
    typer.Option(
        "--device",
        envvar="LTSM_DEVICE",
        metavar="DEVICE",
        help="cpu, or a GPU as PyTorch names it: cuda, cuda:1.",
        rich_help_panel="Where",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="paper, controls, or module:function \\[default: paper].", show_default=False
    ),
]
STUDY = DEFAULT

ProtocolName = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME|FILE.toml|ID",
        help="paper, smoke, a file (ltsm init --protocol-file FILE writes one), or one of the store's by its number \\[default: paper].",
        rich_help_panel="Protocol",
    ),
]

StoredProtocol = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help="Which of the store's protocols, by name or id \\[default: the one that changed last].",
    ),
]

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", parser=read_path, metavar="FILE", help="Write to FILE instead of stdout."),
]

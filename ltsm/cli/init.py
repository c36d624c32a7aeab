"""`init`: make the store, and show where everything is."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from ltsm import grammar
from ltsm.cli import options, say
from ltsm.cli.choices import named
from ltsm.cli.stores import writing
from ltsm.errors import UsageError, explained
from ltsm.paths import read_path
from ltsm.protocol import to_toml

HELP = """Examples:

[bold]ltsm init[/]
[bold]ltsm init --store /scratch/mine.db[/]
[bold]ltsm init --protocol-file mine.toml[/]          write the paper's protocol, to be changed; no store

Make an empty store, or bring an older one up to date, and say what to do next.
Not needed: every command that runs a step does it as well.
"""


def init(
    store: options.Store = options.STORE,
    data: options.Data = None,
    protocol: options.ProtocolName = None,
    protocol_file: Annotated[
        Path | None,
        options.path("Write the protocol's settings to this new TOML file, and do nothing else."),
    ] = None,
) -> None:
    """Make the store."""
    from ltsm.store import schema
    from ltsm.store.engine import store_path

    path = store_path(store)
    if protocol_file is not None:
        write_protocol(protocol_file, protocol, path)
        return
    with writing(path):
        say.data(f"store:    {path} (version {schema.HEAD})")
    folder = data or read_path(os.environ.get("LTSM_DATA") or "data")
    checked = ["data", "check", *([] if data is None else ["--data", str(data)])]
    say.data(f"data:     {folder} ({shlex.join(['ltsm', *checked])})")
    small, whole = (grammar.typed(words, path) for words in (["sweep", "--smoke"], ["sweep"]))
    say.note(f"next:     {small}, then {whole}")


def write_protocol(path: Path, name: str | None, store: Path) -> None:
    """Write a protocol as TOML, named as the file, and say how to sweep it into the store; a file that is there stays.

    Raises:
        UsageError: there is one, or it cannot be written.
    """
    chosen = replace(named(name or "paper", str(store)), name=path.stem)
    hint = "choose another --protocol-file"
    with explained(UsageError, f"cannot write {path}", hint), path.open("x", encoding="utf-8") as file:
        file.write(to_toml(chosen))
    say.data(f"protocol: {path} ({grammar.typed(['sweep', '--protocol', str(path)], store)})")

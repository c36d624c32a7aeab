"""What a shell proposes where a data set, a protocol or a study is to be named; nothing that cannot be read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import typer

from ltsm import grammar
from ltsm.cli.stores import reading
from ltsm.errors import LtsmError
from ltsm.protocol import AUTO, PRESETS
from ltsm.studies.all import STUDIES


def studies(incomplete: str) -> list[str]:
    """Our own studies; one of a person's is module:function."""
    return [name for name in STUDIES if name.startswith(incomplete)]


def datasets(incomplete: str) -> list[str]:
    """Published data sets, `auto`, and what may be data of one's own in this folder."""
    from ltsm.core.sources import DATASETS

    own = [path.name for path in Path().glob("*.npz")]
    return [name for name in (*DATASETS, AUTO, *sorted(own)) if name.startswith(incomplete)]


def protocols(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Presets, files in this folder, and the store's protocols by number, each with what it is."""
    found = [(name, "a preset") for name in PRESETS]
    found += [(path.name, "a file") for path in sorted(Path().glob("*.toml"))]
    return [pair for pair in [*found, *stored(context, "")] if pair[0].startswith(incomplete)]


def stored(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The store's protocols by number, each with its name."""
    from ltsm.store import read

    store = str(context.params.get("store") or grammar.STORE)
    with suppress(LtsmError, OSError), reading(store, unchecked=True) as opened:
        found = [(str(protocol.id), protocol.name) for protocol in read.protocols(opened)]
        return [pair for pair in found if pair[0].startswith(incomplete)]
    return []

"""Several protocols, of the usual store or of others: which ones are meant, and what each is called."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ltsm.cli import completions, options
from ltsm.cli.stores import reading
from ltsm.errors import UsageError
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.report.evaluation import Evaluation

Named = tuple[str, "Evaluation"]

Protocols = Annotated[
    list[str],
    typer.Argument(
        metavar="A B [C]",
        help="Protocols by name, number or file, or STORE.db:PROTOCOL.",
        autocompletion=completions.stored,
    ),
]


def load(names: Sequence[str], usual: str, study: str, *, records: bool) -> list[Named]:
    """What each store holds of the study under each of these protocols, by what it is called among them.

    Raises:
        UsageError: there is no such study, or two are the same protocol of the same store.
        StoreError: there is no such store or protocol.
    """
    return _named(names, [_side(name, usual, study, records=records) for name in names])


def is_of_a_store(name: str) -> bool:
    """Whether it names a store, with a protocol of it or without."""
    return split(name, "")[0] != ""


def split(name: str, usual: str) -> tuple[str, str | None]:
    """`STORE:PROTOCOL`, `STORE` for the protocol of it that changed last, or a protocol of the usual store; "" as `STORE`."""
    path, colon, protocol = name.rpartition(":")
    if colon and Path(path).expanduser().is_file():
        return path, protocol or None
    if name.endswith(".db") and Path(name).expanduser().is_file():
        return name, None
    return usual, name or None


def _side(name: str, usual: str, study: str, *, records: bool) -> Named:
    """The path of a protocol's store, and what it holds of the study under it."""
    from ltsm.report.evaluation import load as evaluation

    path, protocol = split(name, usual)
    with reading(path) as opened:
        return str(opened.path), evaluation(opened, options.in_store(protocol), study, records=records)


def _named(names: Sequence[str], sides: list[Named]) -> list[Named]:
    """Each side by its protocol's name; where that is not enough, by what was typed."""
    same = Counter((path, evaluation.protocol.fingerprint) for path, evaluation in sides)
    for name, (path, evaluation) in zip(names, sides, strict=True):
        if same[path, evaluation.protocol.fingerprint] > 1:
            raise UsageError(f"{quoted(name)} is there twice: a protocol does not differ from itself.")
    short = _short([evaluation.protocol.name for _, evaluation in sides])
    return [
        (called if short.count(called) == 1 else f"{called} ({name})", evaluation)
        for name, called, (_, evaluation) in zip(names, short, sides, strict=True)
    ]


def _short(names: list[str]) -> list[str]:
    """The names without the settings that all of them have: `smoke lr=0.003`, not `smoke dataset=digits lr=0.003`."""
    common = set.intersection(*(set(name.split()) for name in names))
    return [
        " ".join(word for word in name.split() if word not in common or "=" not in word) for name in names
    ]

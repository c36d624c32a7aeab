"""`verify`: does this store reproduce the paper?"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ltsm.cli import completions, say, sides
from ltsm.cli.options import STORE, STUDY, Json, Store, StoredProtocol
from ltsm.errors import UsageError
from ltsm.studies.all import STUDIES

HELP = """Examples:

[bold]ltsm verify[/]
[bold]ltsm verify paper --protocol smoke[/]
[bold]ltsm verify 1 2 old/ltsm.db:paper[/]    several protocols
[bold]ltsm verify criteria[/]                 of the work that this study is of
[bold]ltsm verify iterative 1 3[/]            of iterative pruning, twice
[bold]ltsm verify learned[/]                  how much shorter learned masks are
[bold]ltsm verify && echo reproduced[/]
[bold]ltsm verify --json | jq '.lines\\[] | select(.verdict == "differs")'[/]

Compare every published number with this store: Welch's t-test for means, Shoemaker's robust F test for
spreads (±), Holm's correction over all of them. `reproduced` means not found to differ: with ten seeds a
difference below two standard deviations may go unseen, and rounded values hide small ones.
Of another study's claims: values by 95 % intervals, bounds by one-sided tests, orderings paired by seed.
Exit code 0: everything is reproduced; 4: a number differs, or there are not seeds enough to tell;
5: nothing is compared, as the results are on other data than MNIST, or the study has no published numbers.
Of several protocols each is judged by itself; one that is not reproduced makes it 4, else one not compared 5.
"""

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ltsm.report.evaluation import Evaluation

NOT_REPRODUCED, NOT_COMPARED = 4, 5


def verify(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY|A B",
            help=f"{', '.join(STUDIES)} \\[default: {STUDY}]; and protocols by name, number or file, or STORE.db:PROTOCOL.",
            autocompletion=completions.studies,
        ),
    ] = None,
    store: Store = STORE,
    protocol: StoredProtocol = None,
    json: Json = False,
) -> None:
    """Compare with the paper, number by number.

    Raises:
        UsageError: there is no such study; protocols are named in two ways, or one is named twice.
        StoreError: no store, or no such protocol.
        typer.Exit: with code 4, unless all is reproduced; with 5 where nothing is compared.
    """
    study, names = _asked(words or [])
    source = context.get_parameter_source("protocol")
    if names and source is not None and source.name == "COMMANDLINE":
        raise UsageError(
            "protocols are named both as words and by --protocol.", f"ltsm verify {study} {' '.join(names)}"
        )
    found = sides.load(names or [protocol or ""], store, study, records=True)
    judged = [(name, _judged(evaluation)) for name, evaluation in found]
    _say(judged, json=json)
    if any(one.compared and not one.reproduced for _, one in judged):
        raise typer.Exit(NOT_REPRODUCED)
    if not all(one.compared for _, one in judged):
        raise typer.Exit(NOT_COMPARED)


def _asked(words: list[str]) -> tuple[str, list[str]]:
    """The study, which comes first if it is named, and the protocols."""
    named = words and not (words[0].isdecimal() or sides.is_of_a_store(words[0]))
    return (words[0], words[1:]) if named else (STUDY, words)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What came out of a protocol: for programs, under which schema, and for a terminal."""

    schema: str
    value: dict[str, Any]
    shown: RenderableType
    compared: bool
    reproduced: bool


def _judged(evaluation: Evaluation) -> _Judged:
    """The paper's numbers beside ours, or another study's claims."""
    from ltsm.report import published_claims, terminal
    from ltsm.report.all import VERIFY
    from ltsm.report.paper import verify as paper

    if (of_claims := VERIFY.get(evaluation.study.name)) is not None:
        claims = of_claims(evaluation)
        shown = terminal.claims(claims)
        value = published_claims.as_json(claims)
        return _Judged("ltsm-verify-claims", value, shown, claims.compared, claims.reproduced)
    found = paper.verify(evaluation)
    shown = terminal.verification(found)
    return _Judged("ltsm-verify", paper.as_json(found), shown, found.compared, found.reproduced)


def _say(judged: list[tuple[str, _Judged]], *, json: bool) -> None:
    """One as it is; several under their names, each a whole document in one."""
    if len(judged) == 1:
        ((_, one),) = judged
        say.as_json(one.schema, 1, one.value) if json else say.table(one.shown)
    elif json:
        documents = [{"name": name, "schema": one.schema, "version": 1, **one.value} for name, one in judged]
        say.as_json("ltsm-verify-several", 1, {"sides": documents})
    else:
        say.table(_beside(judged))


def _beside(judged: list[tuple[str, _Judged]]) -> RenderableType:
    """Each under its letter and name, and at the end once more what came out of each."""
    from rich.console import Group
    from rich.text import Text

    heads = [f"{letter}: {name}" for letter, (name, _) in zip(ascii_uppercase, judged, strict=False)]
    parts = [
        part
        for head, (_, one) in zip(heads, judged, strict=True)
        for part in (Text(head, "bold"), one.shown, "")
    ]
    last = [Text(f"{head}: {_verdict(one)}") for head, (_, one) in zip(heads, judged, strict=True)]
    return Group(*parts, *last)


def _verdict(one: _Judged) -> str:
    if not one.compared:
        return "not compared"
    return "reproduced" if one.reproduced else "not reproduced"

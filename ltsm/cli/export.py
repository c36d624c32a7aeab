"""`export runs|curves|masks`: a store's numbers for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ltsm.cli import options, say
from ltsm.cli.stores import reading
from ltsm.errors import StoreError, UsageError, explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import NamedTuple

HELP = """Examples:

[bold]ltsm export runs -o runs.csv[/]
[bold]ltsm export curves kind:ticket --protocol smoke[/]
[bold]ltsm export runs 'loss<0.1 not state:failed' --format json[/]
[bold]ltsm export masks --study controls -o masks.parquet[/]

Write every run, what was recorded of each run (curves), or every masked network, a record a line.
A filter says which runs, as in the dashboard; without one it is all of them, of every protocol.
The columns are listed in docs/taking_away.md. Where there is nothing a field is empty, in JSON and Parquet null.
In Python the same is ltsm.open(FILE).
"""

Form = Literal["csv", "json", "parquet"]


def export(
    what: Annotated[Literal["runs", "curves", "masks"], typer.Argument(help="Of what.", show_default=False)],
    where: options.Where = None,
    store: options.Store = options.STORE,
    protocol: options.OneProtocol = None,
    study: options.OneStudy = None,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="Default: as FILE is called, else csv.", show_default=False),
    ] = None,
    output: options.Output = None,
) -> None:
    """Write records.

    Raises:
        UsageError: the filter is none, there is no such study, or no FILE for Parquet.
        StoreError: no store, no such protocol, or FILE cannot be written.
        LtsmError: Parquet without pyarrow.
    """
    form = form or _by_name(output)
    if form == "parquet" and output is None:
        raise UsageError("Parquet is no text for a terminal.", "-o FILE.parquet")

    from ltsm.report import records
    from ltsm.report.choice import Choice, chosen

    taken: dict[str, tuple[type[NamedTuple], Callable[..., Iterator[NamedTuple]]]] = {
        "runs": (records.RunRecord, records.runs),
        "curves": (records.CurveRecord, records.curves),
        "masks": (records.MaskRecord, records.masks),
    }
    kind, make = taken[what]
    with reading(store) as opened:
        found = chosen(opened, Choice(text=" ".join(where or []), protocol=protocol, study=study))
        _written(what, kind, make(opened, found), form, output)


def _by_name(output: Path | None) -> Form:
    """The format that a file's name says."""
    forms: dict[str, Form] = {".json": "json", ".parquet": "parquet"}
    return forms.get(output.suffix.lower() if output else "", "csv")


def _written(
    what: str, kind: type[NamedTuple], found: Iterable[NamedTuple], form: Form, output: Path | None
) -> None:
    from ltsm.report import formats
    from ltsm.store import artifacts

    texts = formats.as_json(what, kind, found) if form == "json" else formats.as_csv(kind, found)
    if output is None:
        say.pieces(texts)
        return
    where = f"cannot write {output}"
    with explained(StoreError, where, "choose another place"), artifacts.whole(output) as file:
        if form == "parquet":
            formats.to_parquet(kind, found, file)
        else:
            file.writelines(text.encode("utf-8", "backslashreplace") for text in texts)
    say.note(f"wrote {output}")

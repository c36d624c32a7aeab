"""`dashboard`: watch a sweep and read its results in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ltsm import grammar
from ltsm.cli import completions, options
from ltsm.errors import UsageError
from ltsm.studies.all import STUDIES, maker

if TYPE_CHECKING:
    from pathlib import Path

HELP = """Examples:

[bold]ltsm dashboard[/]                    beside a sweep, or for its results
[bold]ltsm dashboard controls[/]           one of the store's studies; also module:function
[bold]ltsm dashboard --store FILE.db[/]    another store, also a read-only one
[bold]ltsm dashboard --beside OLD.db[/]    p lists its protocols, too: pin curves of both
[bold]NO_COLOR=1 ltsm dashboard[/]         without colour

It only looks: it writes nothing, and closing it changes nothing. Keys 1 to 5 are its screens, p chooses a
protocol and study, ? lists all keys, q quits. It needs a terminal; `ltsm status` does not.
"""


def dashboard(
    study: Annotated[
        str | None,
        typer.Argument(
            help=f"{', '.join(STUDIES)}, or module:function \\[default: the one that changed last].",
            show_default=False,
            autocompletion=completions.studies,
        ),
    ] = None,
    store: options.Store = options.STORE,
    protocol: options.StoredProtocol = None,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--beside",
            metavar="FILE",
            help="Another store to choose and pin from; may be repeated.",
            rich_help_panel="Where",
        ),
    ] = None,
) -> None:
    """Look at a store until the user has seen enough.

    Raises:
        StoreError: a store beside it cannot be read. The store itself may still come to be.
        UsageError: there is no terminal to draw on, or none to type on; there is no such study.
    """
    from ltsm.store.engine import store_path

    path = store_path(store)
    # Textual reads keys from stdin and draws on stderr; and who redirects stdout expects text there.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError("the dashboard needs a terminal.", grammar.typed(["status"], path))
    if study is not None:
        maker(study)
    known = [beside(path, other) for other in others or ()]
    # A thread that reads the store hands over to the keys after a millisecond instead of five.
    sys.setswitchinterval(0.001)
    # Textual takes a quarter of a second to import, and only this command needs it.
    from ltsm.dashboard.app import Dashboard
    from ltsm.dashboard.moment import Choice

    Dashboard(path, Choice(protocol, study), beside=known).run()


def beside(path: Path, name: str) -> Path:
    """The path of another store that can be read.

    Raises:
        StoreError: it cannot, as every reader says.
        UsageError: it is the store itself.
    """
    from ltsm.store import schema
    from ltsm.store.engine import store_path

    other = store_path(name)
    schema.open_for_reading(other, unchecked=True).close()
    if path.exists() and path.samefile(other):
        raise UsageError(
            f"{other} is the store that is shown, and none beside it.", grammar.typed(["dashboard"], path)
        )
    return other

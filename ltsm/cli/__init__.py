"""The command line: parse, call, say. One file per command or noun."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from ltsm.cli import data, db, doctor, init, say, status, steps, sweep
from ltsm.errors import LtsmError

HELP = """Lottery tickets and supermasks for fully connected networks.

Examples:

[bold]ltsm sweep --smoke[/]       the whole method in about a minute
[bold]ltsm sweep[/]               the paper's evaluation: ten seeds on MNIST
[bold]ltsm report[/]              its Table 1
[bold]ltsm doctor[/]              what this machine has
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        from ltsm import __version__  # noqa: PLC0415

        say.data(f"ltsm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and every step.")] = False,
    _show_version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    """Options for every command."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(message)s", stream=sys.stderr
    )
    for noisy in ("alembic", "matplotlib", "PIL", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


METHOD = "The method, step by step"
RESULTS = "Results"
AROUND = "Around it"

app.command(
    help=sweep.HELP, short_help="The whole evaluation: every step, every seed.", rich_help_panel=METHOD
)(sweep.sweep)
app.command(
    help=steps.BASELINE_HELP,
    short_help="Steps 1, 2: train, and retrain to the best iteration.",
    rich_help_panel=METHOD,
)(steps.train_baseline)
app.command(
    help=steps.SUPERMASK_HELP,
    short_help="Steps 3, 4: the mask whose untrained network is best.",
    rich_help_panel=METHOD,
)(steps.find_supermask)
app.command(
    help=steps.TICKET_HELP, short_help="Steps 5, 6: train what the mask keeps.", rich_help_panel=METHOD
)(steps.train_ticket)
app.command(
    help=steps.HYPEROP_HELP, short_help="The comparison: smaller dense networks.", rich_help_panel=METHOD
)(steps.train_hyperop)
app.command(help=status.HELP, short_help="What the store holds, and what runs now.", rich_help_panel=RESULTS)(
    status.status
)
app.command(help=init.HELP, short_help="Make the store; write a protocol to change.", rich_help_panel=AROUND)(
    init.init
)
app.add_typer(data.app, name="data", rich_help_panel=AROUND)
app.add_typer(db.app, name="db", rich_help_panel=AROUND)
app.command(help=doctor.HELP, short_help="What this machine has, and what is wrong.", rich_help_panel=AROUND)(
    doctor.doctor
)


def main() -> None:
    """Run the command line; an error becomes a sentence, the next command to type, and an exit code."""
    debug = "--debug" in sys.argv
    try:
        app()
    except LtsmError as error:
        if debug:
            raise
        say.error(error)
        sys.exit(error.exit_code)

"""The command line: parse, call, say. One file per command or noun."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ltsm.cli import (
    benchmark,
    compare,
    config,
    dashboard,
    data,
    db,
    doctor,
    export,
    figures,
    help,  # noqa: A004 - named as the command is
    init,
    parsing,
    project,
    protocols,
    prune,
    report,
    runs,
    say,
    status,
    steps,
    study,
    surroundings,
    sweep,
    ticket,
    verify,
)
from ltsm.errors import LtsmError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

HELP = """Lottery tickets and supermasks for fully connected networks.

Examples:

[bold]ltsm sweep --smoke[/]       the whole method in small, within a minute
[bold]ltsm sweep[/]               the paper's evaluation: ten seeds on MNIST
[bold]ltsm report[/]              its Table 1
[bold]ltsm doctor[/]              what this machine has
"""

app = typer.Typer(
    help=HELP,
    cls=parsing.Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        from ltsm import __version__

        say.data(f"ltsm {__version__}")
        raise typer.Exit


@app.callback()
def common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every step.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show every step, and tracebacks.")] = False,
    _show_version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    """Options for every command.

    Raises:
        StoreError: no relative path leads anywhere, and MKL would abort the process.
    """
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise StoreError(
            "the folder that this command was started in is gone.", "cd to one that is there"
        ) from error
    say.words.quiet = quiet
    steps_shown = logging.DEBUG if debug or verbose else logging.WARNING
    logging.basicConfig(level=steps_shown, handlers=[say.handler()])
    for noisy in ("alembic", "PIL", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns, in two lines, where it can keep no list of fonts between runs.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # It reports, with a traceback, that a second Ctrl-C came while it closed a connection.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.DEBUG if debug else logging.CRITICAL)


METHOD = "The method, step by step"
RESULTS = "Results"
AROUND = "Around it"

COMMANDS: dict[str, list[tuple[str, Callable[..., None], str, str]]] = {
    METHOD: [
        ("sweep", sweep.sweep, sweep.HELP, "A whole study: every recipe, every seed."),
        (
            "train-baseline",
            steps.train_baseline,
            steps.BASELINE_HELP,
            "Steps 1, 2: train; retrain to the best.",
        ),
        (
            "find-supermask",
            steps.find_supermask,
            steps.SUPERMASK_HELP,
            "Steps 3, 4: the best untrained mask.",
        ),
        ("train-ticket", steps.train_ticket, steps.TICKET_HELP, "Steps 5, 6: train what the mask keeps."),
        ("train-hyperop", steps.train_hyperop, steps.HYPEROP_HELP, "The comparison: smaller dense networks."),
        ("prune", prune.prune, prune.HELP, "The recipe on saved weights of your own network."),
    ],
    RESULTS: [
        ("status", status.status, status.HELP, "What the store holds, and what runs now."),
        ("report", report.report, report.HELP, "Table 1; also as Markdown, LaTeX, HTML, JSON, CSV."),
        ("figures", figures.figures, figures.HELP, "Figures 1 to 8 as PNG, SVG or PDF."),
        ("verify", verify.verify, verify.HELP, "Does this store reproduce the paper?"),
        ("export", export.export, export.HELP, "Runs, curves or masks as CSV, JSON or Parquet."),
        (
            "compare",
            compare.compare,
            compare.HELP,
            "Protocols side by side, paired by seed, curves overlaid.",
        ),
        ("dashboard", dashboard.dashboard, dashboard.HELP, "Watch a sweep; read its results."),
    ],
    AROUND: [
        ("init", init.init, init.HELP, "Make the store; write a protocol to change."),
        ("benchmark", benchmark.benchmark, benchmark.HELP, "How fast this machine trains, beside PyTorch."),
        ("doctor", doctor.doctor, doctor.HELP, "What this machine has, and what is wrong."),
        ("help", help.help_, help.HELP, "A command's help; what exit codes mean."),
    ],
}
"""In the order in which `ltsm --help` lists them, by panel: name, function, help, help in a line."""

NOUNS = [
    (METHOD, "study", study.app, "Studies: which there are, what one is made of."),
    (RESULTS, "runs", runs.app, "Single runs: list, show, delete."),
    (RESULTS, "protocols", protocols.app, "The store's protocols: list, show, rename, delete."),
    (RESULTS, "ticket", ticket.app, "A ticket as one file: export, show, evaluate."),
    (AROUND, "data", data.app, "Get a data set, or check it."),
    (AROUND, "db", db.app, "The store: path, upgrade, check, backup, merge, size, prune, rebuild."),
    (AROUND, "config", config.app, "Settings, and where each is from."),
]
"""Commands of commands: panel, name, commands, help in a line."""


def flowing(text: str) -> str:
    """A help text whose prose fills a terminal of any width; examples keep their lines.

    Typer keeps every line break of a paragraph. In the source a line of prose that ends a sentence ends a line for
    the reader, too; others are only wrapped.
    """
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        p if p.startswith("[bold]") else re.sub(r"(?<![.:])\n(?!$)", " ", p) for p in paragraphs
    )


for _panel, _rows in COMMANDS.items():
    for _name, _function, _help, _line in _rows:
        app.command(
            _name, cls=parsing.Command, help=flowing(_help), short_help=_line, rich_help_panel=_panel
        )(_function)
for _panel, _name, _commands, _line in NOUNS:
    for _command in _commands.registered_commands:
        _command.cls, _command.help = parsing.Command, flowing(_command.help or "")
    app.add_typer(_commands, name=_name, cls=parsing.Group, short_help=_line, rich_help_panel=_panel)


def command_line() -> None:
    """Run the command line; an error becomes a sentence, the next command to type, and an exit code."""
    debug = "--debug" in sys.argv
    surroundings.raise_files()
    try:
        project.take()
        app()
    except (LtsmError, OSError, ImportError, RuntimeError, MemoryError) as error:
        told = error if isinstance(error, LtsmError) else surroundings.met(error)
        if told is None:
            raise
        if debug:
            traceback.print_exc()
        else:
            say.error(told)
        sys.exit(told.exit_code)

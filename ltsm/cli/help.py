"""`help`: what a command does, and pages on what all of them share."""

from __future__ import annotations

from typing import Annotated

import typer

from ltsm.cli import say

HELP = """Examples:

[bold]ltsm help exit-codes[/]         what a script can tell from the exit code
[bold]ltsm help environment[/]        the variables that commands read
[bold]ltsm help sweep[/]              the same as ltsm sweep --help

A command's help, or a page on what all commands share.
"""
EXIT_CODES = {
    0: "done",
    1: "a run failed; what others recorded is kept, and the same command tries again. db merge: runs are different",
    2: "the command line, a protocol or a study asks for what cannot be",
    3: "the store or the data is missing, damaged, foreign or held by another command",
    4: "verify: something published is not reproduced",
    5: "verify: there is nothing to compare",
    130: "stopped by Ctrl-C; 143 by SIGTERM, 129 by a closed terminal. The same command goes on",
}
ENVIRONMENT = {
    "LTSM_STORE": "the store, where there is no --store",
    "LTSM_DATA": "the folder of the data sets, where there is no --data",
    "LTSM_DEVICE": "cpu, or a GPU, where there is no --device",
    "LTSM_PROTOCOL": "the protocol, where there is no --protocol",
    "LTSM_JOBS": "worker processes, where there is no --jobs",
    "LTSM_WORKERS": "a Dask scheduler whose workers compute, where there is no --workers",
    "LTSM_MIRROR": "where data sets are downloaded from, where there is no --mirror",
    "LTSM_SYNCHRONOUS": "how hard a commit is pushed to the disk: NORMAL, the default, FULL or EXTRA",
    "LTSM_KERNEL": "the variant of the C kernel, or torch, where not the best one that the processor has",
    "NO_COLOR": "no colours",
}
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "exit-codes": ("exit code", {str(code): text for code, text in EXIT_CODES.items()}),
    "environment": ("variable", ENVIRONMENT),
}


def help_(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PAGE|COMMAND]", help=", ".join(PAGES), autocompletion=lambda: list(PAGES)),
    ] = None,
) -> None:
    """Print a page, or a command's help.

    Raises:
        UsageError: there is no such page and no such command.
    """
    if words and words[0] in PAGES:
        title, rows = PAGES[words[0]]
        say.rows(rows.items(), title, "meaning")
        return
    root = context.find_root()
    root.command.main([*(words or ()), "--help"], prog_name=root.info_name)

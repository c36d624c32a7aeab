"""`report`: a study's table and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ltsm.cli import options, say
from ltsm.cli.stores import reading
from ltsm.errors import StoreError, UsageError
from ltsm.grammar import protocol_words, sweep_words, typed
from ltsm.protocol import IN_SMALL, PAPER
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ltsm.report.evaluation import Evaluation
    from ltsm.store.engine import Store

HELP = """Examples:

[bold]ltsm report[/]                               the paper's Table 1
[bold]ltsm report controls[/]                      is it the mask, the signs or the values
[bold]ltsm report my_studies:widths[/]             a study of your own
[bold]ltsm report --against-paper[/]               with the published values and Welch's test
[bold]ltsm report --measure accuracy[/]            accuracies in place of losses
[bold]ltsm report -o report.html[/]                everything in one file: figures, protocol, provenance
[bold]ltsm report -o report.tex[/]                 compiles as it is
[bold]ltsm report --fragment -o tables.tex[/]      for a paper of your own: its tables, with labels
[bold]ltsm report --json | jq .finding[/]

A study's table from the store, its finding in words, and its groups compared, paired by seed: without STUDY the
paper's Table 1, the ticket against every dense network. Means and deviations are over seeds; intervals and p are of
one paired t-test, and words follow p corrected after Holm.
Reads what is finished, also while a sweep runs, and says what is missing.
Without a format's flag the file's suffix says it: .html, .md, .tex, .json, .csv; .txt, or none, is the plain table.
"""

FORMATS = ("markdown", "latex", "html", "json", "csv")
"""Flags that exclude each other; without any, tables for the terminal, or what the file's suffix says."""
SUFFIXES = {
    "": "text",
    ".txt": "text",
    ".md": "markdown",
    ".tex": "latex",
    ".html": "html",
    ".htm": "html",
    ".json": "json",
    ".csv": "csv",
}
TABLES = ("text", "csv")
"""Formats that show tables alone: of masks that no run ended with, and of most records, nothing."""
FOR_PROGRAMS = ("json", "csv")
"""Formats in which nothing is something: who waits for results reads them again and again."""


def report(
    study: options.StudyName = options.STUDY,
    store: options.Store = options.STORE,
    protocol: options.StoredProtocol = None,
    against_paper: Annotated[
        bool, typer.Option("--against-paper", help="Show the published values and Welch's test, too.")
    ] = False,
    measure: options.Measure = "loss",
    markdown: options.Markdown = False,
    latex: options.Latex = False,
    fragment: Annotated[
        bool,
        options.form("--fragment", help="Of LaTeX the tables alone, each with its \\label, to \\input."),
    ] = False,
    html: options.Html = False,
    json: options.Numbers = False,
    csv: Annotated[bool, options.form("--csv", help="The study's table alone.")] = False,
    output: options.Output = None,
) -> None:
    """Print a study's table, or write a document.

    Raises:
        UsageError: two formats at once, or a file whose suffix is of none, or of another than the flag's.
        UsageError: there is no such study.
        StoreError: no store, no such protocol, or the file cannot be written.
    """
    flags = dict(zip(FORMATS, (markdown, latex, html, json, csv), strict=True))
    flags["latex"] |= fragment and not any(flags.values())
    form = format_of("report", flags, output)
    if fragment and form != "latex":
        raise UsageError(f"--fragment is for LaTeX, not for {form}.", "ltsm report --fragment -o tables.tex")
    from ltsm.report import document
    from ltsm.report.measure import MEASURES
    from ltsm.store import artifacts
    from ltsm.store.read import uncollected

    with uncollected():
        evaluation = _evaluation(store, protocol, study, form)
        if form == "text" and output is None:
            say.table(document.terminal(evaluation, against_paper=against_paper, measure=MEASURES[measure]))
            if (words := _whole(evaluation.protocol.name)) is not None:
                command = typed([*sweep_words(study), *words], store)
                say.note(f"this was the small version; the whole of it: {command}")
            return
        write = document.WRITERS["fragment" if fragment else form]
        text = write(evaluation, against_paper, MEASURES[measure])
    if output is None:
        say.document(text)
    else:
        artifacts.save(output, text.encode("utf-8", "backslashreplace"))
        say.note(f"wrote {output}")


def _evaluation(store: str, protocol: str | None, study: str, form: str) -> Evaluation:
    """What a document of this form needs; whatever it shows is checked."""
    from ltsm.report.evaluation import load
    from ltsm.store import schema

    whole = form not in TABLES
    with reading(store, shown=None if whole else schema.PLAN) as opened:
        evaluation = load(opened, protocol, study, records=whole, bits=form == "html", checked=whole)
        if evaluation.records and not whole:
            schema.refuse_damage(opened)  # records are under the runs' own seals
        check_finished(opened, evaluation, study, program=form in FOR_PROGRAMS)
    if evaluation.protocol.dataset == "digits":
        say.warn(
            "these are results on scikit-learn's digits, not on MNIST: the paper's are no measure for them"
        )
    return evaluation


def _whole(name: str) -> list[str] | None:
    """The options by which a sweep makes the whole of this small version, changed in the same settings; None of another protocol."""
    small, *changed = name.split()
    for whole, of_it in IN_SMALL.items():
        if small == of_it.name:
            pairs = (word.partition("=") for word in changed if "=" in word)
            options = [part for key, _, value in pairs for part in (f"--{key.replace('_', '-')}", value)]
            return [*["--protocol", whole] * (whole != PAPER.name), *options]
    return None


def format_of(command: str, flags: Mapping[str, bool], output: Path | None) -> str:
    """The format of the document: that of the flag given, or the file's by its suffix, of those that have a flag.

    Raises:
        UsageError: two flags, a suffix that says nothing, or one by which a program would misread the file.
    """
    chosen = [name for name, on in flags.items() if on]
    if len(chosen) > 1:
        raise UsageError(
            f"--{chosen[0]} and --{chosen[1]} exclude each other.", f"ltsm {command} --{chosen[0]}"
        )
    flag = chosen[0] if chosen else None
    suffixes = {suffix: form for suffix, form in SUFFIXES.items() if form in {"text", *flags}}
    suffix = output.suffix if output else ""
    by_suffix = suffixes.get(suffix.lower())
    if flag is None and by_suffix is None:
        known = ", ".join(s for s in suffixes if s)
        raise UsageError(
            f"there is no format for {suffix}: there are {known}.", f"ltsm {command} -o {command}.md"
        )
    if flag is not None and by_suffix not in {None, "text", flag}:
        raise UsageError(
            f"{output} would not be what its suffix says: --{flag} is another format.",
            f"ltsm {command} -o {output}",
        )
    return flag or by_suffix or "text"


def check_finished(store: Store, evaluation: Evaluation, study: str, *, program: bool = False) -> None:
    """One sentence and the command that goes on, in place of a page of dashes, where no run of the study is finished yet.

    To a program it is said beside its document, for it may read again later.

    Raises:
        StoreError: none is, and a person asks.
    """
    if any(run.state in FINISHED for run in evaluation.runs):
        return
    has = f": the store has runs of {', '.join(evaluation.others)}" if evaluation.others else ""
    why = f"no run of the study {study} is finished yet under {evaluation.protocol.name}{has}"
    if not program:
        raise StoreError(f"{why}.", _sweep(store, evaluation, study))
    say.note(f"{why}: {_sweep(store, evaluation, study)}")


def _sweep(store: Store, evaluation: Evaluation, study: str) -> str:
    """The command that goes on; the store knows the protocol by its number."""
    from ltsm.store import read

    fingerprint = evaluation.protocol.fingerprint
    known = [p.id for p in read.protocols(store) if p.fingerprint == fingerprint]
    words = protocol_words(known[0], evaluation.protocol.dataset, evaluation.runs) if known else []
    return typed([*sweep_words(study), *words], store.path)

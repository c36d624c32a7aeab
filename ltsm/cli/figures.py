"""`figures`: the figures of a study as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ltsm.cli import options, say
from ltsm.cli.report import check_finished
from ltsm.cli.stores import reading
from ltsm.errors import UsageError
from ltsm.notation import quoted

HELP = """Examples:

[bold]ltsm figures[/]                              the paper's, all eight, into figures/
[bold]ltsm figures controls[/]                     another study's
[bold]ltsm figures 4 5 7 --format pdf[/]           three of them, for LaTeX
[bold]ltsm figures --out paper/img --format svg[/]
[bold]ltsm figures 5 --width 4 --dpi 600[/]        narrow and fine, for a paper
[bold]ltsm figures --style slides[/]               larger type
[bold]ltsm figures --measure accuracy[/]           accuracy during training, where a figure shows losses

Draw the figures of a study from the store. The paper's: 1 initial training, 2 retraining, 3 size and 4 accuracy
against threshold, 5 losses and 6 sizes of tickets and hyperops, 7 loss against size, 8 what is left of the network.
Those of criteria: 1 accuracy without training against size, 2 what each layer keeps, 3 losses of tickets, if trained.
Those of iterative, against size: 1 iteration of the minimum, test accuracy 2 there and 3 at the end; 4 losses.
Those of learned: 1 masks as they are learned, 2 what they come to, 3 probabilities of being kept, 4 losses.
Any other's: 1 losses of its groups, 2 accuracy without training, 3 final loss against it, and, where a recipe tries
several amounts, 4 size and accuracy of its masks.
The captions go to captions.md beside them. The same store gives the same bytes.
"""


def figures(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY|N", help="Of which study \\[default: paper], and which figures; without any: all."
        ),
    ] = None,
    store: options.Store = options.STORE,
    protocol: options.StoredProtocol = None,
    measure: options.Measure = "loss",
    out: Annotated[Path, options.path("The folder for the files.", metavar="DIR")] = Path("figures"),
    form: Annotated[
        Literal["png", "svg", "pdf"], typer.Option("--format", help="Fonts are embedded in svg and pdf.")
    ] = "png",
    width: Annotated[
        float | None,
        typer.Option(min=4, max=40, metavar="INCHES", help="Default: what each figure needs."),
    ] = None,
    dpi: Annotated[int, typer.Option(min=30, max=1200, metavar="N", help="Of png.")] = 160,
    style: Annotated[Literal["paper", "slides"], typer.Option(help="slides: larger type.")] = "paper",
) -> None:
    """Draw figures and print the files' paths.

    Raises:
        UsageError: there is no such study, or no figure of that number; or one has no room in the width.
        StoreError: no store, no such protocol, nothing of the study is finished, or the folder cannot be written.
    """
    study, numbers = _asked(words or [])

    from ltsm.report import document
    from ltsm.report.all import figures as figures_of
    from ltsm.report.evaluation import load
    from ltsm.report.figures.draw import Sheet, draw
    from ltsm.report.measure import MEASURES
    from ltsm.store import artifacts

    with reading(store) as opened:
        evaluation = load(opened, protocol, study, records=True, bits=True)
        check_finished(opened, evaluation, study)
    found = figures_of(evaluation, measure=MEASURES[measure])
    there = [figure.number for figure in found]
    if unknown := [n for n in numbers if n not in there]:
        has = ", ".join(map(str, there))
        raise UsageError(f"there is no figure {unknown[0]}: there are {has}.", f"ltsm figures {study}")
    shown = [figure for figure in found if not numbers or figure.number in numbers]
    sheet = Sheet(width, dpi, style)
    for figure in shown:
        path = out / f"figure_{figure.number}.{form}"
        artifacts.save(path, draw(figure, form, sheet))
        say.data(str(path))
    artifacts.save(out / "captions.md", document.captions(shown).encode("utf-8", "backslashreplace"))


def _asked(words: list[str]) -> tuple[str, list[int]]:
    """The study and the figures' numbers: a word is a study, and it comes first."""
    study, *rest = words if words and not words[0].isdecimal() else (options.STUDY, *words)
    if wrong := [word for word in rest if not word.isdecimal()]:
        raise UsageError(f"{quoted(wrong[0])} is no number of a figure.", "ltsm figures STUDY 1 2")
    return study, [int(word) for word in rest]

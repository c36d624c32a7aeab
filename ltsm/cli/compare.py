"""`compare`: a study under several protocols, side by side."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ltsm.cli import completions, options, say, sides
from ltsm.cli.report import FOR_PROGRAMS, FORMATS, format_of
from ltsm.errors import StoreError, UsageError
from ltsm.notation import quoted

if TYPE_CHECKING:
    from ltsm.report.compared import Compared

HELP = """Examples:

[bold]ltsm compare paper frankle[/]            two of the store's, by name or number
[bold]ltsm compare 1 2 3 --study controls[/]   three, another study
[bold]ltsm compare 1 old/ltsm.db:paper[/]      one of another store
[bold]ltsm compare 1 2 --measure accuracy[/]   accuracies in place of losses
[bold]ltsm compare 1 2 --figure c.png[/]       the curves, a panel a network
[bold]ltsm compare 1 2 --figure t.pdf --group ticket[/]
[bold]ltsm compare 1 2 -o both.html[/]         one page, with the curves; also .md, .tex, .csv, .json, .txt
[bold]ltsm compare 1 2 --json | jq .settings[/]

The study's rows under each protocol, mean ± deviation over seeds, and each later one minus the first, paired by seed
where they have seeds in common; and the settings that are not the same.
The statistics are the reports': one paired t-test, p corrected after Holm over each table, none below five pairs.
"""

_FORMS: dict[str, Literal["png", "svg", "pdf"]] = {".png": "png", ".svg": "svg", ".pdf": "pdf"}


def compare(
    names: sides.Protocols,
    study: Annotated[
        str,
        typer.Option(help="Of which study.", autocompletion=completions.studies),
    ] = options.STUDY,
    store: options.Store = options.STORE,
    measure: options.Measure = "loss",
    figure: Annotated[Path | None, options.path("Draw the curves, too: .png, .svg or .pdf.")] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of the figure and the page: which networks; may be repeated."),
    ] = None,
    markdown: options.Markdown = False,
    latex: options.Latex = False,
    html: options.Html = False,
    json: options.Numbers = False,
    csv: Annotated[bool, options.form("--csv", help="A line a row and protocol.")] = False,
    output: options.Output = None,
) -> None:
    """Print protocols side by side.

    Raises:
        UsageError: fewer than two protocols, the same twice, two formats, a figure or a file of no known suffix.
        StoreError: no store, no such protocol, or nothing of the study is finished under any of them.
    """
    form = format_of("compare", dict(zip(FORMATS, (markdown, latex, html, json, csv), strict=True)), output)
    suffix = None if figure is None else _suffix(figure)
    if len(names) < 2:  # noqa: PLR2004
        raise UsageError("one protocol is nothing to compare.", f"ltsm compare {names[0]} OTHER")
    from ltsm.report import compared_documents as documents
    from ltsm.report.compared import compare as compared
    from ltsm.report.measure import MEASURES
    from ltsm.store import artifacts

    found = compared(
        sides.load(names, store, study, records=figure is not None or form == "html"), MEASURES[measure]
    )
    _check_finished(found, form)
    writers = documents.WRITERS | {"html": partial(documents.html, groups=group or ())}
    if form == "text" and output is None:
        say.table(documents.terminal(found))
    elif output is None:
        say.document(writers[form](found))
    else:
        artifacts.save(output, writers[form](found).encode("utf-8", "backslashreplace"))
        say.note(f"wrote {output}")
    if figure is not None and suffix is not None:
        from ltsm.report.figures.compared import figure as figure_of
        from ltsm.report.figures.draw import draw

        shown = figure_of(found, group or ())
        artifacts.save(figure, draw(shown, suffix))
        say.note(f"wrote {figure}: {shown.caption}")


def _suffix(figure: Path) -> Literal["png", "svg", "pdf"]:
    """The form of a figure by its file's name.

    Raises:
        UsageError: there is no such form.
    """
    if (form := _FORMS.get(figure.suffix.lower())) is None:
        raise UsageError(
            f"a figure is .png, .svg or .pdf, not {quoted(figure.suffix)}.", f"--figure {figure.stem}.png"
        )
    return form


def _check_finished(found: Compared, form: str) -> None:
    """A page of dashes helps nobody; programs get theirs all the same.

    Raises:
        StoreError: nothing is finished, under none of them.
    """
    if any(row.n for side in found.sides for row in side.table.rows):
        return
    others = dict.fromkeys(name for side in found.sides for name in side.evaluation.others)
    has = f": there are runs of {', '.join(others)}" if others else ""
    study = found.sides[0].evaluation.study.name
    why = f"no run of the study {study} is finished yet under any of them{has}"
    if form not in FOR_PROGRAMS:
        raise StoreError(f"{why}.", "ltsm compare … --study STUDY; ltsm study list names them")
    say.note(why)

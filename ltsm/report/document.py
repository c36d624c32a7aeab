"""The report's documents: one function a format, from an evaluation to its text."""

from __future__ import annotations

import io
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ltsm.report import escape, formats
from ltsm.report.all import contents, figures, table
from ltsm.report.measure import LOSS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jinja2 import Environment
    from rich.console import RenderableType

    from ltsm.report.compared import Compared
    from ltsm.report.contents import Contents
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Figure
    from ltsm.report.grids import Grid
    from ltsm.report.measure import Measure
    from ltsm.report.provenance import Weights

    Sayings = Compared | Contents
    """What has the title, the claims and the notes that stand around the tables of a document."""
    Section = tuple[str, Sequence[tuple[str, str]]]


def terminal(evaluation: Evaluation, *, against_paper: bool, measure: Measure = LOSS) -> RenderableType:
    """The tables and the finding for a terminal."""
    from ltsm.report import terminal as rich_tables

    return rich_tables.report(contents(evaluation, measure), against_paper=against_paper)


def text(evaluation: Evaluation, against_paper: bool, measure: Measure = LOSS) -> str:
    """What a terminal of 160 columns shows, without its colours."""
    return plain(terminal(evaluation, against_paper=against_paper, measure=measure))


def plain(renderable: RenderableType) -> str:
    """The same of anything that a terminal shows."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=160, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def csv(evaluation: Evaluation, against_paper: bool, measure: Measure = LOSS) -> str:
    """The study's table as comma-separated values."""
    return formats.table_as_csv(table(evaluation, measure), against_paper=against_paper)


def as_json(evaluation: Evaluation, _against_paper: bool, measure: Measure = LOSS) -> str:
    """Every number, as `report.schema.json` says."""
    from ltsm.report.numbers import report

    found = report(contents(evaluation, measure))
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def markdown(evaluation: Evaluation, against_paper: bool, measure: Measure = LOSS) -> str:
    """The finding and the tables."""
    found = contents(evaluation, measure)
    return rendered("markdown", found, found.grids(against_paper=against_paper))


def latex(
    evaluation: Evaluation, against_paper: bool, measure: Measure = LOSS, *, fragment: bool = False
) -> str:
    """A whole document with booktabs, for pdflatex; or its tables alone, for a paper where booktabs and graphicx are."""
    found = contents(evaluation, measure)
    return rendered("fragment" if fragment else "latex", found, found.grids(against_paper=against_paper))


def html(evaluation: Evaluation, _against_paper: bool, measure: Measure = LOSS) -> str:
    """One self-contained page: the tables, every figure, the protocol and the provenance."""
    from ltsm.report import provenance

    found = contents(evaluation, measure)
    return page(
        found,
        found.grids(against_paper=True),
        figures(evaluation, measure=measure),
        [("Protocol", provenance.settings(evaluation)), ("Provenance", provenance.origins(evaluation))],
        provenance.weights(evaluation),
    )


def page(
    found: Sayings,
    grids: Sequence[Grid],
    drawn: Sequence[Figure],
    sections: Sequence[Section],
    weights: Sequence[Weights] = (),
) -> str:
    """Tables, figures, and sections of names and values, as one page that needs nothing else."""
    from markupsafe import Markup

    from ltsm.report.figures import draw

    # What is marked as safe was escaped where it was made.
    return _rendered(
        "report.html.j2",
        None,
        found,
        grids,
        figures=drawn,
        drawn={figure.number: [Markup(panel) for panel in draw.for_page(figure)] for figure in drawn},  # noqa: S704
        light_styles=Markup(draw.css(dark=False)),  # noqa: S704
        dark_styles=Markup(draw.css(dark=True)),  # noqa: S704
        sections=sections,
        weights=weights,
    )


def captions(drawn: Iterable[Figure]) -> str:
    """The captions of some figures as Markdown."""
    return "\n\n".join(f"**Figure {f.number}.** {escape.markdown(f.caption)}" for f in drawn) + "\n"


def rendered(form: Literal["markdown", "latex", "fragment"], found: Sayings, grids: Sequence[Grid]) -> str:
    """Tables and what stands around them, as Markdown, as a document for pdflatex, or for one of one's own."""
    if form == "markdown":
        return _rendered("report.md.j2", escape.markdown, found, grids)
    more = {"two_lines": _two_lines, "fragment": form == "fragment"}
    return _rendered("report.tex.j2", escape.latex, found, grids, **more)


def _rendered(
    template: str,
    escaped: Callable[[str], str] | None,
    found: Sayings,
    grids: Sequence[Grid],
    **more: Any,
) -> str:
    return _environment(escaped).get_template(template).render(c=found, grids=grids, **more) + "\n"


def _environment(escaped: Callable[[str], str] | None) -> Environment:
    """Templates whose every value is escaped: by jinja2 for HTML (None), else by this function."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("ltsm.report")
    if escaped is None:
        return Environment(loader=loader, undefined=StrictUndefined, autoescape=True)
    # Braces, percent signs and hashes are the documents' own; `finalize` escapes every value.
    return Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        finalize=partial(_harmless, escaped),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )


def _two_lines(heading: str) -> str:
    """A column's heading for LaTeX, broken at the space nearest to its middle."""
    from markupsafe import Markup

    words = heading.split()
    if len(words) == 1:
        return heading
    cuts = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    first, second = min(cuts, key=lambda cut: abs(len(cut[0]) - len(cut[1])))
    return Markup(rf"\shortstack[r]{{{escape.latex(first)}\\{escape.latex(second)}}}")  # noqa: S704


def _harmless(escaped: Callable[[str], str], value: Any) -> Any:
    from markupsafe import Markup

    return value if isinstance(value, Markup) else escaped(str(value))


WRITERS: dict[str, Callable[[Evaluation, bool, Measure], str]] = {
    "text": text,
    "markdown": markdown,
    "latex": latex,
    "fragment": partial(latex, fragment=True),
    "html": html,
    "json": as_json,
    "csv": csv,
}

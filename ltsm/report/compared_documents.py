"""Protocols side by side as tables for a terminal, Markdown, LaTeX, HTML, CSV and JSON."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ltsm.notation import plain
from ltsm.report import document, numbers
from ltsm.report.formats import lines
from ltsm.report.grids import Entry, Grid
from ltsm.report.paired import ENOUGH_PAIRS
from ltsm.report.words import MISSING, p_text, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from ltsm.report.compared import Compared, Line, Part, Side, Versus
    from ltsm.report.table import Column

VERSION: Final = 1
_OF_EACH: Final = ("95% interval", "p, Holm", "n")


def grids(found: Compared) -> list[Grid]:
    """The settings that are not the same, then a table for each column."""
    return [*([_settings(found)] if found.settings else []), *(_part(found, part) for part in found.parts)]


def terminal(found: Compared) -> RenderableType:
    """For a terminal: the tables, what is missing, and what is shown to differ."""
    from rich.console import Group
    from rich.text import Text

    from ltsm.report.terminal import Fitting

    tables = [part for grid in grids(found) for part in (Fitting(grid), "")]
    notes = [Text(note, style="red") for note in found.notes]
    claims = [Text(f"• {claim.sentence}") for claim in found.claims]
    return Group(*tables, *notes, *claims, Text(_how(found)))


def text(found: Compared) -> str:
    """What a terminal of 160 columns shows, without its colours."""
    return document.plain(terminal(found))


def html(found: Compared, groups: Sequence[str] = ()) -> str:
    """One self-contained page: the tables, the curves of these groups, and of each side all settings and the provenance.

    Raises:
        UsageError: there is no such group, or there are more than fit.
    """
    from ltsm.report import provenance
    from ltsm.report.figures.compared import figure

    about = (
        (f"{what} of {side.heading}", pairs(side.evaluation))
        for side in found.sides
        for what, pairs in (("Protocol", provenance.settings), ("Provenance", provenance.origins))
    )
    return document.page(found, grids(found), [figure(found, groups)], [*about])


def csv(found: Compared) -> str:
    """A line for each column, row and side, in full precision; the first side has no difference."""
    differences = ("difference_mean", "difference_sd", "difference_n", "low", "high", "p", "corrected_p")
    rows: list[list[Any]] = [
        ["column", "label", "side", "protocol", "n", "mean", "sd", "paired", *differences]
    ]
    for part in found.parts:
        for line in part.lines:
            for side, mean, versus in zip(found.sides, line.sides, (None, *line.versus), strict=True):
                head = [part.column.name, line.label, side.letter, side.name, mean.n]
                rows.append([*head, *plain([mean.mean, mean.sd, *_numbers(versus)])])
    return lines(rows)


def _numbers(versus: Versus | None) -> list[Any]:
    if versus is None:
        return [None] * 8
    f = versus.found
    between = (f.difference.mean, f.difference.sd, f.difference.n, f.interval.low, f.interval.high)
    return ["yes" if versus.paired else "no", *between, f.p, f.corrected_p]


def as_json(found: Compared) -> str:
    """Every number, for programs."""
    study = found.sides[0].evaluation.study
    value = {
        "schema": "ltsm-comparison",
        "version": VERSION,
        "study": {"name": study.name, "title": study.title},
        "sides": [_side(side) for side in found.sides],
        "settings": [{"name": name, "values": list(values)} for name, values in found.settings],
        "finding": plain(found.claims),
        "columns": [_column(found, part) for part in found.parts],
        "notes": list(found.notes),
    }
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _side(side: Side) -> dict[str, Any]:
    protocol = numbers.protocol(side.evaluation)
    return {
        "letter": side.letter,
        "name": side.name,
        "protocol": protocol,
        "seeds": list(side.evaluation.seeds),
    }


def _column(found: Compared, part: Part) -> dict[str, Any]:
    head = {"name": part.column.name, "heading": part.column.heading, "unit": part.column.unit}
    return head | {"rows": [_row(found, line) for line in part.lines]}


def _row(found: Compared, line: Line) -> dict[str, Any]:
    sides = [
        {"letter": side.letter, **plain(mean)} for side, mean in zip(found.sides, line.sides, strict=True)
    ]
    base, *others = (side.letter for side in found.sides)
    differences = [
        {"letter": other, "minus": base, "paired": versus.paired, **_between(versus)}
        for other, versus in zip(others, line.versus, strict=True)
    ]
    return {"label": line.label, "sides": sides, "differences": differences}


def _between(versus: Versus) -> dict[str, Any]:
    values: dict[str, Any] = plain(versus.found)
    return {name: value for name, value in values.items() if name != "label"}


def _settings(found: Compared) -> Grid:
    names = tuple(side.heading for side in found.sides)
    entries = tuple(Entry(name, tuple((value,) for value in values)) for name, values in found.settings)
    words = tuple(range(1, len(names) + 1))
    caption = "Settings, and the seeds that were run, in which the protocols differ."
    return Grid(
        "settings", "What differs in the settings", ("Setting", *names), entries, caption, words=words
    )


def _part(found: Compared, part: Part) -> Grid:
    base, *others = found.sides
    between = [h for other in others for h in (f"{other.letter} − {base.letter}", *_OF_EACH)]
    entries = tuple(
        Entry(line.label, tuple((cell,) for cell in _cells(found, part.column, line))) for line in part.lines
    )
    return Grid(
        part.column.name,
        part.column.heading,
        ("Label", *(side.heading for side in found.sides), *between),
        entries,
        f"{part.column.heading}. {_how(found)}",
    )


def _cells(found: Compared, column: Column, line: Line) -> list[str]:
    means = [
        column.text(mean) + f" (n = {mean.n})" * (0 < mean.n != len(side.evaluation.seeds))
        for side, mean in zip(found.sides, line.sides, strict=True)
    ]
    return [*means, *(cell for versus in line.versus for cell in _difference(column, versus))]


def _difference(column: Column, versus: Versus) -> tuple[str, ...]:
    found, digits = versus.found, column.digits
    between = found.difference
    if not between.n:
        return (MISSING,) * (1 + len(_OF_EACH))
    spread = "" if math.isnan(between.sd) else f" ± {between.sd:.{digits}f}"
    interval = MISSING
    if found.enough and not math.isnan(found.p):
        interval = f"{signed(found.interval.low, digits)} to {signed(found.interval.high, digits)}"
    n = str(between.n) if versus.paired else "means"
    return (f"{signed(between.mean, digits)}{spread}", interval, p_text(found.corrected_p), n)


def _how(found: Compared) -> str:
    """What the numbers are, said once."""
    means = any(not v.paired for part in found.parts for line in part.lines for v in line.versus)
    apart = " “means”: no seed in common, the difference of two means by Welch's t-test." * means
    return (
        f"Mean ± sample standard deviation over seeds. A difference is over the n seeds that both have, with their "
        f"deviation; differences of percentages are percentage points.{apart} Interval and p are of one paired t-test, p "
        f"corrected after Holm for each table; fewer than {ENOUGH_PAIRS} seeds are not tested."
    )


def _rendered(form: Any, found: Compared) -> str:
    return document.rendered(form, found, grids(found))


WRITERS: Final[dict[str, Callable[[Compared], str]]] = {
    "text": text,
    "markdown": partial(_rendered, "markdown"),
    "latex": partial(_rendered, "latex"),
    "html": html,
    "json": as_json,
    "csv": csv,
}

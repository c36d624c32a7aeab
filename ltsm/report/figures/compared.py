"""How the same network trains under several protocols: a panel for each group, a curve for each protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ltsm.errors import UsageError
from ltsm.notation import quoted
from ltsm.report.evaluation import dataset_title
from ltsm.report.figures.curves import curve_band, curves_panel
from ltsm.report.figures.groups import STYLES
from ltsm.report.figures.values import Figure
from ltsm.studies.names import file_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.report.compared import Compared
    from ltsm.report.figures.values import Panel

USUAL, MOST = 3, 6
"""So many panels without being asked, and side by side at the very most."""


def figure(found: Compared, groups: Sequence[str] = ()) -> Figure:
    """The curves overlaid; of the groups that are named, or of the first that every side has.

    Raises:
        UsageError: there is no such group, or there are more than fit.
    """
    shared = [
        row.label for row in found.sides[0].table.rows if all(side.row(row.label) for side in found.sides)
    ]
    every = [*dict.fromkeys(row.label for side in found.sides for row in side.table.rows)]
    shown = _named(groups, every) if groups else (shared or every)[:USUAL]
    measure = found.measure
    drawn = [_panel(found, label, named=i == 0) for i, label in enumerate(shown)]
    # A single panel's key stands where its title would.
    panels = tuple(panel if len(drawn) > 1 else replace(panel, title="") for panel, _ in drawn)
    data = "; ".join(f"{side.letter}: {dataset_title(side.evaluation.protocol)}" for side in found.sides)
    more = sum(label not in shown for label in every)
    sentences = [
        f"The {measure.what} during training under each protocol: {', '.join(shown)}.",
        f"Mean ± standard deviation over seeds; data: {data}.",
        "Curves are named once, for all panels." * (len(drawn) > 1),
        f"{more} more group{'s' * (more != 1)} not shown." * (more > 0),
        "First records lie beyond the panels." * any(beyond for _, beyond in drawn),
    ]
    caption = " ".join(filter(None, sentences))
    return Figure(1, f"{measure.label} under several protocols", caption, panels)


def _named(groups: Sequence[str], every: Sequence[str]) -> list[str]:
    """The labels in which one of the words stands.

    Raises:
        UsageError: a word is in none, or they are in more than fit.
    """
    for word in groups:
        if not any(file_name(word) in file_name(label) for label in every):
            raise UsageError(f"there is no group {quoted(word)}: there are {', '.join(every)}.")
    found = [label for label in every if any(file_name(word) in file_name(label) for word in groups)]
    if len(found) > MOST:
        raise UsageError(
            f"{len(found)} groups are too many for one figure: at most {MOST} fit.",
            f"--group {quoted(found[0])}",
        )
    return found


def _panel(found: Compared, label: str, *, named: bool) -> tuple[Panel, str]:
    curves = (
        (curve_band(side.evaluation, row.group, found.measure), STYLES[i % len(STYLES)], side.heading * named)
        for i, side in enumerate(found.sides)
        if (row := side.row(label)) is not None
    )
    panel, beyond = curves_panel(curves, "No run is finished yet.", found.measure)
    return replace(panel, title=label), beyond

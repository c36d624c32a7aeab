"""How the styles look: each has a colour, dashes, a marker and hatching of its own.

The colours are near Okabe and Ito's, moved apart in brightness: in a grey copy the ticket and the three groups
are 40 %, 20 %, 70 % and 60 % white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltsm.report.figures.values import Style


@dataclass(frozen=True, slots=True)
class Look:
    """Colour on white and on black, dash pattern in points, marker as matplotlib calls it, hatching."""

    colour: str
    on_dark: str
    dashes: tuple[float, ...]
    marker: str
    hatch: str


LOOKS: dict[Style, Look] = {
    "ticket": Look("#c04a00", "#ff8a3d", (), "o", ""),
    "high": Look("#003f63", "#6cb8ea", (6, 2), "s", "///"),
    "medium": Look("#7cc4f0", "#b9e2fa", (2, 1.5), "^", "..."),
    "low": Look("#cc79a7", "#e3a5c8", (6, 2, 1.5, 2), "D", "xxx"),
    "first": Look("#004f7c", "#6cb8ea", (), "o", ""),
    "second": Look("#56b4e9", "#b9e2fa", (6, 2), "s", "///"),
    "third": Look("#d55e00", "#ff8a3d", (2, 1.5), "X", "..."),
    "fourth": Look("#7a3b69", "#e3a5c8", (6, 2, 1.5, 2), "D", "xxx"),
    "fifth": Look("#777777", "#bbbbbb", (1, 1), "v", "+++"),
    "sixth": Look("#009e73", "#4fd6ae", (8, 2), "^", "\\\\\\"),
    "seventh": Look("#b08900", "#f0d060", (4, 1.5), "P", "ooo"),
    "eighth": Look("#a3123f", "#ff7c9c", (3, 1, 1, 1, 1, 1), "<", "---"),
    "ninth": Look("#1d1d1d", "#f2f2f2", (10, 3, 2, 3), "*", "|||"),
}

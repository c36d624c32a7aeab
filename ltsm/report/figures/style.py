"""How the styles look: Okabe and Ito's colours, each also with its own dashes, marker and hatching.

Colours are chosen with different brightness, so that a copy in grey can be read, too.
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
    "ticket": Look("#d55e00", "#ff8a3d", (), "o", ""),
    "high": Look("#004f7c", "#6cb8ea", (6, 2), "s", "///"),
    "medium": Look("#56b4e9", "#b9e2fa", (2, 1.5), "^", "..."),
    "low": Look("#a05a86", "#e3a5c8", (6, 2, 1.5, 2), "D", "xxx"),
    "first": Look("#004f7c", "#6cb8ea", (), "o", ""),
    "second": Look("#56b4e9", "#b9e2fa", (6, 2), "s", "///"),
    "third": Look("#d55e00", "#ff8a3d", (2, 1.5), "X", "..."),
    "fourth": Look("#a05a86", "#e3a5c8", (6, 2, 1.5, 2), "D", "xxx"),
    "fifth": Look("#777777", "#bbbbbb", (1, 1), "v", "+++"),
}

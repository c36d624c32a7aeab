"""Tones: the few meanings that colour may add to a text, each a component class that the theme colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.style import Style
from textual.color import Color

if TYPE_CHECKING:
    from textual.widget import Widget

SERIES: Final = tuple(f"series-{i}" for i in range(1, 9))
"""Tones of the curves, in the order in which they are given out."""
TONES: Final = ("muted", "good", "warn", "bad", "live", "strong", *SERIES)
COMPONENT_CLASSES: Final = {f"tone--{tone}" for tone in TONES}


def tone_style(widget: Widget, tone: str, base: Style) -> Style:
    """The style of `base` in the colour of a tone; "" is no tone."""
    if not tone:
        return base
    style = widget.get_component_rich_style(f"tone--{tone}", partial=True)
    colour = widget.get_component_styles(f"tone--{tone}").color
    if colour.a < 1 and base.bgcolor is not None:
        # A terminal knows no half transparent letters.
        style += Style(color=Color.from_rich_color(base.bgcolor).blend(colour, colour.a, alpha=1).rich_color)
    return base + style


def series_tone(index: int) -> str:
    """The tone of the curve of that index; after eight they begin again."""
    return SERIES[index % len(SERIES)]

"""Tones: the few meanings that colour may add to a text, each a component class that the theme colours.

The themes are Textual's own, and two that every common kind of colour blindness tells apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

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


def _series(*colours: str) -> dict[str, str]:
    """These colours for the curves, in the order in which they are given out."""
    return dict(zip(SERIES, colours, strict=True))


_DARK = ("#f5a742", "#4da3ff", "#5ecb7a", "#e878b8", "#b49af0", "#46c8c8", "#f0705a", "#c8c864")
_LIGHT = ("#b35900", "#0b61c4", "#1c7a3d", "#b0257a", "#6a3fc2", "#0b7285", "#c03a22", "#6b6b00")
SERIES_COLOURS: Final = _series(*_DARK)
"""The colours of curves in dark themes."""
LIGHT_SERIES_COLOURS: Final = _series(*_LIGHT)
# Okabe and Ito, Color Universal Design (2008).
_ORANGE, _SKY, _GREEN, _YELLOW = "#e69f00", "#56b4e9", "#009e73", "#f0e442"
_BLUE, _VERMILION, _PURPLE = "#0072b2", "#d55e00", "#cc79a7"

THEMES: Final = (
    Theme(
        name="colour-blind-dark",
        primary=_SKY,
        secondary=_BLUE,
        accent=_ORANGE,
        success=_SKY,
        warning=_YELLOW,
        error="#ff7f2a",
        background="#101418",
        surface="#161b20",
        panel="#222930",
        foreground="#e6e6e6",
        variables=_series(_ORANGE, _SKY, _GREEN, _YELLOW, _PURPLE, _VERMILION, "#4f9fdc", "#c8c8c8"),
    ),
    Theme(
        name="colour-blind-light",
        primary=_BLUE,
        secondary=_SKY,
        accent=_VERMILION,
        success=_BLUE,
        warning="#8a6d00",
        error="#b34700",
        background="#ffffff",
        surface="#f7f7f7",
        panel="#e8e8e8",
        foreground="#1a1a1a",
        dark=False,
        variables=_series("#b34700", _BLUE, "#00724f", "#7a6a00", "#9b4a7c", "#3a86b8", "#5b3a8c", "#444444"),
    ),
)

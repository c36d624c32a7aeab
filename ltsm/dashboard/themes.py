"""Colours: Textual's own themes, and two that every common kind of colour blindness tells apart."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

SERIES_COLOURS: Final = {
    "series-1": "#f5a742",
    "series-2": "#4da3ff",
    "series-3": "#5ecb7a",
    "series-4": "#e878b8",
    "series-5": "#b49af0",
    "series-6": "#46c8c8",
    "series-7": "#f0705a",
    "series-8": "#c8c864",
}
"""The colours of curves in dark themes."""
LIGHT_SERIES_COLOURS: Final = {
    "series-1": "#b35900",
    "series-2": "#0b61c4",
    "series-3": "#1c7a3d",
    "series-4": "#b0257a",
    "series-5": "#6a3fc2",
    "series-6": "#0b7285",
    "series-7": "#c03a22",
    "series-8": "#6b6b00",
}
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
        variables=dict(
            zip(
                SERIES_COLOURS,
                (_ORANGE, _SKY, _GREEN, _YELLOW, _PURPLE, _VERMILION, "#4f9fdc", "#c8c8c8"),
                strict=True,
            )
        ),
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
        variables=dict(
            zip(
                SERIES_COLOURS,
                ("#b34700", _BLUE, "#00724f", "#7a6a00", "#9b4a7c", "#3a86b8", "#5b3a8c", "#444444"),
                strict=True,
            )
        ),
    ),
)

"""What a figure shows, as values: no renderer decides anything about the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Numbers = tuple[float, ...]
Style = Literal[
    "ticket", "high", "medium", "low",
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
]  # fmt: skip
"""How something looks; each differs in colour, in dash pattern, in marker and in brightness."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A labelled axis from `low` to `high`; `names` at 0, 1, … replace its ticks where it stands for categories."""

    label: str
    low: float
    high: float
    names: tuple[str, ...] = ()
    log: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """A line. `faint`: one of many behind; `dashed`: less sure than the rest of it."""

    x: Numbers
    y: Numbers
    style: Style
    label: str = ""
    faint: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two lines."""

    x: Numbers
    low: Numbers
    high: Numbers
    style: Style
    label: str = ""


@dataclass(frozen=True, slots=True)
class Points:
    """Markers; `x_error` and `y_error` are half the bars' lengths, or empty.

    `names` stand beside the markers, to the right or (−1) left and above or (−1) below, as `side` says.
    """

    x: Numbers
    y: Numbers
    style: Style
    label: str = ""
    x_error: Numbers = ()
    y_error: Numbers = ()
    names: tuple[str, ...] = ()
    side: tuple[int, int] = (1, 1)
    small: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar at 0, 1, … for each style, with error bars (NaN: none)."""

    heights: Numbers
    errors: Numbers
    styles: tuple[Style, ...]


@dataclass(frozen=True, slots=True)
class Shade:
    """A shaded range of x."""

    low: float
    high: float
    label: str


@dataclass(frozen=True, slots=True)
class Level:
    """A thin horizontal line."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A grid of values between `low` and `high`, the first row on top."""

    rows: tuple[Numbers, ...]
    low: float
    high: float
    label: str


Layer = Curve | Band | Points | Bars | Shade | Level | Picture


@dataclass(frozen=True, slots=True)
class Panel:
    """One coordinate system; without layers it says what is `missing`."""

    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    title: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A numbered figure, its panels side by side."""

    number: int
    title: str
    caption: str
    panels: tuple[Panel, ...]


def ticks(axis: Axis, wanted: int = 6) -> list[tuple[float, str]]:
    """Round values on an axis and their labels: about as many as wanted."""
    if axis.names:
        return [(float(i), name) for i, name in enumerate(axis.names)]
    if axis.log and len(decades := _decades(axis, wanted)) > 1:
        return decades
    step = _round_step((axis.high - axis.low) / wanted)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(axis.low / step - 1e-6), math.floor(axis.high / step + 1e-6)
    values = [round(i * step, 12) for i in range(first, last + 1)]
    return [(value, f"{value:z.{digits}f}".replace("-", "−")) for value in values]


def _decades(axis: Axis, wanted: int) -> list[tuple[float, str]]:
    """1, 2 and 5 times the powers of ten on the axis; the powers alone where those are too many."""
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    found = [m * 10.0**p for p in powers for m in (1, 2, 5) if axis.low <= m * 10.0**p <= axis.high]
    if len(found) > wanted:
        found = [10.0**p for p in powers if axis.low <= 10.0**p <= axis.high]
    return [(value, f"{value:g}") for value in found]


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next((f * power for f in (1.0, 2.0, 5.0) if f * power >= step * 0.999), 10 * power)


def limits(values: Numbers, margin: float = 0.05) -> tuple[float, float]:
    """The range of some values with a margin on both sides; never empty."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room = margin * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


@dataclass(frozen=True, slots=True)
class Look:
    """Colour on white and on black, dash pattern in points, marker as matplotlib calls it, hatching.

    The colours are near Okabe and Ito's, moved apart in brightness: in a grey copy the ticket and the three groups
    are 40 %, 20 %, 70 % and 60 % white.
    """

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

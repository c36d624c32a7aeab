"""The layers of a figure as SVG: where values lie on the paper, and what is drawn there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ltsm.report.figures.style import LOOKS
from ltsm.report.figures.values import Band, Bars, Curve, Level, Picture, Points, Shade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.report.figures.values import Layer, Panel, Style

WIDTH, HEIGHT = 480, 330
LEFT, RIGHT, TOP, BOTTOM = 58, 456, 10, 280
SHADES = 16
_CIRCLE = "m{r} 0a{r} {r} 0 1 0 -{d} 0a{r} {r} 0 1 0 {d} 0z"
_MARKERS = {
    "o": _CIRCLE,
    "s": "m-{r} -{r}h{d}v{d}h-{d}z",
    "^": "m0 -{r}l{r} {d}h-{d}z",
    "v": "m0 {r}l{r} -{d}h-{d}z",
    "D": "m0 -{e}l{e} {e}l-{e} {e}l-{e} -{e}z",
    "X": "m-{r} -{r}l{d} {d}m0 -{d}l-{d} {d}",
}
"""Paths from a marker's centre: r its radius, d twice and e 1.3 times as much."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel's values lie on the paper."""

    panel: Panel

    def x(self, value: float) -> float:
        """From the left."""
        axis = self.panel.x
        return LEFT + (value - axis.low) / (axis.high - axis.low) * (RIGHT - LEFT)

    def y(self, value: float) -> float:
        """From below; far outside values stay near the paper, so that no renderer overflows."""
        axis = self.panel.y
        share = (value - axis.low) / (axis.high - axis.low)
        return BOTTOM - min(max(share, -2.0), 3.0) * (BOTTOM - TOP)

    def path(self, x: Sequence[float], y: Sequence[float]) -> str:
        """A line through points, as the `d` of a path."""
        return "M" + "L".join(f"{number(self.x(a))} {number(self.y(b))}" for a, b in zip(x, y, strict=True))


def layer_svg(place: Place, layer: Layer) -> str:  # noqa: PLR0911 - one for each kind
    """One layer inside the axes."""
    match layer:
        case Curve():
            return _curve(layer, place.path(layer.x, layer.y))
        case Band():
            d = place.path((*layer.x, *layer.x[::-1]), (*layer.low, *layer.high[::-1])) + "z"
            return f'<path class="band s-{layer.style}" d="{d}"/>'
        case Points():
            return _points(place, layer)
        case Bars():
            return "".join(_bars(place, layer))
        case Shade():
            left, right = place.x(layer.low), place.x(layer.high)
            size = f'width="{number(right - left)}" height="{BOTTOM - TOP}"'
            return f'<rect class="shade" x="{number(left)}" y="{TOP}" {size}/>'
        case Level():
            return f'<path class="level" d="M{LEFT} {number(place.y(layer.y))}H{RIGHT}"/>'
        case Picture():
            return ""  # has a paper of its own


def _curve(layer: Curve, d: str) -> str:
    pattern = (3.0, 2.0) if layer.dashed else LOOKS[layer.style].dashes
    dashes = f' stroke-dasharray="{" ".join(number(2 * v) for v in pattern)}"' if pattern else ""
    return f'<path class="{"faint" if layer.faint else "line"} s-{layer.style}"{dashes} d="{d}"/>'


def _points(place: Place, layer: Points) -> str:
    bars = "".join(
        f"M{number(place.x(x - e))} {number(place.y(y))}H{number(place.x(x + e))}"
        for x, y, e in zip(layer.x, layer.y, layer.x_error, strict=False)
    )
    bars += "".join(
        f"M{number(place.x(x))} {number(place.y(y - e))}V{number(place.y(y + e))}"
        for x, y, e in zip(layer.x, layer.y, layer.y_error, strict=False)
    )
    radius = (4.0 if layer.label else 2.6) if layer.small else 6.0
    d = "".join(
        f"M{number(place.x(x))} {number(place.y(y))}{_marker(layer.style, radius)}"
        for x, y in zip(layer.x, layer.y, strict=True)
    )
    kind = "dot pale" if layer.small and not layer.label else "dot"
    error = f'<path class="error" d="{bars}"/>' if bars else ""
    return f'<g class="s-{layer.style}">{error}<path class="{kind}" d="{d}"/></g>'


def names_svg(place: Place) -> Iterator[str]:
    """Words beside markers, above everything else."""
    for layer in place.panel.layers:
        if isinstance(layer, Points):
            for x, y, name in zip(layer.x, layer.y, layer.names, strict=False):
                right, up = layer.side
                at = f'x="{number(place.x(x) + 9 * right)}" y="{number(place.y(y) + (-5 if up > 0 else 13))}"'
                anchor = "" if right > 0 else ' text-anchor="end"'
                yield f'<text class="name" {at}{anchor}>{escape(name)}</text>'


def _bars(place: Place, layer: Bars) -> Iterator[str]:
    width = place.x(0.6) - place.x(0)
    for i, (height, error, style) in enumerate(zip(layer.heights, layer.errors, layer.styles, strict=True)):
        top = place.y(height)
        box = f'x="{number(place.x(i) - width / 2)}" y="{number(top)}" width="{number(width)}" height="{number(BOTTOM - top)}"'
        yield f'<rect class="bar s-{style}" {box}/>'
        if math.isfinite(error):
            low, high = number(place.y(height - error)), number(place.y(height + error))
            x = place.x(i)
            ends = "".join(f"M{number(x - 6)} {end}H{number(x + 6)}" for end in (low, high))
            d = f"M{number(x)} {low}V{high}{ends}"
            yield f'<path class="halo" d="{d}"/><path class="whisker" d="{d}"/>'


def image_svg(layer: Picture) -> str:
    """Squares in so many shades of the page's ink, and a scale below."""
    side = 300 / max(len(layer.rows), len(layer.rows[0]))
    squares: dict[int, list[str]] = {}
    for i, row in enumerate(layer.rows):
        for j, value in enumerate(row):
            shade = round((value - layer.low) / (layer.high - layer.low) * SHADES)
            squares.setdefault(shade, []).append(f"M{j} {i}h1v1h-1z")
    paths = "".join(
        f'<path class="ink" opacity="{number(shade / SHADES)}" d="{"".join(found)}"/>'
        for shade, found in sorted(squares.items())
        if shade
    )
    scale = "".join(
        f'<rect class="ink" opacity="{number(i / SHADES)}" x="{70 + 3 * i}" y="308" width="3" height="12"/>'
        for i in range(SHADES + 1)
    )
    texts = f'<text class="tick" x="64" y="318" text-anchor="end">{layer.low:.0f}</text>'
    texts += f'<text class="tick" x="127" y="318">{layer.high:.0f} {escape(layer.label)}</text>'
    frame = '<rect class="frame" x="0.5" y="0.5" width="299" height="299"/>'
    return f'<g transform="scale({side:.4f})" shape-rendering="crispEdges">{paths}</g>{frame}{scale}{texts}'


def sample_svg(layer: Layer) -> str:
    """What stands for a layer in the key: 30 wide, 12 high."""
    match layer:
        case Curve():
            return _curve(layer, "M1 6H29")
        case Band():
            return f'<rect class="band s-{layer.style}" x="2" y="1" width="26" height="10"/>'
        case Points():
            return f'<path class="dot s-{layer.style}" d="M15 6{_marker(layer.style, 4.5)}"/>'
        case Level():
            return '<path class="level" d="M1 6H29"/>'
        case _:
            return '<rect class="shade" x="2" y="1" width="26" height="10"/>'


def _marker(style: Style, radius: float) -> str:
    return _MARKERS[LOOKS[style].marker].format(
        r=number(radius), d=number(2 * radius), e=number(1.3 * radius)
    )


def number(value: float) -> str:
    """A tenth of a pixel is enough."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 2 else f"{value:.1f}".removesuffix(".0")  # noqa: PLR2004

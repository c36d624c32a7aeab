"""Figures as SVG inside the HTML report: text stays text, colours are the page's, light or dark.

One `<svg>` for each panel, so that a phone can put them below each other; its classes are those of `css`.
Keys stand above as HTML: they wrap, and keep their size where the picture shrinks.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ltsm.report.figures.style import LOOKS
from ltsm.report.figures.svg_layers import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Place,
    image_svg,
    layer_svg,
    names_svg,
    number,
    sample_svg,
)
from ltsm.report.figures.values import Bars, Picture, ticks

if TYPE_CHECKING:
    from ltsm.report.figures.values import Figure, Panel


def svg(figure: Figure) -> str:
    """The figure as HTML: per panel its key and its picture."""
    panels = (_panel(figure, i, panel) for i, panel in enumerate(figure.panels))
    return f'<div class="panels n{len(figure.panels)}">{"".join(panels)}</div>'


def css(*, dark: bool) -> str:
    """The colour of each style, as a custom property of its class."""
    return "".join(
        f".s-{style}{{--c:{look.on_dark if dark else look.colour}}}" for style, look in LOOKS.items()
    )


def _panel(figure: Figure, index: int, panel: Panel) -> str:
    if not panel.layers:
        return f'<div class="panel missing"><p>{escape(panel.missing)}</p></div>'
    title = f"<h4>{escape(panel.title)}</h4>" if panel.title else ""
    return f'<div class="panel">{title}{_key(panel)}{_picture_of(figure, index, panel)}</div>'


def _picture_of(figure: Figure, index: int, panel: Panel) -> str:
    name = escape(f"Figure {figure.number}: {panel.title or figure.title}", quote=True)
    images = [layer for layer in panel.layers if isinstance(layer, Picture)]
    if images:
        return f'<svg viewBox="0 0 300 330" role="img" aria-label="{name}">{image_svg(images[0])}</svg>'
    place, clip = Place(panel), f"clip-{figure.number}-{index}"
    box = f'x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"'
    inside = "".join(layer_svg(place, layer) for layer in panel.layers)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">'
        f'<clipPath id="{clip}"><rect {box}/></clipPath>{_axes(place)}'
        f'<g clip-path="url(#{clip})">{inside}</g>{"".join(names_svg(place))}</svg>'
    )


def _axes(place: Place) -> str:
    panel, parts = place.panel, []
    for value, text in ticks(panel.x):
        at = number(place.x(value))
        if not panel.x.names:
            parts.append(f'<path class="grid" d="M{at} {TOP}V{BOTTOM}"/>')
        parts += [
            f'<text class="tick" x="{at}" y="{BOTTOM + 17 + 14 * i}" text-anchor="middle">{escape(line)}</text>'
            for i, line in enumerate(text.split("\n"))
        ]
    for value, text in ticks(panel.y):
        at = number(place.y(value))
        parts.append(f'<path class="grid" d="M{LEFT} {at}H{RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 7}" y="{at}" dy=".35em" text-anchor="end">{text}</text>')
    middle, across = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>')
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(panel.x.label)}</text>')
    turned = f'transform="translate(14 {across}) rotate(-90)"'
    parts.append(f'<text {turned} text-anchor="middle">{escape(panel.y.label)}</text>')
    return "".join(parts)


def _key(panel: Panel) -> str:
    """What the lines, areas and markers mean."""
    found = [(layer.label, layer) for layer in panel.layers if not isinstance(layer, Bars | Picture)]
    items = "".join(
        f'<li><svg viewBox="0 0 30 12" aria-hidden="true">{sample_svg(layer)}</svg>{escape(label)}</li>'
        for label, layer in found
        if label
    )
    return f'<ul class="key">{items}</ul>' if items else ""

"""Figures as PNG, SVG or PDF files, and for a page, by matplotlib; the same bytes from the same values."""

from __future__ import annotations

import io
import math
import re
import warnings
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from ltsm.errors import UsageError
from ltsm.report.figures.values import (
    LOOKS,
    Band,
    Bars,
    Curve,
    Level,
    Picture,
    Points,
    Shade,
    ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ltsm.report.figures.values import Figure, Layer, Panel

Format = Literal["png", "svg", "pdf"]
Style = Literal["paper", "slides"]
DPI = 160
TWO_COLUMNS = 4.9
"""So many inches a key of two columns takes."""
NAME_LINE = 9
"""Points from one line of names at a marker to the next."""
_WIDTHS: dict[Style, float | None] = {"paper": None, "slides": 8.0}
_TYPES: dict[Style, float] = {"paper": 9, "slides": 14}
SMALLEST_TYPE = 0.7


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a figure is drawn on: its width in inches (None: the figure's own), dots per inch, and how large its type is."""

    width: float | None = None
    dpi: int = DPI
    style: Style = "paper"


_SETTINGS: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "ltsm",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""On top of matplotlib's own defaults: a person's matplotlibrc must not change a byte."""
# No dates, and no versions: an upgrade of matplotlib may redraw, but not for its name alone.
_METADATA: dict[Format, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_INK, _RULE, _PAPER = "#333333", "#dddddd", "#ffffff"
_ON_PAGE = {"svg.fonttype": "none", "font.size": 10, "savefig.transparent": True, "axes.edgecolor": _INK,
            "xtick.color": _INK, "ytick.color": _INK, "text.color": _INK, "axes.labelcolor": _INK}  # fmt: skip
"""Text stays text, and takes the page's font and colours."""


def draw(figure: Figure, form: Format, sheet: Sheet = Sheet()) -> bytes:
    """One figure as a file's content, without its caption.

    Raises:
        UsageError: it has no room on this sheet.
    """
    if len(figure.panels) == 1:
        (panel,) = figure.panels
        size = (max(6.4, 0.8 * len(panel.x.names)), 4.2 + _key_height(panel, 2))
    else:
        keys = (_key_height(panel, _key_columns(figure)) for panel in figure.panels)
        size = (3.7 * len(figure.panels), 3.9 + max(keys))
    width = sheet.width or _WIDTHS[sheet.style] or size[0]
    scale = width / size[0]
    # Type shrinks with the figure, but not below what can be read in print.
    type_size = _TYPES[sheet.style] * min(1.0, max(SMALLEST_TYPE, scale))
    more = {"font.size": type_size, "axes.linewidth": 0.8 * _TYPES[sheet.style] / _TYPES["paper"]}
    return _drawn(figure, form, (width, size[1] * scale), more, sheet.dpi)


def for_page(figure: Figure) -> list[str]:
    """An `<svg>` or a sentence for each panel, so that a phone can put them below each other.

    Colours are the page's: `currentColor`, `--paper`, `--rule`, and a custom property for each style (`css`).
    """
    return [_for_page(figure, panel) for panel in figure.panels]


def css(*, dark: bool) -> str:
    """The colours of the styles as custom properties."""
    return "".join(f"--{name}:{look.on_dark if dark else look.colour};" for name, look in LOOKS.items())


def _for_page(figure: Figure, panel: Panel) -> str:
    if not panel.layers:
        return f"<p>{escape(panel.missing)}</p>"
    size = (max(5.0, 0.75 * len(panel.x.names)), 3.7 + _key_height(panel, 2))
    text = _drawn(replace(figure, panels=(panel,)), "svg", size, _ON_PAGE).decode()
    text = re.sub(r"^.*?<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>|<metadata>.*?</metadata>|<style.*?</style>", r"\1", text, flags=re.DOTALL)  # fmt: skip
    view, _, inside = text.partition("\n")
    used = set(re.findall(r"#([\w-]+)", inside))
    inside = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", inside).replace(
        "xlink:href", "href"
    )
    for name, colour in _COLOURS.items():
        inside = inside.replace(colour, name)
    label = escape(f"Figure {figure.number}: {panel.title or figure.title}", quote=True)
    return f'<svg {view.strip()} role="img" aria-label="{label}">{inside.strip()}'


LONG_KEY = 6
"""So many names make a key long."""
ACROSS = 3
"""In so many columns a key is that stands above all panels."""
_COLOURS = {
    "currentColor": _INK,
    "var(--rule)": _RULE,
    "var(--paper)": _PAPER,
    **{f"var(--{name})": look.colour for name, look in LOOKS.items()},
}


def _key_height(panel: Panel, columns: int) -> float:
    """The inches that a long key takes above the picture, which shall not be pressed flat by it."""
    lines = sum(bool(getattr(layer, "label", "")) for layer in panel.layers) / columns
    return 0.17 * max(0.0, lines - 2)


def _key_columns(figure: Figure, width: float = math.inf) -> int:
    """In how many columns a key is: one above all panels is as wide as they are; one of several, as its own panel."""
    if len(figure.panels) == 1:
        return 2 if width >= TWO_COLUMNS else 1
    return ACROSS if _key_is_above(figure) else 1


def _key_is_above(figure: Figure) -> bool:
    """Whether the key stands above all panels: the only one does where its panel has a title, or beside others is long."""
    keys = [sum(bool(getattr(layer, "label", "")) for layer in panel.layers) for panel in figure.panels]
    titled = any(panel.title for panel, key in zip(figure.panels, keys, strict=True) if key)
    long = len(keys) > 1 and max(keys) > LONG_KEY
    return max(keys) == sum(keys) and (titled or long)


def _drawn(
    figure: Figure, form: Format, size: tuple[float, float], more: dict[Any, Any], dpi: int = DPI
) -> bytes:
    # The stubs know only the keys by name.
    defaults: dict[Any, Any] = {key: v for key, v in mpl.rcParamsDefault.items() if "backend" not in key}
    with mpl.rc_context({**defaults, **_SETTINGS, **more}):
        columns, above = _key_columns(figure, size[0]), _key_is_above(figure)
        canvas = Canvas(figsize=size, layout="constrained")
        for axes, panel in zip(
            canvas.subplots(1, len(figure.panels), squeeze=False)[0], figure.panels, strict=True
        ):
            _panel(axes, panel, columns, above=above)
        content = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="constrained_layout not applied")
            try:
                canvas.savefig(content, format=form, dpi=dpi, metadata=_METADATA[form])
            except UserWarning as error:
                raise UsageError(
                    f"figure {figure.number} has no room for its words in {size[0]:g} inches.",
                    f"--width {2 * size[0]:g}, or --style paper",
                ) from error
    return content.getvalue()


def _panel(axes: Axes, panel: Panel, columns: int, *, above: bool) -> None:
    if panel.title:
        axes.set_title(panel.title, fontsize="medium", loc="left")
    if not panel.layers:
        axes.set_axis_off()
        axes.text(0.5, 0.5, panel.missing, ha="center", va="center", transform=axes.transAxes, wrap=True)
        return
    if panel.x.log:
        axes.set_xscale("log")
    axes.set(xlim=(panel.x.low, panel.x.high), ylim=(panel.y.low, panel.y.high))
    axes.set(xlabel=panel.x.label, ylabel=panel.y.label)
    for layer in panel.layers:
        _layer(axes, layer)
    if any(isinstance(layer, Picture) for layer in panel.layers):
        return
    for axis, values in ((axes.xaxis, ticks(panel.x)), (axes.yaxis, ticks(panel.y))):
        axis.set_ticks([v for v, _ in values], [text for _, text in values])
        axis.set_ticks([], minor=True)
    axes.grid(visible=True, color=_RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    if any(getattr(layer, "label", "") for layer in panel.layers):
        more: dict[str, Any] = {"ncols": columns, "frameon": False, "fontsize": "small", "handlelength": 3}
        if above:
            axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", **more)
        else:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2, **more)


def _layer(axes: Axes, layer: Layer) -> None:
    match layer:
        case Curve():
            _curve(axes, layer)
        case Band():
            _band(axes, layer)
        case Points():
            _points(axes, layer)
        case Bars():
            _bars(axes, layer)
        case Shade():
            axes.axvspan(layer.low, layer.high, color=_INK, alpha=0.11, linewidth=0, label=layer.label)
        case Level():
            axes.axhline(layer.y, color=_INK, linewidth=1, linestyle=(0, (1, 2)), label=layer.label)
        case Picture():
            _picture(axes, layer)


def _curve(axes: Axes, layer: Curve) -> None:
    look = LOOKS[layer.style]
    dashes = (3.0, 2.0) if layer.dashed else look.dashes
    axes.plot(
        layer.x,
        layer.y,
        color=look.colour,
        linestyle=(0, dashes) if dashes else "-",
        linewidth=0.6 if layer.faint else 1.6,
        alpha=0.45 if layer.faint else 1,
        label=layer.label or None,
    )


def _band(axes: Axes, layer: Band) -> None:
    colour = LOOKS[layer.style].colour
    axes.fill_between(
        layer.x, layer.low, layer.high, color=colour, alpha=0.2, linewidth=0, label=layer.label or None
    )


def _points(axes: Axes, layer: Points) -> None:
    look = LOOKS[layer.style]
    if layer.x_error or layer.y_error:
        axes.errorbar(
            layer.x,
            layer.y,
            xerr=layer.x_error or None,
            yerr=layer.y_error or None,
            fmt="none",
            color=look.colour,
            capsize=2.5,
            elinewidth=1.2,
        )
    axes.plot(
        layer.x,
        layer.y,
        linestyle="none",
        marker=look.marker,
        markersize=(6 if layer.label else 4) if layer.small else 8,
        markeredgecolor=_PAPER,
        markeredgewidth=0.4 if layer.small else 0.8,
        color=look.colour,
        alpha=0.6 if layer.small and not layer.label else 1,
        label=layer.label or None,
        zorder=3,
    )
    for x, y, name in zip(layer.x, layer.y, layer.names, strict=False):
        right, up = layer.side
        axes.annotate(
            name,
            (x, y),
            (7 * right, 3 + NAME_LINE * (up - 1) if up > 0 else -10 + NAME_LINE * (up + 1)),
            textcoords="offset points",
            ha="left" if right > 0 else "right",
            fontsize="x-small",
            color=_INK,
            zorder=4,
        )


def _bars(axes: Axes, layer: Bars) -> None:
    for x, (height, error, style) in enumerate(zip(layer.heights, layer.errors, layer.styles, strict=True)):
        look = LOOKS[style]
        axes.bar(x, height, 0.6, color=look.colour, edgecolor=_PAPER, hatch=look.hatch, linewidth=0)
        if math.isfinite(error):
            # A white edge, for bars as dark as the line.
            axes.errorbar(x, height, error, color=_PAPER, capsize=6, elinewidth=3.5, capthick=3.5)
            axes.errorbar(x, height, error, color=_INK, capsize=5, elinewidth=1.2)


def _picture(axes: Axes, layer: Picture) -> None:
    height, width = len(layer.rows), len(layer.rows[0])
    image = axes.imshow(
        layer.rows,
        cmap="Greys",
        vmin=layer.low,
        vmax=layer.high,
        extent=(0, width, height, 0),
        aspect="equal",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    assert axes.figure is not None  # noqa: S101 - made by it
    axes.figure.colorbar(image, ax=axes, shrink=0.7, label=layer.label)

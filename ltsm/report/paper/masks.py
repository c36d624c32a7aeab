"""Figures 3, 4 and 8: the masked networks."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ltsm.report.evaluation import dataset_title
from ltsm.report.figures.shape import layer_sizes, network_shape
from ltsm.report.figures.values import Axis, Band, Curve, Figure, Level, Panel, Picture, Points, Shade, limits
from ltsm.report.statistics import summarise
from ltsm.report.words import over_seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer, Numbers, Style
    from ltsm.report.paper.table_1 import Table
    from ltsm.store.values import MaskRow

THRESHOLD = "Threshold t"
NO_MASKS = "No supermask has been looked for yet."
LAYER_STYLES: tuple[Style, ...] = ("first", "second", "third", "fourth", "fifth")


def sizes_by_threshold(evaluation: Evaluation, _table: Table) -> Figure:
    """Figure 3: relative size against threshold."""
    x, mean, sd = _over_seeds(evaluation, lambda mask: 100 * mask.relative_size)
    layers: list[Layer] = []
    if x:
        layers = [*_range(evaluation), *_band(x, mean, sd), Curve(x, mean, "first", "mean")]
    panel = Panel(
        _thresholds(x), Axis("Relative size (%)", 0, _top(mean, sd)), tuple(layers), missing=NO_MASKS
    )
    caption = (
        "The relative network size after pruning with different thresholds, "
        f"{_about(evaluation)} {_considered(evaluation)}"
    )
    return Figure(3, "Sizes of masked networks", caption, (panel,))


def accuracies_by_threshold(evaluation: Evaluation, _table: Table) -> Figure:
    """Figure 4: accuracy of the untrained masked networks; the spread over seeds is the story here."""
    x, mean, sd = _over_seeds(evaluation, lambda mask: 100 * mask.val_accuracy)
    layers: list[Layer] = []
    shape = network_shape(evaluation)
    if x:
        layers = [*_range(evaluation), *_band(x, mean, sd), *_each_seed(evaluation)]
        if shape:
            layers.append(Level(100 / shape.classes, "chance"))
        chosen = [mask for mask in evaluation.masks if mask.selected]
        at, best = tuple(m.threshold for m in chosen), tuple(100 * m.val_accuracy for m in chosen)
        layers += [
            Curve(x, mean, "first", "mean"),
            Points(at, best, "third", "selected: each seed's supermask", small=True),
        ]
    top = max((100 * m.val_accuracy for m in evaluation.masks), default=1.0)
    panel = Panel(
        _thresholds(x),
        Axis("Validation accuracy (%)", 0, max(top * 1.05, _top(mean, sd))),
        tuple(layers),
        missing=NO_MASKS,
    )
    chance = f" Chance is {100 / shape.classes:.0f}%." if shape else ""
    caption = (
        "The validation accuracy of the untrained masked networks for different thresholds, "
        f"{_about(evaluation)} Each thin line is one seed, each marker the threshold selected for it."
        f"{chance} {_considered(evaluation)}"
    )
    return Figure(4, "Validation accuracies of untrained masked networks", caption, (panel,))


def what_is_left(evaluation: Evaluation, _table: Table) -> Figure:
    """Figure 8: per-layer size against threshold, and where on the image the first layer's weights survive."""
    maps = _maps(evaluation)
    panels = [_layers_panel(evaluation)]
    if not isinstance(maps, str):
        first = evaluation.supermasks[0]
        width = evaluation.protocol.hidden[0]
        label = f"% of a pixel's {width} weights"
        panels.append(_map_panel(maps[0], f"Seed {first.seed}, t = {first.threshold:g}", label))
        panels.append(_map_panel(np.mean(maps, 0), f"Mean of n = {len(maps)} supermasks", label))
    elif evaluation.masks:  # without any the first panel has said so
        panels.append(Panel(Axis("", 0, 1), Axis("", 0, 1), (), missing=maps))
    caption = (
        "What is left of the network. Left: the share of each layer's parameters that a threshold keeps, "
        f"{_about(evaluation)} {_considered(evaluation)} Then, for every pixel of the image, the share of its "
        "weights into the first hidden layer that the supermask keeps: for one seed, and averaged over seeds."
        f""
    )
    return Figure(8, "What is left of the network", caption, tuple(panels))


def _over_seeds(
    evaluation: Evaluation, value: Callable[[MaskRow], float]
) -> tuple[Numbers, Numbers, Numbers]:
    """Thresholds, and at each the mean and deviation over seeds (0 where there is one seed)."""
    found: dict[float, list[float]] = defaultdict(list)
    for mask in evaluation.masks:
        found[mask.threshold].append(value(mask))
    x = tuple(sorted(found))
    summaries = [summarise(found[t]) for t in x]
    return x, tuple(s.mean for s in summaries), tuple(s.sd if s.n > 1 else 0.0 for s in summaries)


def _each_seed(evaluation: Evaluation) -> list[Layer]:
    """Every seed's own curve, behind the mean; only the first names them."""
    seeds: dict[int, list[MaskRow]] = defaultdict(list)
    for mask in evaluation.masks:
        seeds[mask.seed].append(mask)
    return [
        Curve(
            tuple(m.threshold for m in masks),
            tuple(100 * m.val_accuracy for m in masks),
            "first",
            "" if i else "each seed",
            faint=True,
        )
        for i, masks in enumerate(seeds.values())
    ]


def _layers_panel(evaluation: Evaluation) -> Panel:
    layers: list[Layer] = []
    x: Numbers = ()
    # Sizes are told from any network; without masks there is nothing to draw of them.
    for i, size in enumerate(layer_sizes(evaluation) if evaluation.masks else ()):
        x, mean, _ = _over_seeds(evaluation, partial(_layer_share, layer=i, size=size))
        style = LAYER_STYLES[i % len(LAYER_STYLES)]
        layers.append(Curve(x, mean, style, f"layer {i + 1} ({size} parameters)"))
    if x:
        layers = [*_range(evaluation), *layers]
    missing = NO_MASKS if not evaluation.masks else "The sizes of the layers cannot be told."
    return Panel(
        _thresholds(x),
        Axis("Relative size of the layer (%)", 0, 105),
        tuple(layers),
        missing=missing,
    )


def _layer_share(mask: MaskRow, *, layer: int, size: int) -> float:
    return 100 * mask.layer_sizes[layer] / size


def _maps(evaluation: Evaluation) -> list[NDArray[np.float64]] | str:
    """Per supermask, the share in % of each pixel's first-layer weights that it keeps; or why there is none."""
    if not evaluation.supermasks:
        return NO_MASKS
    shape = network_shape(evaluation)
    if shape is None or shape.side is None:
        return "The inputs are no square image of one channel: there is no map of pixels."
    width, inputs = evaluation.protocol.hidden[0], shape.inputs
    found = []
    for mask in evaluation.supermasks:
        bits = np.unpackbits(np.frombuffer(mask.bits, np.uint8), count=width * inputs)
        found.append(100 * bits.reshape(width, shape.side, shape.side).mean(0))
    return found


def _map_panel(shares: NDArray[np.float64], title: str, label: str) -> Panel:
    height, width = shares.shape
    rows = tuple(tuple(float(v) for v in row) for row in shares)
    # Each map has a scale of its own: what matters is the pattern, and averaging flattens it.
    low, high = float(shares.min()), float(shares.max())
    picture = Picture(rows, low, high if high > low else low + 1, label)
    return Panel(Axis("", 0, width), Axis("", 0, height), (picture,), title)


def _range(evaluation: Evaluation) -> list[Layer]:
    p = evaluation.protocol
    return [Shade(p.select_min, p.select_max, "considered")]


def _band(x: Numbers, mean: Numbers, sd: Numbers) -> list[Layer]:
    """One deviation to each side, where there is one."""
    low = tuple(max(m - s, 0.0) for m, s in zip(mean, sd, strict=True))
    high = tuple(m + s for m, s in zip(mean, sd, strict=True))
    return [Band(x, low, high, "first", "± standard deviation")] if any(sd) else []


def _thresholds(x: Sequence[float]) -> Axis:
    return Axis(THRESHOLD, *(limits(tuple(x), 0) if x else (0.0, 1.0)))


def _top(mean: Numbers, sd: Numbers) -> float:
    return 1.05 * max((m + s for m, s in zip(mean, sd, strict=True)), default=1.0) or 1.0


def _considered(evaluation: Evaluation) -> str:
    p = evaluation.protocol
    return f"The shaded area is where thresholds are considered, {p.select_min:g} to {p.select_max:g}."


def _about(evaluation: Evaluation) -> str:
    n = len({mask.seed for mask in evaluation.masks})
    return f"mean ± standard deviation {over_seeds(n, len(evaluation.seeds))}; data: {dataset_title(evaluation.protocol)}."

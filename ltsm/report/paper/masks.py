"""Figures 3, 4 and 8: the masked networks."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ltsm.report.figures.curves import layers, mask_band
from ltsm.report.figures.groups import STYLES
from ltsm.report.figures.values import Axis, Curve, Figure, Level, Panel, Picture, Points, Shade, limits
from ltsm.report.words import averaged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltsm.report.bands import Band
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer
    from ltsm.report.table import Table
    from ltsm.store.values import MaskRow

NO_MASKS = "No supermask has been looked for yet."
SPREAD = "± standard deviation"


def sizes_by_threshold(evaluation: Evaluation, _table: Table) -> Figure:
    """Figure 3: relative size against threshold."""
    found = mask_band(evaluation.masks, lambda mask: 100 * mask.relative_size)
    drawn: list[Layer] = []
    if len(found.x):
        drawn = [_range(evaluation), *layers(found, "first", "mean", SPREAD, floor=0)]
    y = Axis("Relative size (%)", 0, _top(found))
    panel = Panel(_thresholds(found), y, tuple(drawn), missing=NO_MASKS)
    caption = (
        "The relative network size after pruning with different thresholds, "
        f"{_about(evaluation)} {_considered(evaluation)}"
    )
    return Figure(3, "Sizes of masked networks", caption, (panel,))


def accuracies_by_threshold(evaluation: Evaluation, _table: Table) -> Figure:
    """Figure 4: accuracy of the untrained masked networks; the spread over seeds is the story here."""
    found = mask_band(evaluation.masks, lambda mask: 100 * mask.val_accuracy)
    drawn: list[Layer] = []
    classes = evaluation.classes
    if len(found.x):
        *band, mean = layers(found, "first", "mean", SPREAD, floor=0)
        drawn = [_range(evaluation), *band, *_each_seed(evaluation)]
        drawn += [Level(100 / classes, "chance")] if classes else []
        chosen = [mask for mask in evaluation.masks if mask.selected]
        at, best = tuple(m.amount for m in chosen), tuple(100 * m.val_accuracy for m in chosen)
        drawn += [mean, Points(at, best, "third", "selected: each seed's supermask", small=True)]
    top = max((100 * m.val_accuracy for m in evaluation.masks), default=1.0)
    y = Axis("Validation accuracy (%)", 0, max(top * 1.05, _top(found)))
    chance = f" Chance is {100 / classes:.0f}%." if classes else ""
    caption = (
        "The validation accuracy of the untrained masked networks for different thresholds, "
        f"{_about(evaluation)} Each thin line is one seed, each marker the threshold selected for it."
        f"{chance} {_considered(evaluation)}"
    )
    panel = Panel(_thresholds(found), y, tuple(drawn), missing=NO_MASKS)
    return Figure(4, "Validation accuracies of untrained masked networks", caption, (panel,))


def what_is_left(evaluation: Evaluation, _table: Table) -> Figure:
    """Figure 8: per-layer size against threshold, and where on the image the first layer's weights survive."""
    maps = _maps(evaluation)
    panels = [_layers_panel(evaluation)]
    if not isinstance(maps, str):
        first = evaluation.supermasks[0]
        width = evaluation.protocol.hidden[0]
        label = f"% of a pixel's {width} weights"
        mean: NDArray[np.float64] = np.mean(maps, 0)
        # One scale, or a flat mean would look as full of contrast as one seed's map.
        both = np.stack([maps[0], mean])
        scale = (float(both.min()), float(both.max()))
        panels.append(_map_panel(maps[0], f"Seed {first.seed}, t = {first.amount:g}", label, scale))
        panels.append(_map_panel(mean, f"Mean of n = {len(maps)} supermasks", label, scale))
    elif evaluation.masks:  # without any the first panel has said so
        panels.append(Panel(Axis("", 0, 1), Axis("", 0, 1), (), missing=maps))
    caption = (
        "What is left of the network. Left: the share of each layer's parameters that a threshold keeps, "
        f"{_about(evaluation)} {_considered(evaluation)} Then, for every pixel of the image, the share of its "
        "weights into the first hidden layer that the supermask keeps: for one seed, and averaged over seeds, "
        "both on one scale."
    )
    return Figure(8, "What is left of the network", caption, tuple(panels))


def _each_seed(evaluation: Evaluation) -> list[Layer]:
    """Every seed's own curve, behind the mean; only the first names them."""
    seeds: dict[int, list[MaskRow]] = defaultdict(list)
    for mask in evaluation.masks:
        seeds[mask.seed].append(mask)
    return [
        Curve(
            tuple(m.amount for m in masks),
            tuple(100 * m.val_accuracy for m in masks),
            "first",
            "" if i else "each seed",
            faint=True,
        )
        for i, masks in enumerate(seeds.values())
    ]


def _layers_panel(evaluation: Evaluation) -> Panel:
    drawn: list[Layer] = []
    found = mask_band(evaluation.masks, lambda mask: mask.relative_size)
    for i, (inputs, outputs) in enumerate(evaluation.layer_sizes if evaluation.masks else ()):
        size = (inputs + 1) * outputs  # weights and biases
        share = mask_band(evaluation.masks, partial(_layer_share, layer=i, size=size))
        drawn += layers(share, STYLES[i % len(STYLES)], f"layer {i + 1} ({size} parameters)")[-1:]
    if drawn:
        drawn = [_range(evaluation), *drawn]
    missing = (
        "The store does not say how many inputs and classes its networks have: they have no layer sizes."
    )
    y = Axis("Relative size of the layer (%)", 0, 105)
    return Panel(_thresholds(found), y, tuple(drawn), missing=missing if evaluation.masks else NO_MASKS)


def _layer_share(mask: MaskRow, *, layer: int, size: int) -> float:
    return 100 * mask.layer_sizes[layer] / size


def _maps(evaluation: Evaluation) -> list[NDArray[np.float64]] | str:
    """Per supermask, the share in % of each pixel's first-layer weights that it keeps; or why there is none."""
    if not evaluation.supermasks:
        return NO_MASKS
    inputs = next((run.inputs for run in evaluation.runs if run.inputs), None)
    width = evaluation.protocol.hidden[0]
    if inputs is None:
        return "The store does not say how many inputs its networks have: there is no map of pixels."
    side = math.isqrt(inputs)
    if side * side != inputs or side == 1:
        return "The inputs are no square image of one channel: there is no map of pixels."
    found = []
    for mask in evaluation.supermasks:
        bits = np.unpackbits(np.frombuffer(mask.bits, np.uint8), count=width * inputs)
        found.append(100 * bits.reshape(width, side, side).mean(0))
    return found


def _map_panel(shares: NDArray[np.float64], title: str, label: str, scale: tuple[float, float]) -> Panel:
    height, width = shares.shape
    rows = tuple(tuple(float(v) for v in row) for row in shares)
    low, high = scale
    picture = Picture(rows, low, high if high > low else low + 1, label)
    return Panel(Axis("", 0, width), Axis("", 0, height), (picture,), title)


def _range(evaluation: Evaluation) -> Shade:
    return Shade(evaluation.protocol.select_min, evaluation.protocol.select_max, "considered")


def _thresholds(found: Band) -> Axis:
    return Axis("Threshold t", *(limits(tuple(found.x.tolist()), 0) if len(found.x) else (0.0, 1.0)))


def _top(found: Band) -> float:
    return 1.05 * float((found.mean + np.nan_to_num(found.deviation)).max(initial=0.0)) or 1.0


def _considered(evaluation: Evaluation) -> str:
    p = evaluation.protocol
    return f"The shaded area is where thresholds are considered, {p.select_min:g} to {p.select_max:g}."


def _about(evaluation: Evaluation) -> str:
    return averaged(evaluation, len({mask.seed for mask in evaluation.masks}))

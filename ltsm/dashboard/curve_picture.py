"""The selected groups of runs as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltsm.dashboard.curve_groups import MEASURES
from ltsm.dashboard.widgets.picture import Curve, Level, Picture, band_curve

if TYPE_CHECKING:
    from ltsm.dashboard.curve_groups import Drawing, Group
    from ltsm.dashboard.selection import Selection


def picture(drawn: Drawing, selection: Selection, measure: str, *, single: bool) -> Picture:
    """The selected groups, the published minimum of each below them."""
    shown = [group for group in drawn.groups if group.key in drawn.bands and selection.tag(group.key)]
    curves = [curve for group in shown for curve in _curves(drawn, group, selection, single=single)]
    levels = [
        Level(group.published, selection.tone(group.key))
        for group in shown
        if measure == "val_loss" and group.published is not None
    ]
    what = "single seeds" if single else "mean ± s.d. over seeds"
    dashed = " · dashed: published minimum" if levels else ""
    return Picture(
        title=f"{MEASURES[measure]} · {what}{dashed}",
        curves=tuple(curves),
        levels=tuple(levels),
        settles=True,
    )


def _curves(drawn: Drawing, group: Group, selection: Selection, *, single: bool) -> list[Curve]:
    tone, tag = selection.tone(group.key), selection.tag(group.key)
    if not single:
        dashes = selection.dashes(group.key)
        return [band_curve(drawn.bands[group.key], tone=tone, tag=tag, dashes=dashes)]
    seeds = [np.array(points) for points in drawn.seeds[group.key]]
    return [Curve(x=p[:, 0], y=p[:, 1], tone=tone, tag=tag if i == 0 else "") for i, p in enumerate(seeds)]

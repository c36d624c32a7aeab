"""Every figure of the paper's evaluation by its number: 1 to 6 are the paper's, 7 and 8 go beyond it."""

from __future__ import annotations

from ltsm.report.paper import curves, masks, sizes

FIGURES = {
    1: curves.initial_training,
    2: curves.retraining,
    3: masks.sizes_by_threshold,
    4: masks.accuracies_by_threshold,
    5: curves.tickets_and_hyperops,
    6: sizes.relative_sizes,
    7: sizes.trade_off,
    8: masks.what_is_left,
}

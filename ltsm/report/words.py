"""Words and forms of numbers that several rooms of the report share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.protocol import Kind
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.statistics import Summary

MISSING = "–"


def mean_and_spread(value: Summary, digits: int, unit: str = "") -> str:
    """`38.7% ± 17.9`, `0.091 ± 0.007`; without ± where there is no spread to print."""
    if math.isnan(value.mean):
        return MISSING
    mean = f"{value.mean:.{digits}f}{unit}"
    return mean if math.isnan(value.sd) else f"{mean} ± {value.sd:.{digits}f}"


def p_text(p: float) -> str:
    """`p = 0.04`, `p < 0.001`: two digits are what ten seeds can carry."""
    if math.isnan(p):
        return MISSING
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"  # noqa: PLR2004


def signed(value: float) -> str:
    """`−0.018`, with a minus sign that is one."""
    return f"{value:+z.3f}".replace("-", "−")


def seeds_text(seeds: Sequence[int]) -> str:
    """`seed 3`, `seeds 1, 4`."""
    return f"seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"


def over_seeds(n: int, of: int) -> str:
    """`over n = 10 seeds`, `over n = 7 of 10 seeds`."""
    return f"over n = {n}{f' of {of}' if n != of else ''} seed{'s' * (of != 1)}"


def nothing_yet(evaluation: Evaluation, one: str, *kinds: Kind) -> str:
    """Why a figure of finished runs is empty: none has ended yet, or every one that has diverged."""
    if not any(evaluation.diverged(kind) for kind in kinds):
        return f"No {one} is finished yet."
    waiting = any(run.kind in kinds and run.state not in FINISHED for run in evaluation.runs)
    return f"Every {one} {'that has ended ' if waiting else ''}diverged."


def left_out(evaluation: Evaluation, *kinds: Kind) -> str:
    """A sentence on the runs that a figure leaves out, with a space before it; empty if there are none."""
    diverged = sum(len(evaluation.diverged(kind)) for kind in kinds)
    waiting = sum(run.kind in kinds and run.state not in FINISHED for run in evaluation.runs)
    parts = [f"{diverged} diverged"] * bool(diverged) + [f"{waiting} unfinished"] * bool(waiting)
    one = diverged + waiting == 1
    return f" Left out: {' and '.join(parts)} run{'' if one else 's'}." if parts else ""

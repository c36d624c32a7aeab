"""Words and forms of numbers that several rooms of the report share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ltsm.report.evaluation import dataset_title
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ltsm.report.evaluation import Evaluation
    from ltsm.report.statistics import Summary
    from ltsm.store.values import RunRow
    from ltsm.studies.study import Group

MISSING = "–"


def mean_and_spread(value: Summary, digits: int, unit: str = "") -> str:
    """`38.7% ± 17.9`, `0.091 ± 0.007`; without ± where there is no spread to print."""
    if math.isnan(value.mean):
        return MISSING
    mean = f"{value.mean:.{digits}f}{unit}"
    return mean if math.isnan(value.sd) else f"{mean} ± {value.sd:.{digits}f}"


def p_text(p: float) -> str:
    """`p = 0.04`, `p < 0.001`: two digits are what ten seeds can carry, and more where they would hide a side of 0.05."""
    if math.isnan(p):
        return MISSING
    if 0.0495 <= p < 0.0505:  # noqa: PLR2004
        return f"p = {p:.4f}" if f"{p:.4f}" != "0.0500" else f"p {'<' if p < 0.05 else '≥'} 0.05"  # noqa: PLR2004
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"  # noqa: PLR2004


def signed(value: float, digits: int = 3) -> str:
    """`−0.018`, with a minus sign that is one."""
    return MISSING if math.isnan(value) else f"{value:+z.{digits}f}".replace("-", "−")


def seeds_text(seeds: Sequence[int]) -> str:
    """`seed 3`, `seeds 1, 4`."""
    return f"seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"


def over_seeds(n: int, of: int) -> str:
    """`over n = 10 seeds`, `over n = 7 of 10 seeds`."""
    return f"over n = {n}{f' of {of}' if n != of else ''} seed{'s' * (of != 1)}"


def over_all(evaluation: Evaluation) -> str:
    """`over n = 10 seeds, data: MNIST.`: of how many and of which data a caption's numbers are."""
    n = len(evaluation.seeds)
    return f"{over_seeds(n, n)}, data: {dataset_title(evaluation.protocol)}."


def averaged(evaluation: Evaluation, n: int | None = None) -> str:
    """The end of a caption: what is drawn of n seeds, or of all, and of which data."""
    of = len(evaluation.seeds)
    over = over_seeds(of if n is None else n, of)
    return f"mean ± standard deviation {over}; data: {dataset_title(evaluation.protocol)}."


def nothing_yet(evaluation: Evaluation, one: str, *groups: Group) -> str:
    """Why a figure of finished runs is empty: none has ended yet, or every one that has diverged."""
    if not any(evaluation.diverged(group) for group in groups):
        return f"No {one} is finished yet."
    waiting = any(run.state not in FINISHED for run in _runs(evaluation, groups))
    return f"Every {one} {'that has ended ' if waiting else ''}diverged."


def left_out(evaluation: Evaluation, *groups: Group) -> str:
    """A sentence on the runs that a figure leaves out, with a space before it; empty if there are none."""
    diverged = {r.run_id for group in groups for r in evaluation.diverged(group)}
    there = {r.run_id for group in groups for r in evaluation.finished(group)} | diverged
    waiting = {r.id for r in _runs(evaluation, groups) if r.state not in FINISHED} - there
    parts = [f"{len(diverged)} diverged"] * bool(diverged) + [f"{len(waiting)} unfinished"] * bool(waiting)
    one = len(diverged) + len(waiting) == 1
    return f" Left out: {' and '.join(parts)} run{'' if one else 's'}." if parts else ""


def _runs(evaluation: Evaluation, groups: Iterable[Group]) -> list[RunRow]:
    recipes = {name for group in groups for name in group.recipes}
    return [run for run in evaluation.runs if run.recipe in recipes]

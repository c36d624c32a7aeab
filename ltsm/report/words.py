"""Words that several captions share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from ltsm.protocol import Kind
    from ltsm.report.evaluation import Evaluation


def over_seeds(n: int) -> str:
    """`over n = 10 seeds`."""
    return f"over n = {n} seed{'s' * (n != 1)}"


def left_out(evaluation: Evaluation, *kinds: Kind) -> str:
    """A sentence on the runs that a figure leaves out, with a space before it; empty if there are none."""
    diverged = sum(len(evaluation.diverged(kind)) for kind in kinds)
    waiting = sum(run.kind in kinds and run.state not in FINISHED for run in evaluation.runs)
    parts = [f"{diverged} diverged"] * bool(diverged) + [f"{waiting} unfinished"] * bool(waiting)
    one = diverged + waiting == 1
    return f" Left out: {' and '.join(parts)} run{'' if one else 's'}." if parts else ""

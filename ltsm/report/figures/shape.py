"""The network's inputs and classes, told from the sizes of what was trained: the store does not name them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation

MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Shape:
    """How many inputs and classes a network has."""

    inputs: int
    classes: int

    @property
    def side(self) -> int | None:
        """The side of a square image with one channel, or None if it is none."""
        side = math.isqrt(self.inputs)
        return side if side * side == self.inputs and side > 1 else None


def network_shape(evaluation: Evaluation) -> Shape | None:
    """The only inputs and classes that explain every dense network's parameters; ten classes if several do.

    None while no network is there, or if nothing explains them.
    """
    known = {
        (run.hidden, run.parameters)
        for run in evaluation.runs
        if run.kind != "ticket" and run.parameters is not None
    }
    if not known:
        return None
    fitting = [
        Shape(inputs, classes)
        for classes in range(1, MOST_CLASSES + 1)
        if (inputs := _inputs(*min(known), classes))
        and all(_inputs(hidden, count, classes) == inputs for hidden, count in known)
    ]
    ten = [shape for shape in fitting if shape.classes == 10]  # noqa: PLR2004 - the digits
    return next(iter(ten or fitting), None)


def layer_sizes(evaluation: Evaluation) -> tuple[int, ...]:
    """Weights and biases of each of the baseline's layers; empty while they cannot be told."""
    shape = network_shape(evaluation)
    if shape is None:
        return ()
    widths = (shape.inputs, *evaluation.protocol.hidden, shape.classes)
    return tuple((a + 1) * b for a, b in pairwise(widths))


def _inputs(hidden: tuple[int, ...], parameters: int, classes: int) -> int:
    """The inputs that this many classes leave for a network of this size; 0 if that is no whole number."""
    later = sum((a + 1) * b for a, b in pairwise((*hidden, classes)))
    inputs, rest = divmod(parameters - later - hidden[0], hidden[0])
    return inputs if rest == 0 and inputs > 0 else 0

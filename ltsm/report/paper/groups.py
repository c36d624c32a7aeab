"""The paper's three groups of dense networks, computed instead of gauged by eye."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Category = Literal["High performer", "Medium performer", "Low performer"]
CATEGORIES: tuple[Category, ...] = ("High performer", "Medium performer", "Low performer")
_OF: dict[int, tuple[Category, ...]] = {1: CATEGORIES[:1], 2: CATEGORIES[::2], 3: CATEGORIES}


def groups(losses: Mapping[tuple[int, ...], float]) -> dict[tuple[int, ...], Category]:
    """Hidden sizes → group, from each network's mean final loss.

    The best least-squares split of the sorted losses into three runs of neighbours (Figures 5 and 6);
    two networks are one high and one low performer, a single one is a high performer.
    """
    ordered = sorted(losses, key=lambda hidden: (losses[hidden], hidden))
    names = _OF[min(3, len(ordered))] if ordered else ()
    cuts = best_cuts([losses[hidden] for hidden in ordered], len(names))
    return {
        hidden: name
        for name, (start, end) in zip(names, pairwise(cuts), strict=True)
        for hidden in ordered[start:end]
    }


def best_cuts(ordered: Sequence[float], parts: int) -> tuple[int, ...]:
    """Where to cut sorted values into so many non-empty runs with the least squared distance from their means.

    Both ends included: `(0, 5, 8, 10)` are three runs. The earliest cuts on a tie; `(0,)` for no parts.
    """
    if not parts:
        return (0,)
    values = np.asarray(ordered, dtype=float)
    ways = ((0, *cuts, len(values)) for cuts in combinations(range(1, len(values)), parts - 1))
    return min(ways, key=lambda cuts: sum(_squares(values[a:b]) for a, b in pairwise(cuts)))


def _squares(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 2).sum())

"""Lanes: runs of one shape that one worker advances side by side, so that a GPU has enough to do."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from ltsm.steps.training import stretch, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ltsm.steps.training import Stretch

    Arguments = tuple[Any, ...]

MOST_SIDE_BY_SIDE = 100
"""How many runs make a lane at the most, so that memory stays flat however many seeds there are."""


def lane_size(device: str) -> int:
    """How many runs a worker advances together: on a CPU one, since one is enough for a core."""
    return 1 if device == "cpu" else MOST_SIDE_BY_SIDE


def together(calls: Sequence[tuple[Callable[..., Any], Arguments]]) -> list[Any]:
    """What these functions give for their arguments, in this order; stretches are made side by side."""
    results = {i: call(*arguments) for i, (call, arguments) in enumerate(calls) if call is not stretch}
    results |= _side_by_side({i: arguments for i, (call, arguments) in enumerate(calls) if call is stretch})
    return [results[i] for i in range(len(calls))]


def _side_by_side(stretched: dict[int, Arguments]) -> Iterator[tuple[int, Stretch]]:
    """The stretches for these arguments of `stretch`, as far as the first of them goes.

    A lane's runs are usually at the same iteration. Those that were resumed from elsewhere go by themselves,
    until they meet the others where a segment ends.
    """
    from ltsm.core.state import unpack  # noqa: PLC0415 - brings torch, which only workers need

    states = {i: unpack(arguments[1]) for i, arguments in stretched.items()}
    for _, same in groupby(sorted(states, key=lambda i: states[i].iteration), lambda i: states[i].iteration):
        members = list(same)
        places, _, untils, ends = zip(*(stretched[i] for i in members), strict=True)
        made = stretches(places[0], [states[i] for i in members], min(untils), ends)
        yield from zip(members, made, strict=True)

"""Lanes: runs of one shape that one worker advances side by side, so that a GPU has enough to do."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from ltsm.steps.training import train, train_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ltsm.steps.training import Trained

    Arguments = tuple[Any, ...]

MOST_SIDE_BY_SIDE = 100
"""How many runs make a lane at the most, so that memory stays flat however many seeds there are."""


def lane_size(device: str) -> int:
    """How many runs a worker advances together: on a CPU one, since one is enough for a core."""
    return 1 if device == "cpu" else MOST_SIDE_BY_SIDE


def together(calls: Sequence[tuple[Callable[..., Any], Arguments]]) -> list[Any]:
    """What these functions give for their arguments, in this order; segments are trained side by side."""
    results = {i: call(*arguments) for i, (call, arguments) in enumerate(calls) if call is not train}
    results |= _side_by_side({i: arguments for i, (call, arguments) in enumerate(calls) if call is train})
    return [results[i] for i in range(len(calls))]


def _side_by_side(calls: dict[int, Arguments]) -> Iterator[tuple[int, Trained]]:
    """What `train` gives for these arguments, as far as the first of them goes.

    A lane's runs are usually at the same iteration. Those that were resumed from elsewhere go by themselves,
    until they meet the others where a segment ends.
    """
    from ltsm.core.state import unpack

    states = {i: unpack(arguments[1]) for i, arguments in calls.items()}
    for _, same in groupby(sorted(states, key=lambda i: states[i].iteration), lambda i: states[i].iteration):
        members = list(same)
        setups, _, untils, ends, keeps = zip(*(calls[i] for i in members), strict=True)
        until = min(untils)
        keep = keeps[untils.index(until)]
        made = train_together(setups[0], [states[i] for i in members], until, ends, keep=keep)
        yield from zip(members, made, strict=True)

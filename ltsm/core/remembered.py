"""What is worked out of images once, and kept for as long as they are."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")
"""A `Dataset` or a `TestSet`."""


def remembered(make: Callable[Concatenate[D, P], T]) -> Callable[Concatenate[D, P], T]:
    """Keep what a function makes of each data set; its value must not hold the data set, or both would stay."""
    known: WeakKeyDictionary[D, dict[object, T]] = WeakKeyDictionary()

    @wraps(make)
    def found(data: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        made, key = known.setdefault(data, {}), (args, tuple(kwargs.items()))
        if key not in made:
            made[key] = make(data, *args, **kwargs)
        return made[key]

    return found

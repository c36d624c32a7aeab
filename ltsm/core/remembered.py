"""What is worked out of a data set once, and kept for as long as the data set is."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.core.datasets import Dataset

P = ParamSpec("P")
T = TypeVar("T")


def remembered(make: Callable[Concatenate[Dataset, P], T]) -> Callable[Concatenate[Dataset, P], T]:
    """Keep what a function makes of each data set; its value must not hold the data set, or both would stay."""
    known: WeakKeyDictionary[Dataset, dict[object, T]] = WeakKeyDictionary()

    @wraps(make)
    def found(data: Dataset, /, *args: P.args, **kwargs: P.kwargs) -> T:
        made, key = known.setdefault(data, {}), (args, tuple(kwargs.items()))
        if key not in made:
            made[key] = make(data, *args, **kwargs)
        return made[key]

    return found

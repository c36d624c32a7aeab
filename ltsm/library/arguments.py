"""What is asked of every argument that is no network and no data: one sentence for each that means nothing."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ltsm.errors import UsageError
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import UnionType


def number(name: str, value: Any) -> float:
    """A number, infinity included; also one of NumPy's or torch's.

    Raises:
        UsageError: it is none, or NaN.
    """
    try:
        plain = value.detach() if isinstance(value, Tensor) else value
        found = math.nan if isinstance(plain, str | bytes) else float(plain)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a tensor of several
        found = math.nan
    if math.isnan(found):
        raise UsageError(f"{name} must be a number, not {quoted(value)}.")
    return found


def numbers(name: str, values: Any) -> tuple[float, ...]:
    """At least one finite number.

    Raises:
        UsageError: there is none, or something else among them.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise UsageError(f"{name} must be numbers, not {quoted(values)}.")
    found = tuple(number(f"each of {name}", value) for value in _listed(name, values))
    if not found or not all(map(math.isfinite, found)):
        raise UsageError(f"{name} must be finite numbers, at least one, not {quoted(found)}.")
    return found


def interval(name: str, value: Any) -> tuple[float, float]:
    """The smallest and the largest of something; either may be infinite.

    Raises:
        UsageError: these are no two numbers.
    """
    if not isinstance(value, tuple | list) or len(value) != 2:  # noqa: PLR2004
        raise UsageError(f"{name} must be two numbers, the smallest and the largest, not {quoted(value)}.")
    return number(name, value[0]), number(name, value[1])


def one_of(name: str, value: Any, known: Iterable[str]) -> None:
    """Nothing, for a word that is known.

    Raises:
        UsageError: it is not.
    """
    words = list(known)
    if not isinstance(value, str) or value not in words:
        raise UsageError(f"{name} must be {' or '.join(words)}, not {quoted(value)}.")


def seed_of(seed: Any) -> int:
    """A seed as Python's whole number.

    Raises:
        UsageError: it is none, or no generator takes it.
    """
    try:
        value = operator.index(seed)
    except (TypeError, RuntimeError):  # the latter of a tensor without values
        value = -1
    if not 0 <= value < 2**63:
        raise UsageError(f"seed must be a whole number of at least 0 and below 2⁶³, not {quoted(seed)}.")
    return value


def whole_number(name: str, value: Any, least: int = 0) -> int:
    """A whole number of at least so many; also one of NumPy's or torch's.

    Raises:
        UsageError: it is none, or less.
    """
    try:
        found = operator.index(value)
    except (TypeError, RuntimeError):  # the latter of a tensor without values
        found = least - 1
    if found < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, not {quoted(value)}.")
    return found


def whole_numbers(name: str, values: Any, least: int = 0) -> tuple[int, ...]:
    """Any number of them.

    Raises:
        UsageError: there is something else among them, or there are none to be had.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise UsageError(f"{name} must be whole numbers, not {quoted(values)}.")
    return tuple(whole_number(f"each of {name}", value, least) for value in _listed(name, values))


def instance(name: str, value: Any, kind: type[Any] | UnionType, words: str) -> Any:
    """The value, where it is of the kind.

    Args:
        name: the argument's.
        value: what was handed over.
        kind: what it has to be.
        words: the kind, for a person.

    Raises:
        UsageError: it is of another.
    """
    if not isinstance(value, kind):
        raise UsageError(f"{name} must be {words}, not {type(value).__name__}.")
    return value


def function(name: str, value: Callable[..., Any] | None) -> None:
    """Nothing, for what can be called, and for None.

    Raises:
        UsageError: it can not be called.
    """
    if value is not None and not callable(value):
        raise UsageError(f"{name} must be a function, not {type(value).__name__}.")


def _listed(name: str, values: Iterable[Any]) -> list[Any]:
    try:
        return list(values)
    # A scalar of NumPy's or torch's says that it is iterable.
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{name} must be numbers, not {quoted(values)}.") from error

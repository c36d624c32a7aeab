"""What studies' options have in common: they come as typed text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.errors import UsageError
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence


def one(option: str, value: str, known: Sequence[str]) -> str:
    """One of several words.

    Raises:
        UsageError: it is none of them.
    """
    if value not in known:
        raise UsageError(f"--{option} is {' or '.join(known)}, not {quoted(value)}.")
    return value


def number(text: str, what: str, example: str) -> float:
    """A number; `what` it is for, and an example.

    Raises:
        UsageError: it is none.
    """
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{quoted(text)} is no {what}.", example) from error

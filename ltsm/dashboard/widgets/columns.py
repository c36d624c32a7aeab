"""The columns of a sheet: what they show, what they are sorted by, how wide they are."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rich.cells import cell_len, set_cell_size

from ltsm.dashboard.words import number, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.report.statistics import Summary

T = TypeVar("T")


def _no_tone(_: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[T]):
    """One column of a sheet of `T`s.

    `value` is what is sorted by and exported; `text` what is shown; `tone` in which colour. A `title`
    may have several lines. Numbers stand right, words left. `deviation` is what stands after ± in the text; it is
    exported in a column of its own.
    """

    title: str
    width: int
    value: Callable[[T], Any]
    text: Callable[[T], str]
    tone: Callable[[T], str] = _no_tone
    left: bool = False
    deviation: Callable[[T], float | None] | None = None


def worded(
    title: str, width: int, of: Callable[[T], str | None], tone: Callable[[T], str] = _no_tone
) -> Column[T]:
    """A column of words."""
    return Column(title=title, width=width, value=of, text=lambda row: of(row) or "", tone=tone, left=True)


def numbered(
    title: str,
    width: int,
    of: Callable[[T], float | None],
    digits: int = 0,
    tone: Callable[[T], str] = _no_tone,
) -> Column[T]:
    """A column of numbers with so many digits after the point; nothing where there is none."""
    return Column(title=title, width=width, value=of, text=lambda row: number(of(row), digits), tone=tone)


def averaged(
    title: str,
    width: int,
    of: Callable[[T], Summary | None],
    digits: int,
    tone: Callable[[T], str] = _no_tone,
) -> Column[T]:
    """A column of means with their deviations; nothing where there is none."""
    mean, deviation = parts(of)
    return Column(
        title=title,
        width=width,
        value=mean,
        text=lambda row: spread(mean(row), deviation(row), digits),
        tone=tone,
        deviation=deviation,
    )


def parts(
    of: Callable[[T], Summary | None],
) -> tuple[Callable[[T], float | None], Callable[[T], float | None]]:
    """What gives a row's mean, and what its deviation."""
    return (
        lambda row: None if (found := of(row)) is None else found.mean,
        lambda row: None if (found := of(row)) is None else found.sd,
    )


def is_missing(value: Any) -> bool:
    """Whether there is none: it is sorted last, and exported as nothing."""
    return value is None or (isinstance(value, float) and isnan(value))


def fitted(text: str, width: int, *, left: bool) -> str:
    """The text in exactly so many cells; what does not fit ends in an ellipsis."""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    space = " " * (width - cell_len(text))
    return text + space if left else space + text

"""What the paper prints: the package's own copy of its Table 1 and of the numbers in its text."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from ltsm.protocol import PAPER
from ltsm.report.statistics import Summary

if TYPE_CHECKING:
    from ltsm.protocol import Protocol


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A row of the published Table 1; `cells` by column, in the printed units."""

    label: str
    category: str
    cells: dict[str, Summary]


@cache
def table_1() -> dict[str, PublishedRow]:
    """The published rows by label, in the paper's order."""
    rows = [_row(row) for row in _document()["table_1"]]
    return {row.label: row for row in rows}


@cache
def text() -> dict[str, Any]:
    """The numbers of sections 3.3 to 3.5, each [mean, deviation], in the printed units."""
    numbers: dict[str, Any] = _document()["text"]
    return numbers


def text_summary(name: str, n: int | None = None) -> Summary:
    """One number of the text with its spread."""
    return _summary(text()[name], seeds() if n is None else n)


class PublishedMask(NamedTuple):
    """The selected threshold, and what the supermask keeps and reaches untrained, both in percent."""

    amount: Summary
    size: Summary
    accuracy: Summary


def supermask() -> PublishedMask:
    """The supermasks of section 3.4."""
    names = ("selected_threshold", "supermask_relative_size_percent", "supermask_validation_accuracy_percent")
    return PublishedMask(*map(text_summary, names))


def seeds() -> int:
    """How many seeds the paper has."""
    return int(_document()["seeds"])


def comparable(protocol: Protocol) -> bool:
    """Whether results are on the paper's data: losses on other images are no measure for its, nor its for them."""
    return protocol.dataset == PAPER.dataset


def other_settings(protocol: Protocol) -> tuple[str, ...]:
    """The settings in which a protocol is not the paper's."""
    ours = protocol.settings()
    return tuple(name for name, value in PAPER.settings().items() if ours[name] != value)


@cache
def _document() -> dict[str, Any]:
    content = (files("ltsm.report.paper") / "published.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(content)
    return document


def _row(row: dict[str, Any]) -> PublishedRow:
    cells = {name: _summary(value, seeds()) for name, value in row.items() if isinstance(value, list)}
    return PublishedRow(row["label"], row["category"], cells)


def _summary(pair: list[float | None], n: int) -> Summary:
    mean, sd = pair
    assert mean is not None  # noqa: S101 - every published number has a mean
    return Summary(n, mean, math.nan if sd is None else sd)

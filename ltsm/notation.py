"""How layer sizes and seeds are written, on the command line, in files and in the store; values as JSON; text made harmless."""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
from typing import Any

from ltsm.errors import UsageError

MAX_SEEDS = 100_000


LONGEST_QUOTE = 80
"""Characters of a value that are shown of it in a sentence about it."""


def quoted(value: object) -> str:
    """A value as Python writes it, cut where nobody would read on: what is wrong with it must stay in sight."""
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def counted(number: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def parse_sizes(text: str) -> tuple[int, ...]:
    """`"200,30"` → `(200, 30)`.

    Raises:
        UsageError: not a list of positive whole numbers.
    """
    if not re.fullmatch(r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*", text):
        raise UsageError(
            f"hidden sizes are whole numbers with commas between, not {quoted(text)}.",
            "e.g. --hidden 300,100",
        )
    return tuple(map(int, re.findall(r"\d+", text)))  # `int` knows fewer blanks than `\s`


def format_sizes(hidden: tuple[int, ...]) -> str:
    """`(200, 30)` → `"200,30"`, as the store keeps it."""
    return ",".join(map(str, hidden))


def parse_seeds(text: str) -> tuple[int, ...]:
    """`"0-9"`, `"3"`, `"0,2,5-7"` → a sorted tuple of seeds, without repeats.

    Raises:
        UsageError: not such a list, a range that runs backwards, or more than 100,000 seeds.
    """
    seeds: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        if not found:
            raise UsageError(
                f"seeds are numbers and ranges, not {quoted(text)}.", "e.g. --seeds 0-9 or --seeds 0,3,7"
            )
        low, high = int(found[1]), int(found[2] or found[1])
        if high < low:
            raise UsageError(
                f"the range of seeds {part.strip()} runs backwards.", f"e.g. --seeds {high}-{low}"
            )
        if high - low >= MAX_SEEDS:
            raise UsageError(f"{part.strip()} are more than {MAX_SEEDS:,} seeds.", "e.g. --seeds 0-99")
        seeds.update(range(low, high + 1))
    return tuple(sorted(seeds))


def format_seeds(seeds: tuple[int, ...]) -> str:
    """`(0, 1, 2, 5)` → `"0-2,5"`."""
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ",".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def visible(text: str) -> str:
    """The text with whatever steers a terminal made visible: ESC becomes ␛, a direction override its code.

    Line breaks and tabs stay. What came from a file or a command line may hold anything.
    """
    return "\n".join(
        line if line.isprintable() else "".join(map(_visible, line)) for line in text.split("\n")
    )


def _visible(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    code = ord(character)
    if code < 0x20:  # noqa: PLR2004 - Unicode has a picture for each of these
        return chr(0x2400 + code)
    category = unicodedata.category(character)
    return f"\\u{code:04x}" if category in {"Cc", "Cf", "Cs", "Zl", "Zp"} else character


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def duration(seconds: float) -> str:
    """Two figures are enough: `8 s`, `3 min`, `2 h 05 min`, `4.1 d`."""
    if seconds < _MINUTE:
        return f"{max(0, seconds):.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < _DAY:
        hours, minutes = divmod(round(seconds / _MINUTE), 60)
        return f"{hours} h {minutes:02} min"
    return f"{seconds / _DAY:.1f} d"


def plain(value: Any) -> Any:
    """A frozen value, or a container of them, as what `json.dumps` takes: tuples become lists, and NaN null.

    An infinite number, null too, never leaves the store.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""Seeds × recipes: the rows and columns of the overview's grid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ltsm.dashboard.widgets.columns import Column
from ltsm.dashboard.words import GLYPHS, TONES, amount
from ltsm.report.progress import percent
from ltsm.studies.names import kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import MaskRow, RunRow

_SEED_WIDTH, _NARROWEST, _WIDE = 5, 4, 9
"""Four columns hold `▶38%`, nine `▶ 38 %` and `✓ t=0.04`."""


@dataclass(frozen=True, slots=True)
class SeedRow:
    """All runs of one seed, by recipe, and the masks that they made."""

    seed: int
    runs: dict[str, RunRow]
    masks: dict[str, MaskRow]


def rows(moment: Moment) -> list[SeedRow]:
    """One row per seed."""
    found: dict[int, SeedRow] = {}
    for run in moment.runs:
        row = found.setdefault(run.seed, SeedRow(run.seed, {}, {}))
        row.runs[run.recipe] = run
        if run.id in moment.masks:
            row.masks[run.recipe] = moment.masks[run.id]
    return list(found.values())


@lru_cache(maxsize=2)
def columns(recipes: tuple[str, ...], width: int) -> list[Column[SeedRow]]:
    """The seed, then the recipes, on so wide a screen; the same columns again for the same ones."""
    seed: Column[SeedRow] = Column(
        title="seed",
        width=_SEED_WIDTH,
        value=lambda row: row.seed,
        text=lambda row: str(row.seed),
        tone=lambda _: "strong",
    )
    each = max(_NARROWEST, min(_WIDE, (width - _SEED_WIDTH - 1) // max(1, len(recipes)) - 1))
    return [seed, *(_column(name, _title(name, recipes, each), each) for name in recipes)]


def failures(rows: Sequence[SeedRow], columns: Sequence[Column[SeedRow]]) -> list[tuple[int, int]]:
    """Row and column of every failed run, in reading order."""
    return [
        (y, x)
        for y, row in enumerate(rows)
        for x, column in enumerate(columns)
        if column.value(row) == "failed"
    ]


def _column(name: str, title: str, width: int) -> Column[SeedRow]:
    def run_of(row: SeedRow) -> RunRow | None:
        return row.runs.get(name)

    return Column(
        title=title,
        width=width,
        value=lambda row: run.state if (run := run_of(row)) else "",
        text=lambda row: _text(run, row.masks.get(name), wide=width >= _WIDE) if (run := run_of(row)) else "",
        tone=lambda row: TONES[run.state] if (run := run_of(row)) else "muted",
    )


def _title(name: str, recipes: tuple[str, ...], width: int) -> str:
    """A name in so few columns: without the word that several begin with, two lines of words or halves where it must.

    Of several kinds with the same rest, such as rounds and the controls of some, the first alone goes without.
    """
    alike = [other for other in recipes if kind(other) == kind(name)]
    before = {_rest(other) for other in recipes[: recipes.index(alike[0])]}
    short = len(alike) > 1 and not before & set(map(_rest, alike))
    kept = {other: _rest(other).split() if short else other.split() for other in alike}
    if all(len(" ".join(words)) <= width for words in kept.values()):
        return " ".join(kept[name])
    words = [re.sub(r"\W", "", word) for word in kept[name]]
    half = (len(words[0]) + 1) // 2
    if len(words) == 1 and half <= width < len(words[0]):
        words = [words[0][:half], words[0][half:]]
    return "\n".join(word[:width] for word in words[:2])


def _rest(name: str) -> str:
    """A name without its first word, if it has more."""
    return name.partition(" ")[2] or name


def _text(run: RunRow, mask: MaskRow | None, *, wide: bool) -> str:
    done = percent(run) if run.state in {"running", "interrupted"} else None
    if done is not None:
        space = " " if wide else ""
        return f"{GLYPHS[run.state]}{space}{done:2}{space}%"
    if wide and mask is not None and run.state == "done":
        return f"{GLYPHS[run.state]} {amount(mask)}"
    return GLYPHS[run.state]

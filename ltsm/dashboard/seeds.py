"""Seeds × runs: the rows and columns of the overview's grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ltsm.dashboard.widgets.columns import Column
from ltsm.dashboard.words import GLYPHS, TONES, percent, sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import MaskRow, RunRow, State

Network = tuple[str, tuple[int, ...]]
"""Kind and hidden sizes: a column of the grid."""
SUPERMASK: Final[Network] = ("supermask", ())
WIDE: Final = 150
"""From this width on the columns have their whole names."""
_SHORT: Final = {"initial": "init", "baseline": "base", "supermask": "mask", "ticket": "tick"}


@dataclass(frozen=True, slots=True)
class SeedRow:
    """All runs of one seed, by network, and its supermask, None while that has not been found."""

    seed: int
    runs: dict[Network, RunRow]
    supermask: MaskRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkColumn(Column[SeedRow]):
    """A column that knows which network it is about."""

    network: Network


def rows(moment: Moment) -> list[SeedRow]:
    """One row per seed."""
    found: dict[int, SeedRow] = {}
    for run in moment.runs:
        row = found.get(run.seed)
        if row is None:
            row = found[run.seed] = SeedRow(run.seed, {}, moment.supermasks.get(run.seed))
        row.runs[run.kind, run.hidden] = run
    return list(found.values())


def networks(moment: Moment) -> tuple[Network, ...]:
    """Every network of the protocol, then those that the store has beyond it."""
    hidden = moment.protocol.hidden
    chain: list[Network] = [("initial", hidden), ("baseline", hidden), SUPERMASK, ("ticket", hidden)]
    hyperops: list[Network] = [("hyperop", sizes) for sizes in moment.protocol.hyperops]
    others: list[Network] = [(run.kind, run.hidden) for run in moment.runs]
    return tuple(dict.fromkeys([*chain, *hyperops, *others]))


@lru_cache(maxsize=2)
def columns(networks: tuple[Network, ...], *, wide: bool) -> list[Column[SeedRow]]:
    """The seed, then the networks; the same columns again for the same ones, so that a grid knows them."""
    seed: Column[SeedRow] = Column(
        title="seed",
        width=5,
        value=lambda row: row.seed,
        text=lambda row: str(row.seed),
        tone=lambda _: "strong",
    )
    return [seed, *(_column(network, wide=wide) for network in networks)]


def network(column: Column[SeedRow]) -> Network:
    """Which network a column is about; the first column is about none."""
    return column.network if isinstance(column, NetworkColumn) else ("", ())


def failures(rows: Sequence[SeedRow], columns: Sequence[Column[SeedRow]]) -> list[tuple[int, int]]:
    """Row and column of every failed run, in reading order."""
    return [
        (y, x)
        for y, row in enumerate(rows)
        for x, column in enumerate(columns)
        if isinstance(column, NetworkColumn) and _state(row, column.network) == "failed"
    ]


def _column(network: Network, *, wide: bool) -> NetworkColumn:
    return NetworkColumn(
        network=network,
        title=_title(network, wide=wide),
        width=9 if wide else 4,
        value=lambda row: _state(row, network) or "",
        text=lambda row: _text(row, network, wide=wide),
        tone=lambda row: TONES[_state(row, network) or "pending"],
    )


def _title(network: Network, *, wide: bool) -> str:
    kind, hidden = network
    if kind == "hyperop":
        return sizes(hidden) if wide else "\n".join(map(str, hidden))
    return kind if wide else _SHORT[kind]


def _state(row: SeedRow, network: Network) -> State | None:
    """The state of a cell; None where there is no such run."""
    if network == SUPERMASK:
        has_baseline = any(kind == "baseline" for kind, _ in row.runs)
        return "done" if row.supermask else "pending" if has_baseline else None
    run = row.runs.get(network)
    return run.state if run else None


def _text(row: SeedRow, network: Network, *, wide: bool) -> str:
    state = _state(row, network)
    if state is None:
        return ""
    run = row.runs.get(network)
    if run is not None and state in {"running", "interrupted"}:
        done = percent(run)
        space = " " if wide else ""
        return f"{GLYPHS[state]}{space}{done:2}{space}%" if done is not None else GLYPHS[state]
    if wide and network == SUPERMASK and row.supermask:
        return f"{GLYPHS[state]} t={row.supermask.threshold:g}"
    return GLYPHS[state]

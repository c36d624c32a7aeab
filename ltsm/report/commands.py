"""Commands to type next: each names the store and the protocol that are meant, quoted for a shell."""

from __future__ import annotations

import os
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from ltsm.errors import UsageError
from ltsm.notation import format_sizes
from ltsm.protocol import PAPER, SMOKE, format_value, is_own_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ltsm.protocol import Protocol
    from ltsm.store.values import ProtocolRow, RunRow

STORE: Final = "results/ltsm.db"
"""The store that a command takes which names none, unless LTSM_STORE does."""
SETTINGS: Final = (
    *("dataset", "hidden", "lr", "batch_size", "initial_iterations", "iterations"),
    *("order", "pixels", "activation", "mask"),
)
"""The settings that have an option of their own."""
_PRESETS: Final[tuple[tuple[list[str], Protocol], ...]] = (([], PAPER), (["--smoke"], SMOKE))
_PROTOCOL = ("--protocol", *(f"--{name.replace('_', '-')}" for name in SETTINGS))
_PLACE = ("--data", "--device")
_UNKNOWN = ["--protocol", "FILE.toml"]


def typed(words: Iterable[str], store: Path | str) -> str:
    """`ltsm` with these words, on this store."""
    return shlex.join(["ltsm", *words, *_store(store)])


def again(
    run: RunRow, settings: Mapping[str, Any], store: Path, others: Iterable[RunRow] = (), *, force: bool
) -> str:
    """The command that does this run again, as it stands.

    Args:
        run: which.
        settings: of its protocol.
        store: where it is.
        others: runs of the same protocol, whose commands name it where this one has not begun.
        force: also where it is done.
    """
    step = {"initial": "baseline"}.get(run.kind, run.kind)
    sizes = ["--sizes", format_sizes(run.hidden)] if run.kind == "hyperop" else []
    words = [f"train-{step}", "--seed", str(run.seed), *sizes, *protocol_words(settings, [run, *others])]
    return typed([*words, *["--force"] * force], store)


def protocol_words(settings: Mapping[str, Any], runs: Iterable[RunRow]) -> list[str]:
    """The options that make a stored protocol again, and those that say where its runs were made.

    By a preset and single settings, if these give the very protocol. One from a file, or of data of one's own, is
    named as it was when its runs were made: the file, which the store does not keep, may have changed since.
    """
    recorded = _recorded(runs)
    exact = None if is_own_data(str(settings.get("dataset", ""))) else _exact(settings)
    if exact is None:
        exact = [word for option in ("--smoke", *_PROTOCOL) for word in recorded.get(option, [])] or _UNKNOWN
    return [*exact, *(word for option in _PLACE for word in recorded.get(option, []))]


def stored_words(protocols: Sequence[ProtocolRow], protocol_id: int) -> list[str]:
    """The option by which a command that reads takes this protocol; none where the store has no other."""
    if len(protocols) < 2:  # noqa: PLR2004
        return []
    (name,) = (p.name for p in protocols if p.id == protocol_id)
    alike = sum(name in {p.name, str(p.id)} for p in protocols)
    return ["--protocol", name if alike == 1 else str(protocol_id)]


def _store(path: Path | str) -> list[str]:
    usual = os.environ.get("LTSM_STORE") or STORE
    return [] if str(path) == usual == STORE else ["--store", str(path)]


def _exact(settings: Mapping[str, Any]) -> list[str] | None:
    """The fewest options that give these settings and no others; None where no options do."""
    found = [words for preset, base in _PRESETS if (words := _from_base(preset, base, settings)) is not None]
    return min(found, key=len, default=None)


def _from_base(preset: list[str], base: Protocol, settings: Mapping[str, Any]) -> list[str] | None:
    old = base.settings()
    changes = {name: settings[name] for name in SETTINGS if name in settings and settings[name] != old[name]}
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    try:
        if base.changed(**changes).settings() != dict(settings):
            return None
    except (UsageError, TypeError):  # a strange store's
        return None
    options = ((f"--{name.replace('_', '-')}", format_value(value)) for name, value in changes.items())
    return [*preset, *(word for option in options for word in option)]


def _recorded(runs: Iterable[RunRow]) -> dict[str, list[str]]:
    """The options of the first command on record, each with its value, as they were typed."""
    commands = (str(run.provenance.get("command") or "") for run in runs)
    try:
        words = shlex.split(next(filter(None, commands), ""))
    except ValueError:  # a strange store's
        return {}
    found: dict[str, list[str]] = {}
    for word, following in pairwise([*words, ""]):
        option, _, value = word.partition("=")
        if option == "--smoke":
            found[option] = [option]
        elif option in {*_PROTOCOL, *_PLACE} and (value or following):
            found[option] = [option, value or following]
    return found

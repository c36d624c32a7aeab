"""The command line's own words: the usual store, and commands to type next, quoted for a shell.

Read by the command line itself and by whoever proposes a command. Each names the store and the protocol that are meant,
the protocol by its number there: a file that it was read from may have changed since.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ltsm.notation import format_seeds, format_sizes
from ltsm.protocol import from_settings, is_own_data
from ltsm.studies import paper
from ltsm.studies.all import DEFAULT, STUDIES, name_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ltsm.protocol import Protocol
    from ltsm.store.values import ProtocolRow, RunRow

STORE: Final = "results/ltsm.db"
"""The store that a command takes which names none, unless LTSM_STORE does."""
DATA: Final = "data"
"""The folder of the data sets, unless LTSM_DATA names another."""


def typed(words: Iterable[str], store: Path | str) -> str:
    """`ltsm` with these words, on this store."""
    return shlex.join(["ltsm", *words, *_store(store)])


def sweep_words(study: str) -> list[str]:
    """`sweep`, and the study where it is not the usual one."""
    return ["sweep", *[study] * (study != DEFAULT)]


def again(run: RunRow, settings: Mapping[str, Any], store: Path | str, *, force: bool) -> str:
    """The command that does this run again, as it stands, of a protocol with these settings."""
    return all_again([run], settings, store, force=force)


def all_again(runs: Sequence[RunRow], settings: Mapping[str, Any], store: Path | str, *, force: bool) -> str:
    """The same of several runs of one protocol, begun by the same study."""
    protocol, run = from_settings(settings, "stored"), runs[0]
    study = run.provenance.get("study") or name_for(run.fingerprint, protocol) or "MODULE:FUNCTION"
    recipes, seeds = (
        dict.fromkeys(run.recipe for run in runs),
        format_seeds(tuple({run.seed for run in runs})),
    )
    words = sweep_words(study)
    if run.recipe == paper.hyperop(run.hidden) and run.hidden not in protocol.hyperops:  # it is in no study
        words = ["train-hyperop", "--sizes", format_sizes(run.hidden)]
    elif study not in STUDIES or not _trained(study, protocol) <= set(recipes):
        words += [word for recipe in recipes for word in ("--only", recipe)]
    words += ["--seeds", seeds, *protocol_words(run.protocol_id, protocol.dataset, runs)]
    return typed([*words, *["--force"] * force], store)


def rebuild(run: RunRow, store: Path | str) -> str:
    """The command that makes the dropped files of this run again."""
    return typed(["db", "rebuild", f"id:{run.id}"], store)


def _trained(study: str, protocol: Protocol) -> set[str]:
    """The recipes of a study that train, and so have files."""
    recipes = STUDIES[study](protocol).recipes
    return {name for name, recipe in recipes.items() if recipe.trains != "nothing"}


def protocol_words(protocol_id: int, dataset: str, runs: Iterable[RunRow]) -> list[str]:
    """The options by which a command that runs takes a stored protocol, its data and its device."""
    recorded = next((run.provenance for run in runs if run.provenance), {})
    words = ["--protocol", str(protocol_id)]
    if folder := data_folder(dataset, str(recorded.get("data") or "")):
        words += ["--data", folder]
    device = str(recorded.get("place") or "cpu")
    return words if device == "cpu" else [*words, "--device", device]


def stored_words(protocols: Sequence[ProtocolRow], protocol_id: int) -> list[str]:
    """The option by which a command that reads takes this protocol; none where the store has no other."""
    if len(protocols) < 2:  # noqa: PLR2004
        return []
    (name,) = (p.name for p in protocols if p.id == protocol_id)
    alike = sum(name in {p.name, str(p.id)} for p in protocols)
    return ["--protocol", name if alike == 1 else str(protocol_id)]


def data_folder(dataset: str, recorded: str) -> str:
    """The folder of the data, where a command would not look for it by itself."""
    if not recorded:
        return ""
    if is_own_data(dataset):
        return str(Path(recorded).parent)
    usual = Path(os.environ.get("LTSM_DATA") or DATA).expanduser().absolute()
    return "" if Path(recorded) == usual else recorded


def _store(path: Path | str) -> list[str]:
    usual = os.environ.get("LTSM_STORE") or STORE
    return [] if str(path) == usual == STORE else ["--store", str(path)]

"""Which runs of a store are meant, of which protocols and study: for whoever lists, takes away, or deletes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.errors import StoreError, UsageError
from ltsm.protocol import from_settings
from ltsm.report import filters, listing
from ltsm.report.evaluation import of_store, own_runs
from ltsm.store import read

if TYPE_CHECKING:
    from collections.abc import Collection

    from ltsm.report.listing import Listed
    from ltsm.store.engine import Store
    from ltsm.store.values import ProtocolRow, RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is asked for; empty means all.

    Attributes:
        text: a filter as in the dashboard: `kind:ticket loss<0.1`; see `ltsm.report.filters`.
        protocol: one of the store's protocols, by name, number or start of its fingerprint.
        study: only runs of that study, called as it calls them.
        recipes: only runs of these recipes, by their whole names.
        seeds: only these.
    """

    text: str = ""
    protocol: str | None = None
    study: str | None = None
    recipes: Collection[str] = ()
    seeds: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A protocol, and which of its runs are meant, with what was measured of them last."""

    protocol: ProtocolRow
    listed: list[Listed]

    @property
    def runs(self) -> list[RunRow]:
        """The runs alone."""
        return [one.run for one in self.listed]


def chosen(store: Store, choice: Choice) -> list[Chosen]:
    """The runs that are meant, by protocol and seed; protocols of which none is are left out.

    Raises:
        StoreError: there is no such protocol, or several have that name.
        UsageError: the filter is none; there is no such study, or no such recipe.
    """
    known = read.protocols(store) if choice.protocol is None else [read.find_protocol(store, choice.protocol)]
    runs = {p.id: _of_study(p, read.runs(store, p.id), choice.study) for p in known}
    # of all at once: a word that one protocol does not know may be another's
    recipes = list(dict.fromkeys(run.recipe for its in runs.values() for run in its))
    passes = filters.parse(choice.text, recipes) if recipes else lambda _: True
    if unknown := [name for name in choice.recipes if name not in recipes]:
        raise UsageError(f"there is no recipe {unknown[0]!r}: there are {', '.join(recipes)}.")
    found = []
    for protocol in known:
        wanted = [run for run in runs[protocol.id] if _is_meant(run, choice)]
        if listed := [one for one in listing.load(store, wanted) if passes(one)]:
            found.append(Chosen(protocol, listed))
    return found


def one(store: Store, run_id: int) -> Chosen:
    """The run of that id.

    Raises:
        StoreError: there is none.
    """
    if not (runs := read.runs(store, ids=[run_id])):
        raise StoreError(f"the store {store.path} has no run {run_id}.", "ltsm runs list shows their numbers")
    return Chosen(read.protocol(store, runs[0].protocol_id), listing.load(store, runs))


def _is_meant(run: RunRow, choice: Choice) -> bool:
    wanted = not choice.recipes or run.recipe in choice.recipes
    return wanted and (not choice.seeds or run.seed in choice.seeds)


def _of_study(protocol: ProtocolRow, runs: list[RunRow], study: str | None) -> list[RunRow]:
    if study is None:
        return runs
    made = of_store(study, from_settings(protocol.settings, protocol.name), runs)
    return list(own_runs(made, runs))

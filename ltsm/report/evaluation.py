"""Everything of one study under one protocol that a report says something about, read once, as frozen values."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ltsm.protocol import PAPER, from_settings
from ltsm.store import read, schema
from ltsm.store.values import ResultRow
from ltsm.studies import all as studies
from ltsm.studies import paper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ltsm.protocol import Protocol
    from ltsm.store.engine import Store
    from ltsm.store.values import MaskRow, Metric, RunRow
    from ltsm.studies.recipe import Covers
    from ltsm.studies.study import Group, Study

T = TypeVar("T")
Named = TypeVar("Named", "RunRow", "ResultRow")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A study's runs and results; recipes are called as the study calls them.

    `masks` are those that the runs ended with, and `records` those that `cut_short` names, or all where asked for;
    `supermasks` (the selected masks with their bits) are only filled where asked for; `masks` come without bits.
    `others` are the recipes of the protocol's other runs.
    """

    protocol: Protocol
    study: Study
    runs: tuple[RunRow, ...]
    results: tuple[ResultRow, ...] = ()
    masks: tuple[MaskRow, ...] = ()
    records: Mapping[int, Sequence[Metric]]
    supermasks: tuple[MaskRow, ...] = ()
    others: tuple[str, ...] = ()

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that has a run, finished or not."""
        return tuple(sorted({run.seed for run in self.runs}))

    @property
    def classes(self) -> int | None:
        """How many classes the data has; None while no run says so, as none of an old store may."""
        return next((run.classes for run in self.runs if run.classes), None)

    @property
    def layer_sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer; none where the store does not say."""
        inputs = next((run.inputs for run in self.runs if run.inputs), None)
        return [*pairwise((inputs, *self.protocol.hidden, self.classes))] if inputs and self.classes else []

    def kept_share(self, relative_size: float, covers: Covers) -> float:
        """The share of what a mask may prune that is kept: where it spares biases, they are not counted."""
        biases = sum(outputs for _, outputs in self.layer_sizes) if covers == "weights" else 0
        weights = sum(inputs * outputs for inputs, outputs in self.layer_sizes)
        return relative_size + (relative_size - 1) * biases / weights if biases else relative_size

    def finished(self, group: Group) -> list[ResultRow]:
        """Results of the group's runs that ended with a finite loss, or that train nothing, by seed."""
        return self._once(group, "parted", lambda: self._parted(group))[0]

    def diverged(self, group: Group) -> list[ResultRow]:
        """Results of the runs whose loss was no finite number any more, by seed."""
        return self._once(group, "parted", lambda: self._parted(group))[1]

    def ended(self, group: Group) -> list[ResultRow]:
        """Results of the runs that have ended, diverged or not, by seed; measured at `until` where the group says so."""
        return self._once(group, "ended", lambda: self._ended(group))

    def whole(self, group: Group) -> dict[int, list[ResultRow]]:
        """The finished runs of each seed that has every recipe of the group that any seed has.

        Of a group of several, means over different networks would be no means of one thing.
        """
        return self._once(group, "whole", lambda: self._whole(group))

    def by_seed(self, group: Group, result: str) -> dict[int, float]:
        """One number of the group by seed, averaged over its recipes; seeds without it are left out."""
        return self._once(group, result, lambda: self._by_seed(group, result))

    def _once(self, group: Group, what: str, make: Callable[[], T]) -> T:
        """What a group has is asked for by every column and comparison, and of ten thousand seeds costs a second."""
        if (what, group) not in self._known:
            self._known[what, group] = make()
        return cast("T", self._known[what, group])

    @cached_property
    def _known(self) -> dict[tuple[str, Group], object]:
        return {}

    @cached_property
    def _chosen(self) -> dict[int, MaskRow]:
        """The mask that each run ended with."""
        return {m.run_id: m for m in self.masks if m.selected}

    def _ended(self, group: Group) -> list[ResultRow]:
        if group.until is None:
            found = (r for r in self.results if r.recipe in group.recipes)
            return [self._with_mask(r, self._chosen.get(r.run_id)) for r in found]
        runs = (run for run in self.runs if run.recipe in group.recipes)
        cut = (measured(run, self.records.get(run.id, ()), group.until) for run in runs)
        return [result for result in cut if result is not None]

    def _parted(self, group: Group) -> tuple[list[ResultRow], list[ResultRow]]:
        """Those that ended with a finite loss or train nothing, and those that diverged."""
        parted: tuple[list[ResultRow], list[ResultRow]] = [], []
        for r in self.ended(group):
            parted[self._has_diverged(r)].append(r)
        return parted

    def _whole(self, group: Group) -> dict[int, list[ResultRow]]:
        found: dict[int, dict[str, ResultRow]] = defaultdict(dict)
        for r in self.finished(group):
            found[r.seed][r.recipe] = r
        number = len({recipe for results in found.values() for recipe in results})
        return {s: list(results.values()) for s, results in sorted(found.items()) if len(results) == number}

    def _by_seed(self, group: Group, result: str) -> dict[int, float]:
        number = self._kept_share if result == "kept_share" else attrgetter(result)
        return {
            s: mean
            for s, results in self.whole(group).items()
            if not math.isnan(mean := sum(map(number, results)) / len(results))
        }

    def _kept_share(self, result: ResultRow) -> float:
        return self.kept_share(result.relative_size, self.study.covers(result.recipe))

    def _has_diverged(self, result: ResultRow) -> bool:
        return result.state == "diverged" or (
            not math.isfinite(result.final_val_loss) and self.study.recipes[result.recipe].trains == "weights"
        )

    def _with_mask(self, result: ResultRow, chosen: MaskRow | None) -> ResultRow:
        """With the untrained network's numbers, which a run that trains no weight has by its mask.

        A mask that is trained has no others: its records are of its learning, and those of weights would be of theirs.
        """
        trains = self.study.recipes[result.recipe].trains
        if chosen is None or trains == "weights":
            return result
        return result._replace(
            **(_NO_WEIGHTS if trains == "mask" else {}),
            untrained_val_loss=chosen.val_loss,
            untrained_val_accuracy=chosen.val_accuracy,
            untrained_test_accuracy=chosen.test_accuracy,
        )


_NO_WEIGHTS: dict[str, Any] = dict.fromkeys(
    (
        *("final_val_loss", "final_val_accuracy", "final_test_accuracy"),
        *("minimal_val_loss", "minimal_iteration", "minimal_test_accuracy"),
    ),
    math.nan,
)
"""What a network has not whose weights nobody trained."""


def measured(run: RunRow, records: Sequence[Metric], until: int) -> ResultRow | None:
    """What a longer training had come to at iteration `until`; None where it is not there yet."""
    seen = [m for m in records if m.iteration <= until]
    if not seen or (seen[-1].iteration < until and run.state != "diverged"):
        return None
    first, last = seen[0], seen[-1]
    finite = [m for m in seen if math.isfinite(m.val_loss)]
    best = min(finite, key=lambda m: m.val_loss, default=None)
    return ResultRow(
        run_id=run.id,
        seed=run.seed,
        recipe=run.recipe,
        hidden=run.hidden,
        state="done" if last.iteration == until and math.isfinite(last.val_loss) else "diverged",
        relative_size=math.nan if run.relative_size is None else run.relative_size,
        untrained_val_loss=first.val_loss,
        untrained_val_accuracy=first.val_accuracy,
        final_val_loss=last.val_loss,
        final_val_accuracy=last.val_accuracy,
        minimal_val_loss=best.val_loss if best else math.nan,
        minimal_iteration=float(best.iteration) if best else math.nan,
        untrained_test_accuracy=first.test_accuracy,
        final_test_accuracy=last.test_accuracy,
        minimal_test_accuracy=best.test_accuracy if best else math.nan,
    )


def cut_short(study: Study, runs: Iterable[RunRow]) -> list[int]:
    """The ids of the runs whose records even a table needs: those that a group measures before their end."""
    recipes = {name for group in study.groups if group.until is not None for name in group.recipes}
    return [run.id for run in runs if run.recipe in recipes]


def of_store(name: str, protocol: Protocol, runs: Iterable[RunRow]) -> Study:
    """The study of that name; the paper's with all dense networks of its kind that the store has.

    Raises:
        UsageError: there is none.
    """
    if name != paper.NAME:
        return studies.study(name, protocol)
    known = {(run.recipe, run.hidden) for run in runs}
    networks = {hidden for recipe, hidden in known if recipe == paper.hyperop(hidden)}
    # In which order they came into the store says nothing.
    return paper.study(protocol, tuple(sorted(networks, reverse=True)))


def own_runs(study: Study, runs: Iterable[RunRow]) -> tuple[RunRow, ...]:
    """Those of these runs that are the study's, called as it calls them, by seed and in the study's order."""
    names = {fingerprint: name for name, fingerprint in study.fingerprints().items()}
    order = {fingerprint: place for place, fingerprint in enumerate(names)}
    found = [run for run in runs if run.fingerprint in names]
    found.sort(key=lambda run: (run.protocol_id, run.seed, order[run.fingerprint]))
    return tuple(_called(run, names[run.fingerprint]) for run in found)


def _called(row: Named, name: str) -> Named:
    """The row under that name; itself where it has it, so that who looks again sees which have changed."""
    return row if row.recipe == name else row._replace(recipe=name)


def own_results(runs: Iterable[RunRow], results: Iterable[ResultRow]) -> tuple[ResultRow, ...]:
    """The results of these runs, called as they are and in their order."""
    found = {result.run_id: result for result in results}
    return tuple(_called(found[run.id], run.recipe) for run in runs if run.id in found)


def own_masks(runs: Iterable[RunRow], masks: Iterable[MaskRow]) -> tuple[MaskRow, ...]:
    """The masks of these runs, in their order."""
    order = {run.id: place for place, run in enumerate(runs)}
    found = (mask for mask in masks if mask.run_id in order)
    return tuple(sorted(found, key=lambda mask: order[mask.run_id]))  # of a run they come by amount


def load(
    store: Store,
    name: str | None = None,
    study: str = studies.DEFAULT,
    *,
    records: bool = False,
    bits: bool = False,
    checked: bool = True,
) -> Evaluation:
    """The evaluation of a study under the stored protocol of that name, id or fingerprint; by default the latest.

    A store without any protocol gives the paper's, without runs.

    Args:
        store: where from.
        name: which protocol.
        study: which study, by name or module:function.
        records: also what figures and whole documents show beside tables: every record, mask and file of the runs.
        bits: also the selected masks' bits.
        checked: whether all of the store was checked when it was opened; else it is now, as far as tables show it.

    Raises:
        StoreError: there is no such protocol, or several; what is shown is damaged.
        UsageError: there is no such study.
    """
    if name is None and not read.protocols(store):
        return Evaluation(protocol=PAPER, study=studies.study(study, PAPER), runs=(), records={})
    found = read.find_protocol(store, name)
    protocol = from_settings(found.settings, found.name)
    shown = None if checked else read.shown(store, found.id)
    if shown is None and not checked:
        schema.refuse_damage(store)
    everything, results, masks = shown or _read(store, found.id, selected=not records)
    of_study = of_store(study, protocol, everything)
    runs = own_runs(of_study, everything)
    ids = [run.id for run in runs]
    ours = set(ids)
    making = [run for run in runs if run.started_at and of_study.recipes[run.recipe].makes_mask]
    supermasks = (
        read.masks(store, found.id, run_ids=[r.id for r in making], selected=True, bits=True) if bits else ()
    )
    return Evaluation(
        protocol=protocol,
        study=of_study,
        runs=runs,
        results=own_results(runs, results),
        masks=own_masks(making, masks),
        records=read.metrics(store, ids if records else cut_short(of_study, runs)),
        supermasks=own_masks(making, supermasks),
        others=tuple(sorted({r.recipe for r in everything if r.id not in ours})),
    )


def _read(
    store: Store, protocol_id: int, *, selected: bool
) -> tuple[list[RunRow], list[ResultRow], list[MaskRow]]:
    # A sweep may write in between: what is read later holds at least what was read before.
    results = read.results(store, protocol_id)
    runs = read.runs(store, protocol_id, files=not selected)
    return runs, results, read.masks(store, protocol_id, selected=selected)


def dataset_title(protocol: Protocol) -> str:
    """The data set as a caption names it; what stands in for MNIST says so."""
    return _TITLES.get(protocol.dataset) or " ".join(protocol.dataset.split())


_TITLES = {
    "mnist": "MNIST",
    "digits": "scikit-learn's 8×8 digits, not MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "emnist": "EMNIST (balanced)",
    "emnist-letters": "EMNIST (letters)",
    "emnist-digits": "EMNIST (digits)",
    "cifar10": "CIFAR-10",
}

"""Everything of one protocol that a report says something about, read once, as frozen values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.protocol import PAPER, from_settings
from ltsm.store import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ltsm.protocol import Kind, Protocol
    from ltsm.store.engine import Store
    from ltsm.store.values import MaskRow, Metric, ResultRow, RunRow


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One protocol's runs and results.

    `records` and `supermasks` (the selected masks with their bits) are only filled where asked for;
    `masks` come without bits.
    """

    protocol: Protocol
    runs: tuple[RunRow, ...]
    results: tuple[ResultRow, ...]
    masks: tuple[MaskRow, ...]
    records: Mapping[int, list[Metric]]
    supermasks: tuple[MaskRow, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that has a run, finished or not."""
        return tuple(sorted({run.seed for run in self.runs}))

    @property
    def hyperops(self) -> tuple[tuple[int, ...], ...]:
        """Hidden sizes of the dense networks: the protocol's, then any others in the store."""
        stored = (run.hidden for run in self.runs if run.kind == "hyperop")
        return tuple(dict.fromkeys([*self.protocol.hyperops, *stored]))

    @property
    def comparable(self) -> bool:
        """Whether the results are on the paper's data: losses on other images are no measure for its, nor its for them."""
        return self.protocol.dataset == PAPER.dataset

    @property
    def other_settings(self) -> tuple[str, ...]:
        """The settings in which the protocol is not the paper's."""
        ours = self.protocol.settings()
        return tuple(name for name, value in PAPER.settings().items() if ours[name] != value)

    def finished(self, kind: Kind, hidden: tuple[int, ...] | None = None) -> list[ResultRow]:
        """Results of the runs that ended with a finite loss, by seed."""
        found = self.trained(kind, hidden)
        return [r for r in found if r.state == "done" and math.isfinite(r.final_val_loss)]

    def diverged(self, kind: Kind, hidden: tuple[int, ...] | None = None) -> list[ResultRow]:
        """Results of the runs whose loss was no finite number any more, by seed."""
        found = self.trained(kind, hidden)
        return [r for r in found if r.state == "diverged" or not math.isfinite(r.final_val_loss)]

    def trained(self, kind: Kind, hidden: tuple[int, ...] | None = None) -> list[ResultRow]:
        """Results of the runs that have ended, diverged or not, by seed."""
        return [r for r in self.results if r.kind == kind and hidden in {None, r.hidden}]


def load(store: Store, name: str | None, *, records: bool = False, bits: bool = False) -> Evaluation:
    """The evaluation of the stored protocol of that name, id or fingerprint; by default the latest.

    A store without any protocol gives the paper's, without runs.

    Args:
        store: where from.
        name: which protocol.
        records: read the runs' records too.
        bits: read the supermasks' bits too.

    Raises:
        StoreError: there is no such protocol, or several.
    """
    if name is None and not read.protocols(store):
        return Evaluation(PAPER, (), (), (), {}, ())
    found = read.find_protocol(store, name)
    # A sweep may write in between: what is read later holds at least what was read before.
    results = read.results(store, found.id)
    runs = read.runs(store, found.id)
    protocol = from_settings(found.settings, found.name)
    masks = read.masks(store, found.id)
    chosen = [read.selected_mask(store, m.run_id) for m in masks if m.selected] if bits else []
    return Evaluation(
        protocol,
        tuple(runs),
        tuple(results),
        tuple(masks),
        read.metrics(store, [run.id for run in runs]) if records else {},
        tuple(mask for mask in chosen if mask is not None),
    )


def run_name(kind: Kind, hidden: tuple[int, ...], baseline: tuple[int, ...]) -> str:
    """A kind of network as Table 1 calls it: `Hyperop (200, 30) [baseline]`."""
    if kind != "hyperop":
        return {"initial": "Initial training", "baseline": "Baseline", "ticket": "Lottery ticket"}[kind]
    sizes = ", ".join(map(str, hidden))
    return f"Hyperop ({sizes})" + (" [baseline]" if hidden == baseline else "")


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

"""Runs with the numbers that lists show beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ltsm.store.values import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ltsm.store.engine import Store
    from ltsm.store.values import MaskRow, RunRow

_NAN: Final = float("nan")
NOTHING: Final = Metric(0, _NAN, _NAN, _NAN)
"""The record of a run of which nothing has been measured yet."""


class Listed(NamedTuple):
    """A run and what was measured of it last: its last record, or of a run that trains nothing its mask's."""

    run: RunRow
    last: Metric = NOTHING

    @property
    def loss(self) -> float:
        """Validation loss; NaN where there is no finite one."""
        return self.last.val_loss

    @property
    def accuracy(self) -> float:
        """Validation accuracy, 0 to 1; NaN where none was measured."""
        return self.last.val_accuracy


def listed(
    runs: Iterable[RunRow], latest: Mapping[int, Metric], masks: Mapping[int, MaskRow]
) -> list[Listed]:
    """These runs with their last record and, where they have none, their mask's numbers; both by the run's id."""
    return [Listed(run, latest.get(run.id) or _of_mask(masks.get(run.id))) for run in runs]


def load(store: Store, runs: Sequence[RunRow]) -> list[Listed]:
    """These runs, of whatever protocols, with what the store has of them."""
    from ltsm.store import read  # it brings SQLAlchemy, and whoever has the values at hand needs none

    ids: dict[int, list[int]] = {}
    for run in runs:
        ids.setdefault(run.protocol_id, []).append(run.id)
    masks = {
        mask.run_id: mask
        for protocol_id, of_it in ids.items()
        for mask in read.masks(store, protocol_id, run_ids=of_it, selected=True)
    }
    return listed(runs, read.latest(store, [run.id for run in runs]), masks)


def _of_mask(mask: MaskRow | None) -> Metric:
    if mask is None:
        return NOTHING
    return Metric(0, _NAN, mask.val_loss, mask.val_accuracy, mask.test_loss, mask.test_accuracy)

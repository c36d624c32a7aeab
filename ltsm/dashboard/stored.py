"""Which studies a store has, of those that are known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.report.evaluation import of_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ltsm.protocol import Protocol
    from ltsm.store.values import RunRow
    from ltsm.studies.study import Study


def stored_studies(
    names: Iterable[str], asked: str | None, protocol: Protocol, runs: Sequence[RunRow]
) -> dict[str, Study]:
    """Those of these studies of which the runs have every recipe, or else the one of which they have most; and `asked`."""
    stored = {run.fingerprint for run in runs}
    studies = {
        name: of_store(name, protocol, runs) for name in dict.fromkeys([*names, *([asked] if asked else [])])
    }
    has = {
        name: len(stored.intersection(s.fingerprints().values())) / len(s.recipes)
        for name, s in studies.items()
    }
    shown = {max(has, key=lambda name: has[name]), asked}
    return {name: study for name, study in studies.items() if has[name] == 1 or name in shown}


def changed_last(studies: Mapping[str, Study], runs: Iterable[RunRow]) -> str:
    """The study of the run that changed last; of several that have it, the one of the next, and at last the first."""
    newest: dict[str, datetime] = {}
    for run in runs:
        newest[run.fingerprint] = max(run.updated_at, newest.get(run.fingerprint, run.updated_at))

    def changed(name: str) -> list[datetime]:
        return sorted((newest[f] for f in studies[name].fingerprints().values() if f in newest), reverse=True)

    return max(studies, key=changed)

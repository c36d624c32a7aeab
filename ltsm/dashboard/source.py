"""The dashboard's only door to the store. Everything here reads, and belongs into a worker thread."""

from __future__ import annotations

from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from ltsm.dashboard.moment import Choice, Moment
from ltsm.dashboard.stored import Kept, changed_last, stored_studies
from ltsm.errors import LtsmError, StoreError, explained
from ltsm.protocol import from_settings
from ltsm.report import all as reports
from ltsm.report import listing
from ltsm.report.evaluation import Evaluation, cut_short, own_results, own_runs
from ltsm.report.measure import LOSS, Measure
from ltsm.report.paired import against_reference
from ltsm.report.table import FINAL_ACCURACY, FINAL_LOSS
from ltsm.store import read, schema
from ltsm.store.claim import holder
from ltsm.store.values import FINISHED
from ltsm.studies.all import STUDIES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ltsm.dashboard.pins import Pin
    from ltsm.report.listing import Listed
    from ltsm.report.paired import Comparison
    from ltsm.report.table import Table
    from ltsm.store.engine import Store
    from ltsm.store.values import File, Holder, MaskRow, Metric, ProtocolRow, RunRow
    from ltsm.studies.study import Study


class Looker(Protocol):
    """Who looks: the app, by what its screens and widgets need of it."""

    moment: Moment | None
    problem: LtsmError | None
    time: datetime
    pins: tuple[Pin, ...]

    @property
    def source(self) -> Source:
        """The store that is shown, once there is a look at it."""


class _Seen(NamedTuple):
    """All that a new look is worth for: two equal ones show the same store."""

    counter: tuple[int, int]
    holder: Holder | None
    choice: Choice


V = TypeVar("V")
_MOST_AGAIN = 200
"""When more runs than these have changed, all are read again."""


class Source:
    """A store that may be missing, appear, change, be replaced and vanish while it is looked at.

    Methods may be called from several threads; one at a time reads. Whatever is wrong with the store
    comes as an LtsmError, and the next call starts anew.

    Args:
        path: the SQLite file.
        choice: which protocol and study of it.
    """

    def __init__(self, path: Path, choice: Choice = Choice()) -> None:  # noqa: B008 - a value
        self.path = path
        self.choice = choice
        self._own = [choice.study] if choice.study and choice.study not in STUDIES else []
        self._lock = RLock()
        self._store: Store | None = None
        self._file: tuple[int, int, int] | None = None
        self._seen: _Seen | None = None
        self.kept = Kept()
        self.beside: Mapping[Path, Source] = {}

    def of(self, path: Path) -> Source:
        """The source of another store that is looked at beside this one."""
        return self.beside.get(path, self)

    def look(self) -> Moment | None:
        """What the store holds now, or None if that is what the last look gave."""
        with self._lock, read.uncollected():
            try:
                return self._look()
            except LtsmError:
                self.close()
                raise

    def records(self, runs: Sequence[RunRow]) -> dict[int, list[Metric]]:
        """Each run's records; only those of runs that changed are read again."""
        with self._lock:
            found = self.kept.each("records", _stamps(runs), lambda ids: read.metrics(self._opened(), ids))
            return {run_id: records or [] for run_id, records in found.items()}

    def points(self, runs: Sequence[RunRow], measure: str) -> dict[int, list[tuple[float, float]]]:
        """One column of each run's records, by iteration: a fifth of what all columns of many runs take."""
        with self._lock:
            found = self.kept.each(
                f"points of {measure}", _stamps(runs), lambda ids: read.points(self._opened(), ids, measure)
            )
            return {run_id: points or [] for run_id, points in found.items()}

    def masks(self, moment: Moment, runs: Sequence[RunRow]) -> dict[int, list[MaskRow]]:
        """The masks of each of these runs that has any, by amount."""
        with self._lock:
            found = self.kept.each("masks", _stamps(runs), lambda ids: self._masks(moment.protocol_id, ids))
            return {run_id: masks for run_id, masks in found.items() if masks}

    def listed(self, moment: Moment) -> list[Listed]:
        """The runs with what was measured of them last."""
        begun = _stamps(run for run in moment.runs if run.started_at)
        with self._lock:
            found = self.kept.each("latest", begun, lambda ids: read.latest(self._opened(), ids))
        return listing.listed(moment.runs, found, moment.masks)

    def files(self, run: RunRow) -> tuple[File, ...]:
        """A run's files, which no look reads: of a large store they would be most of what it keeps."""
        with self._lock:
            found = read.runs(self._opened(), ids=[run.id], alive=True)
            return found[0].files if found else ()

    def table(self, moment: Moment, measure: Measure = LOSS) -> Table:
        """The study's table of everything that has ended; made again once something else has."""
        return self._once(("table", measure), moment, lambda found: reports.table(found, measure))

    def differences(self, moment: Moment, measure: Measure) -> Comparison:
        """The study's reference minus each other group in their final loss or accuracy, paired by seed."""
        column = FINAL_LOSS if measure == LOSS else FINAL_ACCURACY
        return self._once(("differences", column), moment, lambda found: against_reference(found, column))

    def close(self) -> None:
        """Give the store back."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = self._seen = None

    def _look(self) -> Moment | None:
        store = self._opened()
        schema.version(store)  # a newer ltsm may have upgraded it by now
        seen = _Seen(read.change_counter(store), holder(self.path), self.choice)
        if seen == self._seen:
            return None
        moment = self._moment(store, seen)
        self._seen = seen
        return moment

    def _opened(self) -> Store:
        """The store, opened again if the path names another file by now, or one that was written over."""
        file = _file(self.path)
        if self._store is None or file != self._file:
            self.close()
            if file is None or self._file is None or file[:2] != self._file[:2]:
                self.kept = Kept()
            self._store, self._file = schema.open_for_reading(self.path, unchecked=True), file
        return self._store

    def _moment(self, store: Store, seen: _Seen) -> Moment:
        row, alive = read.find_protocol(store, seen.choice.protocol), seen.holder is not None
        protocols = tuple(read.protocols(store))
        everything = {p.id: self._runs(store, p.id, alive=alive) for p in protocols}
        known = {p.id: self._studies(p, everything[p.id]) for p in protocols}
        asked = seen.choice.study or changed_last(known[row.id], everything[row.id])
        study = known[row.id][asked]
        runs = own_runs(study, everything[row.id])
        if not runs and seen.choice.study is None:
            self._refuse_unknown(everything[row.id])
        making = _stamps(run for run in runs if run.started_at and study.recipes[run.recipe].makes_mask)
        masks = self.kept.each("selected", making, lambda ids: self._masks(row.id, ids, selected=True))
        going = [run.id for run in runs if run.started_at and run.state not in FINISHED]
        return Moment(
            path=self.path,
            protocols=protocols,
            protocol_id=row.id,
            protocol=_protocol(row, runs),
            study=study,
            asked=asked,
            stored={protocol_id: tuple(studies) for protocol_id, studies in known.items()},
            everything=everything,
            runs=runs,
            latest=read.latest(store, going) if going else {},
            masks={run_id: found[0] for run_id, found in masks.items() if found},
            holder=seen.holder,
        )

    def _studies(self, row: ProtocolRow, runs: Sequence[RunRow]) -> dict[str, Study]:
        of = (self.choice.study, frozenset(run.fingerprint for run in runs))
        make = partial(stored_studies, (*STUDIES, *self._own), self.choice.study, _protocol(row), runs)
        return self.kept.one(("studies", row.id), of, make)

    def _refuse_unknown(self, runs: Iterable[RunRow]) -> None:
        """Runs of a study that has to be named, as whoever made them named it."""
        for run in runs:
            name = run.provenance.get("study") or "MODULE:FUNCTION"
            why = f"the store {self.path} holds runs of no study that is known here."
            raise StoreError(why, f"ltsm dashboard {name}")

    def _runs(self, store: Store, protocol_id: int, *, alive: bool) -> list[RunRow]:
        """All runs, by seed and id; only those that changed are read again, and the others are the same values."""

        def again(ids: list[int]) -> dict[int, RunRow]:
            few = ids if len(ids) <= _MOST_AGAIN else None
            found = read.runs(store, protocol_id, ids=few, alive=alive, files=False)
            return {run.id: run for run in found}

        found = self.kept.each("run", read.stamps(store, protocol_id, alive=alive), again)
        # One that was taken away in between is None.
        return sorted(filter(None, found.values()), key=lambda run: (run.seed, run.id))

    def _masks(
        self, protocol_id: int, run_ids: Sequence[int], *, selected: bool = False
    ) -> dict[int, list[MaskRow]]:
        found: dict[int, list[MaskRow]] = {}
        for mask in read.masks(self._opened(), protocol_id, run_ids=run_ids, selected=selected):
            found.setdefault(mask.run_id, []).append(mask)
        return found

    def _ended(self, moment: Moment) -> Hashable:
        """What a table is made of: another one once something else has ended."""
        ended = [run for run in moment.runs if run.state in {*FINISHED, "failed"}]
        stamps = tuple(_stamps([*ended, *_measured(moment)]).items())
        return (moment.asked, moment.protocol_id, len(moment.runs), stamps)

    def _evaluation(self, moment: Moment) -> Evaluation:
        return Evaluation(
            protocol=moment.protocol,
            study=moment.study,
            runs=moment.runs,
            results=own_results(moment.runs, read.results(self._opened(), moment.protocol_id)),
            masks=tuple(moment.masks.values()),
            records=self.records(_measured(moment)),
        )

    def _once(self, key: Hashable, moment: Moment, make: Callable[[Evaluation], V]) -> V:
        """What is made of everything that has ended; made again once something else has."""
        with self._lock:
            return self.kept.one(key, self._ended(moment), lambda: make(self._evaluation(moment)))


def _measured(moment: Moment) -> list[RunRow]:
    """The runs of which even a table needs the records."""
    short = {*cut_short(moment.study, moment.runs)}
    return [run for run in moment.runs if run.id in short]


def _stamps(runs: Iterable[RunRow]) -> dict[int, object]:
    return {run.id: run.updated_at for run in runs}


def _protocol(row: ProtocolRow, runs: Iterable[RunRow] = ()) -> Any:
    return from_settings(row.settings, row.name, tuple(dict.fromkeys(run.seed for run in runs)) or (0,))


def _file(path: Path) -> tuple[int, int, int] | None:
    """Which file a path names, and when it was written to: device, inode, nanoseconds."""
    with explained(StoreError, f"cannot read the store {path}", "choose another with --store FILE"):
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
    return status.st_dev, status.st_ino, status.st_mtime_ns

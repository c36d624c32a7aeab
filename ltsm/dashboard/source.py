"""The dashboard's only door to the store. Everything here reads, and belongs into a worker thread."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from ltsm.dashboard import moment as now
from ltsm.dashboard.moment import Moment
from ltsm.errors import LtsmError, StoreError
from ltsm.protocol import from_settings
from ltsm.report.evaluation import Evaluation
from ltsm.report.table1 import table_1
from ltsm.store import read, schema
from ltsm.store.claim import holder
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from ltsm.dashboard.curve_groups import Lines
    from ltsm.report.table1 import Table
    from ltsm.store.engine import Store
    from ltsm.store.values import Holder, MaskRow, Metric, RunRow

    _Key = tuple[tuple[int, datetime], ...]


class _File(NamedTuple):
    """Which file a path names: another one once it was replaced, or written over."""

    device: int
    inode: int
    changed: int


class _Files(NamedTuple):
    """What a look costs next to nothing to see: the store's file, its log, and who writes to them."""

    store: _File | None
    log: _File | None
    holder: Holder | None


class _Seen(NamedTuple):
    """All that a new look is worth for: two equal ones show the same store."""

    counter: tuple[int, int]
    holder: Holder | None
    protocol: str | None
    checked: bool


class _Verdict(NamedTuple):
    """What came of checking a file from end to end."""

    file: _File
    damage: StoreError | None

    def holds(self, file: _File | None) -> bool:
        """Whether it still says something of that file.

        A sound one stays sound while a sweep writes to it, who checks it as well; a damaged one may be mended.
        """
        return file is not None and (file == self.file or (self.damage is None and file[:2] == self.file[:2]))


class _Runs(NamedTuple):
    """The runs read last: of which protocol, whether somebody wrote to them, when each changed, and they themselves."""

    protocol_id: int
    alive: bool
    stamps: dict[int, str]
    runs: dict[int, RunRow]


_MOST_AGAIN = 200
"""When more runs than these have changed, all are read again."""


class Source:
    """A store that may be missing, appear, change, be replaced and vanish while it is looked at.

    Methods may be called from several threads; one at a time reads. Whatever is wrong with the store
    comes as an LtsmError, and the next call starts anew.

    Args:
        path: the SQLite file.
        protocol: which of its protocols, by name or id; None: the one whose runs changed last.
    """

    def __init__(self, path: Path, protocol: str | None = None) -> None:
        self.path = path
        self.protocol = protocol
        self._lock = Lock()
        self._store: Store | None = None
        self._file: _File | None = None
        self._seen: _Seen | None = None
        self._files: list[_Files] = []
        self._verdict: _Verdict | None = None
        self._runs: _Runs | None = None
        self._supermasks: tuple[_Key, dict[int, MaskRow]] = ((), {})
        # Kept when the store is opened again: another store's run of the same id has another moment.
        self._records: dict[int, tuple[datetime, list[Metric]]] = {}
        self._masks: tuple[_Key, list[MaskRow]] = ((), [])
        self.curves: dict[str, tuple[object, Lines]] = {}
        """What was drawn last of each group of runs, and of what; for the thread that asks."""
        self._table: tuple[tuple[int, _Key], Table] | None = None

    def look(self) -> Moment | None:
        """What the store holds now, or None if that is what the last look gave.

        Of a file not seen before the moment says that it is unchecked, until `check` has been called.
        """
        with self._lock:
            try:
                return self._look()
            except LtsmError:
                self._close()
                raise

    def check(self) -> None:
        """Compare the file with its seals from end to end; the next look says what came of it.

        It takes seconds in a store of a thousand seeds, during which others may look.
        """
        file, damage = _file(self.path), None
        try:
            schema.open_for_reading(self.path).close()
        except StoreError as error:
            damage = error
        if file is not None:
            self._verdict = _Verdict(file, damage)

    def records(self, runs: Sequence[RunRow]) -> dict[int, list[Metric]]:
        """Each run's records; only those of runs that changed are read again."""
        with self._lock:
            known = self._records
            stale = [run for run in runs if run.id not in known or known[run.id][0] != run.updated_at]
            if stale:
                found = read.metrics(self._opened(), [run.id for run in stale])
                known.update({run.id: (run.updated_at, found.get(run.id, [])) for run in stale})
            return {run.id: known[run.id][1] for run in runs}

    def masks(self, moment: Moment) -> list[MaskRow]:
        """Every masked network of the protocol shown, by seed and threshold; read again once there are others."""
        key = tuple((run.id, run.updated_at) for run in moment.runs if run.kind == "baseline")
        with self._lock:
            if self._masks[0] != key:
                self._masks = (key, read.masks(self._opened(), moment.protocol_id))
            return self._masks[1]

    def table_1(self, moment: Moment) -> Table:
        """Table 1 of everything that is finished; made again once something else is."""
        key = tuple((run.id, run.updated_at) for run in moment.runs if run.state in {*FINISHED, "failed"})
        with self._lock:
            if self._table is None or self._table[0] != (len(moment.runs), key):
                results = tuple(read.results(self._opened(), moment.protocol_id))
                table = table_1(Evaluation(moment.protocol, moment.runs, results, (), {}, ()))
                self._table = ((len(moment.runs), key), table)
            return self._table[1]

    def close(self) -> None:
        """Give the store back."""
        with self._lock:
            self._close()

    def _look(self) -> Moment | None:
        store = self._opened()
        files = _Files(self._file, _file(self.path.with_name(f"{self.path.name}-wal")), holder(self.path))
        checked = self._verdict is not None
        # Two commits may have the same moment, so files are known only from the second look on that finds them so.
        quiet, self._files = self._files[-2:] == [files, files], [*self._files[-1:], files]
        if quiet and self._seen is not None and self._seen[1:] == (files.holder, self.protocol, checked):
            return None
        return self._changes(store)

    def _changes(self, store: Store) -> Moment | None:
        schema.version(store)  # a newer ltsm may have upgraded it by now
        seen = _Seen(read.change_counter(store), holder(self.path), self.protocol, self._verdict is not None)
        if seen == self._seen:
            return None
        moment = self._read(store, seen)
        self._seen = seen
        return moment

    def _opened(self) -> Store:
        """The store, opened again if the path names another file by now, or one that was written over.

        Raises:
            StoreError: a check found it damaged.
        """
        file = _file(self.path)
        if self._verdict is not None and not self._verdict.holds(file):
            self._verdict = None
        if self._verdict is not None and self._verdict.damage is not None:
            raise self._verdict.damage
        if self._store is None or file != self._file:
            self._close()
            self._store, self._file = schema.open_for_reading(self.path, unchecked=True), file
        return self._store

    def _read(self, store: Store, seen: _Seen) -> Moment:
        row = read.find_protocol(store, self.protocol)
        runs = self._runs_now(store, row.id, alive=seen.holder is not None)
        seeds = tuple(dict.fromkeys(run.seed for run in runs))
        return Moment(
            path=self.path,
            protocols=tuple(read.protocols(store)),
            protocol_id=row.id,
            protocol=from_settings(row.settings, row.name, seeds or (0,)),
            runs=tuple(runs),
            latest=read.latest(store, [run.id for run in now.running(runs)]),
            supermasks=self._supermasks_now(store, row.id, runs),
            holder=seen.holder,
            checked=seen.checked,
        )

    def _runs_now(self, store: Store, protocol_id: int, *, alive: bool) -> list[RunRow]:
        """All runs, by seed and id; only those that changed are read again, and the others are the same values."""
        stamps, known = read.stamps(store, protocol_id), self._runs
        changed = None
        if known is not None and (known.protocol_id, known.alive) == (protocol_id, alive):
            changed = [run_id for run_id, stamp in stamps.items() if known.stamps.get(run_id) != stamp]
        if known is None or changed is None or len(changed) > _MOST_AGAIN:
            runs = {run.id: run for run in read.runs(store, protocol_id)}
        else:
            again = {run.id: run for run in read.runs(store, protocol_id, ids=changed)} if changed else {}
            # One that was added and taken away again in between is in neither.
            found = ((run_id, again.get(run_id) or known.runs.get(run_id)) for run_id in stamps)
            runs = {run_id: run for run_id, run in found if run is not None}
        self._runs = _Runs(protocol_id, alive, stamps, runs)
        return sorted(runs.values(), key=lambda run: (run.seed, run.id))

    def _supermasks_now(self, store: Store, protocol_id: int, runs: Sequence[RunRow]) -> dict[int, MaskRow]:
        key = tuple((run.id, run.updated_at) for run in runs if run.kind == "baseline")
        if self._supermasks[0] != key:
            found = read.masks(store, protocol_id, selected=True)
            self._supermasks = (key, {mask.seed: mask for mask in found})
        return self._supermasks[1]

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = self._file = self._seen = self._runs = None
        self._files = []


def _file(path: Path) -> _File | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            f"cannot read the store {path}: {error.strerror}.", "choose another with --store FILE"
        ) from None
    return _File(status.st_dev, status.st_ino, status.st_mtime_ns)

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

    from ltsm.report.table1 import Table
    from ltsm.store.engine import Store
    from ltsm.store.values import Holder, MaskRow, Metric, RunRow

    _Key = tuple[tuple[int, datetime], ...]


class _File(NamedTuple):
    """Which file a path names: another one once it was replaced, or written over."""

    device: int
    inode: int
    changed: int


class _Seen(NamedTuple):
    """All that a new look is worth for: two equal ones show the same store."""

    counter: tuple[int, int]
    holder: Holder | None
    protocol: str | None


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
        # Kept when the store is opened again: another store's run of the same id has another moment.
        self._records: dict[int, tuple[datetime, list[Metric]]] = {}
        self._masks: tuple[_Key, list[MaskRow]] = ((), [])
        self._table: tuple[tuple[int, _Key], Table] | None = None

    def look(self) -> Moment | None:
        """What the store holds now, or None if that is what the last look gave."""
        with self._lock:
            try:
                return self._look()
            except LtsmError:
                self._close()
                raise

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
        schema.version(store)  # a newer ltsm may have upgraded it by now
        seen = _Seen(read.change_counter(store), holder(self.path), self.protocol)
        if seen == self._seen:
            return None
        moment = self._read(store, seen.holder)
        self._seen = seen
        return moment

    def _opened(self) -> Store:
        """The store, opened again if the path names another file by now, or one that was written over.

        Another file is checked from end to end. One that only changed is not: a sweep's own checkpoints
        change it every few seconds, and a check reads all of it.
        """
        file = _file(self.path)
        if self._store is None or file != self._file:
            known = file is not None and self._file is not None and file[:2] == self._file[:2]
            self._close()
            self._store, self._file = schema.open_for_reading(self.path, unchecked=known), file
        return self._store

    def _read(self, store: Store, holder: Holder | None) -> Moment:
        row = read.find_protocol(store, self.protocol)
        runs = read.runs(store, row.id)
        seeds = tuple(dict.fromkeys(run.seed for run in runs))
        return Moment(
            path=self.path,
            protocols=tuple(read.protocols(store)),
            protocol_id=row.id,
            protocol=from_settings(row.settings, row.name, seeds or (0,)),
            runs=tuple(runs),
            latest=read.latest(store, [run.id for run in now.running(runs)]),
            supermasks={mask.seed: mask for mask in read.masks(store, row.id, selected=True)},
            holder=holder,
        )

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = self._file = self._seen = None


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

"""`ltsm.open`: a store's results in Python, to look at and never to change; a sweep may go on meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ltsm.errors import LtsmError
from ltsm.grammar import STORE
from ltsm.report import all as reports
from ltsm.report import choice, evaluation, records
from ltsm.report.choice import Choice
from ltsm.report.records import CurveRecord, MaskRecord, ProtocolRecord, RunRecord, TableRecord
from ltsm.store import schema
from ltsm.store.engine import store_path
from ltsm.studies.all import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import pandas as pd

    from ltsm.store.engine import Store

Record = TypeVar("Record", bound=NamedTuple)


class Records(list[Record], Generic[Record]):
    """A list of plain records, named tuples all of one kind, which pandas takes as a data frame."""

    def __init__(self, kind: type[Record], found: Iterable[Record]) -> None:
        super().__init__(found)
        self.kind = kind

    def frame(self) -> pd.DataFrame:
        """The same as a pandas data frame, a column for each of the records' names, also where there are none.

        Raises:
            LtsmError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise LtsmError("data frames need pandas.", "pip install 'pandas>=2.2'") from error
        return pd.DataFrame.from_records(self, columns=list(self.kind._fields))


class Results:
    """An open store, read only. `with ltsm.open(…) as results:` closes it; so does `close`.

    The methods that take runs share their arguments:

    - `where`: a filter as in the dashboard, `"kind:ticket loss<0.1"`; empty: all runs.
    - `protocol`: one of the store's, by name, number or start of its fingerprint; None: all of them.
    - `study`: only runs of that study, by name or module:function.
    - `recipe`: only runs of this recipe, or of these, by their whole names.
    - `seed`: only this one, or these.

    Each call reads the store as it is then. A protocol, study or recipe that there is not, and a filter that is none,
    raise an `LtsmError`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._store.path

    def protocols(self) -> Records[ProtocolRecord]:
        """Every protocol, the oldest first, with how much of it is done."""
        return Records(ProtocolRecord, records.protocols(self._store))

    def runs(
        self,
        where: str = "",
        *,
        protocol: str | int | None = None,
        study: str | None = None,
        recipe: str | Iterable[str] = (),
        seed: int | Iterable[int] = (),
    ) -> Records[RunRecord]:
        """Each run with its state, size and losses."""
        chosen = self._chosen(where, protocol, study, recipe, seed)
        return Records(RunRecord, records.runs(self._store, chosen))

    def curves(
        self,
        where: str = "",
        *,
        protocol: str | int | None = None,
        study: str | None = None,
        recipe: str | Iterable[str] = (),
        seed: int | Iterable[int] = (),
    ) -> Records[CurveRecord]:
        """What was recorded of each run, in order of iteration: losses and accuracies."""
        chosen = self._chosen(where, protocol, study, recipe, seed)
        return Records(CurveRecord, records.curves(self._store, chosen))

    def masks(
        self,
        where: str = "",
        *,
        protocol: str | int | None = None,
        study: str | None = None,
        recipe: str | Iterable[str] = (),
        seed: int | Iterable[int] = (),
        bits: bool = False,
    ) -> Records[MaskRecord]:
        """Each masked network, untrained; with `bits` also which parameters it keeps.

        `numpy.unpackbits(numpy.frombuffer(record.bits, "uint8"))[:parameters]` gives those as 0 and 1, in the order of
        the weights file.
        """
        chosen = self._chosen(where, protocol, study, recipe, seed)
        return Records(MaskRecord, records.masks(self._store, chosen, bits=bits))

    def table(self, study: str = DEFAULT, *, protocol: str | int | None = None) -> Records[TableRecord]:
        """The cells of a study's table, as `ltsm report` prints it; by default of the protocol that changed last.

        Raises:
            LtsmError: there is no such study or protocol.
        """
        found = evaluation.load(self._store, None if protocol is None else str(protocol), study)
        return Records(TableRecord, records.table(reports.table(found)))

    def close(self) -> None:
        """Give the file back."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        names = ", ".join(f"{p.name} ({p.finished} of {p.runs} runs done)" for p in self.protocols())
        return f"<ltsm.open({str(self.path)!r}): {names or 'no runs yet'}>"

    def _chosen(
        self,
        where: str,
        protocol: str | int | None,
        study: str | None,
        recipe: str | Iterable[str],
        seed: int | Iterable[int],
    ) -> list[choice.Chosen]:
        wanted = Choice(
            text=where,
            protocol=None if protocol is None else str(protocol),
            study=study,
            recipes=(recipe,) if isinstance(recipe, str) else tuple(recipe),
            seeds=frozenset((seed,) if isinstance(seed, int) else seed),
        )
        return choice.chosen(self._store, wanted)


def open(store: str | Path = STORE) -> Results:  # noqa: A001 - as ltsm.open, beside open
    """Open a store of results for reading, also while a sweep writes to it.

    Args:
        store: the SQLite file, or the folder that has it as `ltsm.db`.

    Raises:
        StoreError: there is none; it is damaged, foreign, or made by another version of ltsm.
        UsageError: the path cannot be one.
    """
    path = store_path(store)
    return Results(schema.open_for_reading(path / "ltsm.db" if path.is_dir() else path))

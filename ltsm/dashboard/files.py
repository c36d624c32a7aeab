"""Tables and pictures leave the dashboard: as CSV, as tab-separated text, under a name not yet taken."""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from ltsm.dashboard.widgets.columns import is_missing
from ltsm.errors import LtsmError, explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ltsm.dashboard.widgets.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Table:
    """Titles, rows of plain values, and the row with the cursor."""

    titles: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    here: Sequence[Any] | None = field(default=None)


def of_sheet(sheet: Sheet[Any]) -> Table:
    """The values of a sheet's rows, as exact as they are known, deviations beside their means."""
    columns: list[tuple[str, Callable[[Any], Any]]] = []
    for column in sheet.columns:
        title = column.title.replace("\n", " ")
        columns.append((title, column.value))
        if column.deviation is not None:
            columns.append((f"{title} ±", column.deviation))

    def plain(row: Any) -> list[Any]:
        return [value(row) for _, value in columns]

    titles = [title for title, _ in columns]
    here = sheet.current
    return Table(titles, [plain(row) for row in sheet.rows], None if here is None else plain(here))


def csv_text(table: Table) -> str:
    """The table as CSV; missing numbers are empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.titles, *(_plain(row) for row in table.rows)])
    return text.getvalue()


def tabbed(rows: Iterable[Sequence[Any]]) -> str:
    """Rows for a spreadsheet's clipboard."""
    return "\n".join("\t".join(map(str, _plain(row))) for row in rows)


def _plain(row: Sequence[Any]) -> list[Any]:
    return ["" if is_missing(value) else value for value in row]


def stem(*parts: str) -> str:
    """A file's name of such parts, without anything that a shell or a file system might mind."""
    return "-".join(re.sub(r"[^\w.=]+", "-", part).strip("-.") for part in ("ltsm", *parts))


def write(folder: Path, name: str, ending: str, content: str) -> Path:
    """Write to `name.ending` in the folder, or `name-2.ending` if there is one, …; returns the path.

    Raises:
        LtsmError: the folder cannot be written.
    """
    for number in count(1):
        path = folder / f"{name}{'' if number == 1 else f'-{number}'}{ending}"
        hint = "start the dashboard elsewhere"
        with explained(LtsmError, f"cannot write {path}", hint), suppress(FileExistsError):
            with path.open("x", encoding="utf-8") as file:
                file.write(content)
            return path
    raise AssertionError  # pragma: no cover - numbers do not end

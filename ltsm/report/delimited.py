"""A study's table as CSV: one line a row, plain numbers, an empty field where there is none."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltsm.report.statistics import Summary
    from ltsm.report.table import Row, Table


def of_table(table: Table, *, against_paper: bool) -> str:
    """The table in full precision: label, category, n, seeds left out, then mean and sd of each column.

    With `against_paper` also the published mean and sd and p of Welch's test, per column.
    """
    text = io.StringIO()
    parts = ("mean", "sd", "published_mean", "published_sd", "welch_p")[: 5 if against_paper else 2]
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{column.name}_{part}" for column in table.columns for part in parts]
    writer.writerow(["label", "category", "n", "diverged_seeds", *columns])
    writer.writerows(_line(row, against_paper=against_paper) for row in table.rows)
    return text.getvalue()


def _line(row: Row, *, against_paper: bool) -> list[str]:
    line = [row.label, row.category or "", str(row.n), " ".join(map(str, row.diverged))]
    for cell in row.cells:
        line += _pair(cell.ours)
        if against_paper:
            line += [*_pair(cell.theirs), _number(cell.p)]
    return line


def _pair(value: Summary | None) -> list[str]:
    return ["", ""] if value is None else [_number(value.mean), _number(value.sd)]


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""

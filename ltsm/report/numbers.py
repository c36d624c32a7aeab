"""The report as plain JSON values; `report.schema.json` beside this file is its contract.

`version` goes up with every change that could break a reader; added fields do not. Numbers are in full
precision and in the printed units (sizes and accuracies in per cent); null stands where there is no number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltsm.notation import plain
from ltsm.report.evaluation import dataset_title
from ltsm.report.provenance import WEIGHTS, origins
from ltsm.report.statistics import welch

if TYPE_CHECKING:
    from ltsm.report.contents import Contents
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.paired import Comparison
    from ltsm.report.statistics import Summary
    from ltsm.report.table import Row
    from ltsm.store.values import RunRow

VERSION = 2


def report(found: Contents) -> dict[str, Any]:
    """Everything that a document says, and every run."""
    evaluation, table = found.evaluation, found.table
    return {
        "schema": "ltsm-report",
        "version": VERSION,
        "study": {"name": evaluation.study.name, "title": evaluation.study.title},
        "protocol": protocol(evaluation),
        "seeds": list(evaluation.seeds),
        "finding": plain(found.claims),
        "table": {
            "title": table.title,
            "caption": table.caption,
            "notes": list(table.notes),
            "rows": [_row(evaluation, row) for row in table.rows],
        },
        "comparisons": [_comparison(comparison) for comparison in found.comparisons],
        "text": [
            {
                "name": number.name,
                "title": number.title,
                "ours": plain(number.ours),
                "published": plain(number.theirs),
                "welch_p": plain(welch(number.ours, number.theirs)),
            }
            for number in found.numbers
        ],
        "provenance": dict(origins(evaluation)),
        "runs": [_run(run) for run in evaluation.runs],
    }


def protocol(evaluation: Evaluation) -> dict[str, Any]:
    """The protocol of an evaluation."""
    p = evaluation.protocol
    return {
        "name": p.name,
        "fingerprint": p.fingerprint,
        "dataset": dataset_title(p),
        "settings": p.settings(),
    }


def _row(evaluation: Evaluation, row: Row) -> dict[str, Any]:
    cells = {
        cell.column.name: {
            **_mean_sd(cell.ours),
            "published": None if cell.theirs is None else _mean_sd(cell.theirs),
            "welch_p": plain(cell.p),
        }
        for cell in row.cells
    }
    recipes = [
        {"name": name, "fingerprint": evaluation.study.fingerprints()[name], "hidden": list(recipe.hidden)}
        for name, recipe in evaluation.study.recipes.items()
        if name in row.group.recipes
    ]
    return {
        "label": row.label,
        "recipes": recipes,
        "until": row.group.until,
        "category": row.category,
        "n": row.n,
        "diverged_seeds": list(row.diverged),
        **cells,
    }


def _mean_sd(value: Summary) -> dict[str, Any]:
    return {"mean": plain(value.mean), "sd": plain(value.sd)}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "name": comparison.name,
        "title": comparison.title,
        "of": comparison.column.name,
        "subtracted": comparison.heading,
        "pairs": [plain(pair) | {"enough_seeds": pair.enough} for pair in comparison.pairs],
    }


_OF_A_RUN = (
    *("seed", "recipe", "fingerprint", "kind", "hidden", "state", "iteration", "iterations"),
    *("best_iteration", "relative_size", "error"),
)


def _run(run: RunRow) -> dict[str, Any]:
    files = {f"{role}_weights_sha256": run.written(role) for role in WEIGHTS}
    hashes = {name: file.sha256 if file else None for name, file in files.items()}
    return {name: plain(getattr(run, name)) for name in _OF_A_RUN} | hashes

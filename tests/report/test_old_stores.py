"""Stores of every past version, upgraded: the report says of them what their own tables say."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ltsm.report.all import contents
from ltsm.report.evaluation import load
from ltsm.store import schema

KEPT = Path(__file__).parents[1] / "store" / "schemas"
QUERIES = {
    "validation_accuracy_before_training": (
        "SELECT val_accuracy FROM metric JOIN run ON run.id = run_id WHERE kind = 'initial' AND metric.iteration = 0"
    ),
    "baseline_validation_accuracy_after_training": "SELECT final_val_accuracy FROM result WHERE kind = 'baseline'",
    "relative_size_percent_at_threshold_0": "SELECT 100 * relative_size FROM mask WHERE abs(threshold) < 1e-9",
    "selected_threshold": "SELECT threshold FROM mask WHERE selected",
    "supermask_relative_size_percent": "SELECT 100 * relative_size FROM mask WHERE selected",
    "supermask_validation_accuracy_percent": "SELECT 100 * val_accuracy FROM mask WHERE selected",
}


@pytest.mark.parametrize("version", sorted(path.name for path in KEPT.iterdir()))
def test_an_old_stores_numbers_are_those_of_its_own_tables(tmp_path, version):
    """Read from its own tables before the upgrade, in which the search for the mask becomes a run."""
    shutil.copytree(KEPT / version, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "ltsm.db"
    with closing(sqlite3.connect(path)) as database:
        wanted = {name: [row[0] for row in database.execute(query)] for name, query in QUERIES.items()}
    assert all(wanted.values())
    schema.open_for_writing(path).close()
    store = schema.open_for_reading(path)
    found = contents(load(store, records=True))
    store.close()
    said = {number.name: list(number.values) for number in found.numbers}
    for name, values in wanted.items():
        assert said[name] == pytest.approx(values, rel=1e-12)
    assert found.table.notes[-1].startswith("The protocol is not the paper's in: ")

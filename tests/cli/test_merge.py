"""`db merge`: stores swept apart are one sweep's; what is not to be merged is refused; nothing there is written."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from small import SMALL, execution, experiment, results, stopped_again_and_again, ticking
from sqlalchemy import text
from typer.testing import CliRunner

from ltsm.cli import db
from ltsm.cli.commands import app
from ltsm.errors import InterruptedRunError, LtsmError, RunError, StoreError
from ltsm.steps import plan
from ltsm.store import artifacts, read, schema, seal, write
from ltsm.studies import controls, paper

KEPT = Path(__file__).parents[1] / "store" / "schemas"
FORMATS = ("txt", "md", "tex", "json", "csv")
SWEEPS = {"low": (0, 1), "high": (2, 3), "whole": (0, 1, 2, 3)}


def ltsm(*arguments, code=0):
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(found.exception, LtsmError):
        raise found.exception
    assert found.exit_code == code, found.output
    return found.stdout


def merge(into, *others, code=0):
    return json.loads(ltsm("db", "merge", *others, "--store", into, "--json", code=code))["others"]


def counts(merged):
    """How many runs have which verdict, of those that there are."""
    return {verdict: number for verdict, number in merged["runs"].items() if number}


def changed(path, *statements):
    """Change a store by hand, as if it had been written so."""
    store = schema.open_for_writing(path)
    with store.engine.begin() as connection:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount > 0, statement
        seal.seal_all(connection)
    store.close()


SAME_TIMES = (
    "UPDATE run SET seconds = 1, started_at = '2026-01-01 00:00:00', finished_at = '2026-01-02 00:00:00'"
)


def swept(path, seeds, backwards=False, study=controls.study):
    """The controls for these seeds, of which the paper's runs are a part; its runs in the usual order or not."""
    store, protocol = schema.open_for_writing(path), SMALL.changed(seeds=seeds)
    runs = plan.keys(study(protocol).recipes, seeds)
    execution(store, protocol, study(protocol), runs=runs[::-1] if backwards else runs).run()
    store.close()
    changed(path, SAME_TIMES)
    return path


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two halves, swept apart and in other orders, and the same in one sweep."""
    folder = tmp_path_factory.mktemp("stores")
    return {n: swept(folder / n / "ltsm.db", s, backwards=n == "high") for n, s in SWEEPS.items()}


@pytest.fixture(scope="module")
def expected(stores, tmp_path_factory):
    """The documents of the one sweep."""
    return documents(stores["whole"], tmp_path_factory.mktemp("expected"))


@pytest.fixture
def copies(stores, tmp_path):
    """Copies of those that may be changed."""
    for name, path in stores.items():
        shutil.copytree(path.parent, tmp_path / name)
    return {name: tmp_path / name / "ltsm.db" for name in stores}


def listed(folder):
    """Every file below a folder with its content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(path):
    store = schema.open_for_reading(path)
    assert [*db.damage(store), *db.stuck(store), *db.strangers(store)] == []
    store.close()


def documents(path, folder):
    """What a report says of a store, in every format, and its figures, by name; the page has those of controls."""
    for study, suffixes in {"paper": FORMATS, "controls": [*FORMATS, "html"]}.items():
        for suffix in suffixes:
            ltsm("report", study, "--store", path, "-o", folder / f"{study}.{suffix}")
    ltsm("figures", "--store", path, "--format", "svg", "--out", folder / "figures")
    return {found.relative_to(folder): content for found, content in listed(folder).items()}


@pytest.mark.parametrize("order", [("low", "high"), ("high", "low")], ids=" then ".join)
def test_merged_in_any_order_halves_are_one_sweep(stores, expected, tmp_path, order):
    """Tables, masks and figures, byte for byte in every format. Taken out: the study's order in
    `report.evaluation.own_runs`; the weights' digests stood in the order in which the runs came into the store.
    """
    merged = tmp_path / "merged" / "ltsm.db"
    for one in merge(merged, *(stores[name] for name in order)):
        assert counts(one) == {"new": one["runs"]["new"]}
    check(merged)
    assert results(merged) == results(stores["whole"])
    found = documents(merged, tmp_path / "found")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    if order[0] == "low":
        assert [counts(one) for one in merge(merged, stores["low"], stores["whole"])] == [
            {"same": len(results(stores["low"]))},
            {"same": len(results(merged))},
        ]

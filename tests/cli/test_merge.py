"""`db merge`: stores swept apart are one sweep's, whatever the order in which they are merged."""

import pytest
from merging import changed, check, listed, ltsm, merge, swept
from small import SMALL, results

from ltsm.studies import controls

FORMATS = ("txt", "md", "tex", "json", "csv")
SWEEPS = {"low": (0, 1), "high": (2, 3), "whole": (0, 1, 2, 3)}
RUNS = 2 * len(controls.study(SMALL).recipes)
SAME_TIMES = (
    "UPDATE run SET seconds = 1, started_at = '2026-01-01 00:00:00', finished_at = '2026-01-02 00:00:00'"
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two halves, swept apart and in other orders, and the same in one sweep."""
    folder = tmp_path_factory.mktemp("stores")
    made = {
        n: swept(folder / n / "ltsm.db", s, study=controls.study, backwards=n == "high")
        for n, s in SWEEPS.items()
    }
    return {name: changed(path, SAME_TIMES) for name, path in made.items()}


@pytest.fixture(scope="module")
def expected(stores, tmp_path_factory):
    """The documents of the one sweep."""
    return documents(stores["whole"], tmp_path_factory.mktemp("expected"))


def documents(path, folder):
    """What a report says of a store, in every format, and its figures, by name; the page has those of controls."""
    for study, suffixes in {"paper": FORMATS, "controls": [*FORMATS, "html"]}.items():
        for suffix in suffixes:
            ltsm("report", study, "--store", path, "-o", folder / f"{study}.{suffix}")
    ltsm("figures", "--store", path, "--format", "svg", "--out", folder / "figures")
    return {found.relative_to(folder): content for found, content in listed(folder).items()}


def weights_of(path):
    """The folders and names of a store's weights files; that of their protocol without its end, which is a store's own."""
    folder = path.parent / "weights"
    parts = [found.relative_to(folder).parts for found in listed(folder)]
    return {(protocol.partition("-")[0], *rest) for protocol, *rest in parts}


@pytest.mark.parametrize("order", [("low", "high"), ("high", "low")], ids=" then ".join)
def test_merged_in_any_order_halves_are_one_sweep(stores, expected, tmp_path, order):
    """Tables, masks and figures, byte for byte in every format. Taken out: the study's order in
    `report.evaluation.own_runs`; the weights' digests stood in the order in which the runs came into the store.
    """
    merged = tmp_path / "merged" / "ltsm.db"
    assert merge(merged, *(stores[name] for name in order)) == [{"new": RUNS}, {"new": RUNS}]
    check(merged)
    assert results(merged) == results(stores["whole"])
    assert weights_of(merged) == weights_of(stores["whole"])
    found = documents(merged, tmp_path / "found")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    if order[0] == "low":
        assert merge(merged, stores["low"], stores["whole"]) == [{"same": RUNS}, {"same": 2 * RUNS}]

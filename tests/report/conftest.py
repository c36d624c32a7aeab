"""Evaluations that nobody trained, read back from real stores; each is made once for all tests of this room."""

import pytest
from made_up import evaluation as made
from odd_stores import STORES

from ltsm.report.evaluation import load
from ltsm.store import schema
from ltsm.studies import controls, paper


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Name → path of a made-up store, made when it is first asked for."""
    folder, made_already = tmp_path_factory.mktemp("stores"), {}

    def path(name):
        if name not in made_already:
            made_already[name] = made(folder / f"{name}.db", **STORES[name])
        return made_already[name]

    return path


@pytest.fixture(scope="session")
def evaluations(stores):
    """Name → everything of that store that a report reads."""
    known = {}

    def found(name):
        if name not in known:
            store = schema.open_for_reading(stores(name))
            study = controls.NAME if name == "controls" else paper.NAME
            known[name] = load(store, None, study, records=True, bits=True)
            store.close()
        return known[name]

    return found

"""Commands to type next: each means the store, the study and the protocol that it was said of."""

import shlex

import pytest
from single_runs import DONE

from ltsm import grammar
from ltsm.protocol import PAPER
from ltsm.store.values import ProtocolRow
from ltsm.studies import controls, paper


@pytest.fixture(autouse=True)
def _no_places_of_ones_own(monkeypatch):
    for name in ("LTSM_STORE", "LTSM_DATA"):
        monkeypatch.delenv(name, raising=False)


def again(recipe, study=paper, store=grammar.STORE, protocol=PAPER, *, force=False, **provenance):
    made = study.study(protocol)
    fingerprint = made.fingerprints().get(recipe, "of no study here")
    run = DONE._replace(recipe=recipe, fingerprint=fingerprint, provenance=provenance)
    return grammar.again(run, protocol.settings(), store, force=force)


def test_it_names_recipe_seed_and_the_protocol_by_its_number():
    """A recipe's name may have blanks and brackets: it is one word of the command."""
    name = paper.hyperop((50, 5))
    assert again(name) == f"ltsm sweep --only '{name}' --seeds 0 --protocol 1"
    assert again(paper.TICKET, force=True).endswith("--protocol 1 --force")


def test_a_dense_network_beyond_the_protocols_is_in_no_study_and_is_named_by_its_sizes():
    run = DONE._replace(recipe=paper.hyperop((7, 3)), hidden=(7, 3), provenance={"study": "paper"})
    found = grammar.again(run, PAPER.settings(), grammar.STORE, force=True)
    assert found == "ltsm train-hyperop --sizes 7,3 --seeds 0 --protocol 1 --force"


def test_it_names_the_study_that_has_the_recipe():
    assert again(controls.REDRAWN, controls).startswith(f"ltsm sweep controls --only {controls.REDRAWN} ")
    assert again(paper.TICKET, controls).startswith("ltsm sweep --only ticket ")
    assert again("mine").startswith("ltsm sweep MODULE:FUNCTION --only mine ")


def test_a_study_of_ones_own_is_named_as_it_was_run():
    run = DONE._replace(recipe="mine", fingerprint="x", provenance={"study": "mine:study"})
    assert grammar.again(run, PAPER.settings(), grammar.STORE, force=False).startswith(
        "ltsm sweep mine:study --only mine"
    )


def test_it_names_the_store_unless_it_is_the_usual_one(monkeypatch):
    assert again(paper.TICKET, store="my runs/x.db").endswith(" --store 'my runs/x.db'")
    monkeypatch.setenv("LTSM_STORE", "other.db")
    assert again(paper.TICKET).endswith(f" --store {grammar.STORE}")
    assert again(paper.TICKET, store="other.db").endswith(" --store other.db")


def test_it_names_data_and_device_where_they_are_not_the_usual_ones(tmp_path, monkeypatch):
    words = shlex.split(again(paper.TICKET, data=str(tmp_path), place="cuda:1"))
    assert words[-4:] == ["--data", str(tmp_path), "--device", "cuda:1"]
    monkeypatch.setenv("LTSM_DATA", str(tmp_path))
    assert again(paper.TICKET, data=str(tmp_path), place="cpu").endswith("--protocol 1")


def test_data_of_ones_own_is_looked_for_in_its_folder(tmp_path):
    own = PAPER.changed(dataset="mine.npz#0123456789abcdef")
    assert again(paper.TICKET, protocol=own, data=str(tmp_path / "mine.npz")).endswith(f"--data {tmp_path}")


def test_a_strange_stores_words_run_nothing_else():
    run = DONE._replace(recipe="x; rm -rf ~", fingerprint="x", provenance={"study": "a b", "data": "$(rm)"})
    words = shlex.split(grammar.again(run, PAPER.settings(), grammar.STORE, force=False))
    assert words[2:5] == ["a b", "--only", "x; rm -rf ~"]
    assert words[-2:] == ["--data", "$(rm)"]


def test_a_stored_protocol_is_named_where_there_are_several():
    rows = [ProtocolRow(i, name, "", {}, DONE.updated_at) for i, name in enumerate(["a", "b b", "a"], 1)]
    assert grammar.stored_words(rows[:1], 1) == []
    assert grammar.stored_words(rows, 1) == ["--protocol", "1"]
    assert grammar.stored_words(rows, 2) == ["--protocol", "b b"]

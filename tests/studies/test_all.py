"""Studies by name, and of one's own by module and function."""

import pytest

from ltsm.errors import StoreError, UsageError
from ltsm.protocol import PAPER
from ltsm.studies import all as studies
from ltsm.studies import controls, paper

MODULE = """
from ltsm.errors import StoreError
from ltsm.studies.recipe import Random, Recipe, Weights
from ltsm.studies.study import Study

def study(protocol):
    one = Recipe(hidden=protocol.hidden, start=Random(("mine",)), iterations=protocol.iterations)
    return Study(name="mine", title="my own", recipes={"one": one})

def wrong(protocol):
    return Study(name="mine", title="", recipes={"one": Recipe(hidden=(4,), start=Weights("none"))})

def nothing(protocol):
    return None

def raises(protocol):
    return {}["seeds"]

def refuses(protocol):
    raise StoreError("out of stock.", "come back tomorrow")

def without():
    return study(None)

number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with a module of one's own to stand in, under a name that no other test has imported."""
    name = f"mine_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize("name", studies.STUDIES)
def test_each_study_is_had_by_its_name(name):
    found = studies.study(name, PAPER)
    assert found.name == name
    assert found.title
    assert found.groups


def test_a_study_of_ones_own_is_a_function_of_a_module_in_this_folder(mine):
    found = studies.study(f"{mine}:study", PAPER)
    assert (found.name, list(found.recipes)) == ("mine", ["one"])
    assert found.recipes["one"].hidden == PAPER.hidden


REFUSED = {
    "x": "there is no study 'x': there are paper, controls",
    "": "there is no study ''",
    "MODULE:wrong": "the recipe 'one' needs 'none', which the study does not have",
    "MODULE:nothing": "MODULE:nothing gives None, and no Study",
    "MODULE:raises": "the study MODULE:raises fails: KeyError: 'seeds'",
    "MODULE:without": "MODULE:without is no function of a protocol",
    "MODULE:number": "MODULE:number is no function of a protocol",
    "MODULE:none": "there is no study MODULE:none: AttributeError: module .* has no attribute 'none'",
    "no_such_module:study": "there is no study no_such_module:study: ModuleNotFoundError: No module named",
    ":study": "there is no study :study",
    "MODULE:": "there is no study MODULE:",
    "a b:c d": "there is no study a b:c d",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_study_is_refused_in_a_sentence(mine, name):
    with pytest.raises(UsageError, match=REFUSED[name].replace("MODULE", mine)) as caught:
        studies.study(name.replace("MODULE", mine), PAPER)
    assert caught.value.hint


def test_an_error_of_its_own_comes_through(mine):
    with pytest.raises(StoreError, match="out of stock"):
        studies.study(f"{mine}:refuses", PAPER)


def test_a_module_that_fails_as_it_is_read_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_by_a_division.py").write_text("1 / 0")
    (tmp_path / "broken_by_a_comma.py").write_text("def study(protocol,,): pass")
    for name in ("broken_by_a_division", "broken_by_a_comma"):
        with pytest.raises(UsageError, match=f"{name}:study"):
            studies.study(f"{name}:study", PAPER)


def test_the_study_of_a_recipe_is_found_by_its_identity():
    """The first that has it: the paper's for what the controls share with it."""
    mine = controls.study(PAPER).fingerprints()
    assert studies.name_for(mine[paper.TICKET], PAPER) == "paper"
    assert studies.name_for(mine[controls.SHUFFLED], PAPER) == "controls"
    assert studies.name_for(mine[controls.SHUFFLED], PAPER.changed(iterations=10)) is None

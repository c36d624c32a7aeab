"""`compare` as a user starts it."""

import json

import pytest
from made_up import evaluation
from typer.testing import CliRunner

from ltsm.cli.commands import app
from ltsm.errors import StoreError, UsageError
from ltsm.protocol import PAPER
from ltsm.studies import controls

SEEDS = tuple(range(5))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two protocols of five seeds each, of which the second is worse, and one of another study."""
    path = tmp_path_factory.mktemp("store") / "ltsm.db"
    evaluation(path, seeds=SEEDS)
    evaluation(path, seeds=SEEDS, protocol=PAPER.changed(lr=0.01), factor=1.3)
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("other") / "ltsm.db", seeds=SEEDS, factor=1.1)


@pytest.fixture
def ltsm(monkeypatch, tmp_path, store):
    """Call the program in this process, on that store; an error of ours comes through as itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTSM_STORE", str(store))
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments):
        return CliRunner().invoke(app, ["compare", *map(str, arguments)])

    return call


def test_two_protocols_by_name_and_number(ltsm):
    found = ltsm("paper", 2)
    assert found.exit_code == 0
    assert "A: paper" in found.stdout
    assert "B: paper lr=0.01" in " ".join(ltsm("paper", 2, "--markdown").stdout.split())
    assert "0.0012" in found.stdout
    assert "Final validation loss under B beside A: higher for" in found.stdout
    assert "batch_size" not in found.stdout, "it is the same"


def test_a_protocol_of_another_store(ltsm, other):
    for name in (f"{other}:paper", f"{other}:1", other, f"{other}:"):
        sides = json.loads(ltsm(1, name, "--json").stdout)["sides"]
        assert [side["name"] for side in sides] == ["paper (1)", f"paper ({name})"]


def test_the_figure_lies_where_it_is_wanted(ltsm, tmp_path):
    found = ltsm(1, 2, "--figure", "curves.svg", "--group", "ticket", "--measure", "accuracy")
    assert found.exit_code == 0
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")
    assert "wrote curves.svg: The validation accuracy during training" in found.stderr
    assert "Final validation accuracy" in found.stdout


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("--markdown", "# Lottery tickets"),
        ("--latex", r"\documentclass"),
        ("--html", "<!doctype html>"),
        ("--csv", "column,label,side"),
    ],
)
def test_a_format_by_its_flag_and_by_the_files_suffix(ltsm, tmp_path, form, start):
    printed = ltsm(1, 2, form).stdout
    assert printed.startswith(start)
    suffix = {"--markdown": ".md", "--latex": ".tex", "--html": ".html", "--csv": ".csv"}[form]
    assert ltsm(1, 2, "-o", f"both{suffix}").exit_code == 0
    assert (tmp_path / f"both{suffix}").read_text() == printed


def test_the_page_shows_the_group_that_is_named(ltsm):
    page = ltsm(1, 2, "--html", "--group", "ticket").stdout
    assert "under each protocol: Lottery ticket." in page
    assert 'class="panels n1"' in page
    assert 'class="panels n3"' in ltsm(1, 2, "--html").stdout


def test_json_is_one_document(ltsm):
    value = json.loads(ltsm(1, 2, "--json").stdout)
    assert (value["schema"], value["version"]) == ("ltsm-comparison", 1)
    assert [s["name"] for s in value["settings"]] == ["lr"]


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ((1,), UsageError, "one protocol is nothing to compare"),
        ((1, "paper"), UsageError, "'1' is there twice"),
        ((1, "none"), StoreError, "no protocol 'none'"),
        ((1, "none.db:paper"), StoreError, "no protocol 'none.db:paper'"),
        ((1, 2, "--csv", "--json"), UsageError, "--json and --csv exclude each other"),
        ((1, 2, "-o", "both.docx"), UsageError, "no format for .docx"),
        ((1, 2, "--figure", "curves.jpg"), UsageError, "a figure is .png, .svg or .pdf, not '.jpg'"),
        ((1, 2, "--figure", "c.png", "--group", "deep"), UsageError, "no group 'deep'"),
        ((1, 2, "--study", "nothing"), UsageError, "no study 'nothing'"),
        ((1, 2, "--study", "criteria"), StoreError, "no run of the study criteria is finished"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(ltsm, words, error, said):
    found = ltsm(*words)
    assert isinstance(found.exception, error)
    assert said in found.exception.message


def test_of_a_study_that_is_not_the_usual_one_what_there_is_is_named(tmp_path, ltsm):
    path = evaluation(tmp_path / "controls.db", seeds=(0,), study=controls.study)
    evaluation(path, seeds=(0,), study=controls.study, protocol=PAPER.changed(lr=0.01))
    found = ltsm(1, 2, "--study", "controls", "--store", path)
    assert found.exit_code == 0
    assert "Not enough seeds to say what differs: 1 in common" in found.stdout

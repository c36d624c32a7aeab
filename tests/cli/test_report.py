"""`report`, `figures` and `verify` as a user starts them."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import own_study
import pytest
from made_up import evaluation
from odd_stores import STORES
from typer.testing import CliRunner

from ltsm.cli.commands import app
from ltsm.errors import StoreError, UsageError
from ltsm.protocol import PAPER
from ltsm.store import schema
from ltsm.studies.all import STUDIES


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("store") / "ltsm.db")


@pytest.fixture(scope="module")
def controls_store(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("controls") / "ltsm.db", **STORES["controls"])


@pytest.fixture
def ltsm(monkeypatch, tmp_path):
    """Call the program in this process; an error of ours comes through as itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LTSM_STORE", raising=False)

    def call(*arguments):
        return CliRunner().invoke(app, list(map(str, arguments)))

    return call


@pytest.mark.parametrize("command", ["report", "figures", "verify"])
def test_help_opens_with_examples(ltsm, command):
    found = ltsm(command, "--help")
    assert found.exit_code == 0
    assert found.stdout.index("Examples:") < found.stdout.index("Options")
    assert f"ltsm {command}" in found.stdout


def test_the_report_prints_table_1_and_the_finding(ltsm, store):
    found = ltsm("report", "--store", store)
    assert found.exit_code == 0
    assert "Hyperop (200, 30) [baseline]" in found.stdout
    assert "published" not in found.stdout
    assert "Over 10 seeds the lottery ticket keeps" in found.stdout
    assert "38.7% ± 17.9" in ltsm("report", "--store", store, "--against-paper").stdout


def test_a_table_believes_no_changed_record(ltsm, controls_store, tmp_path):
    """A group that is measured before its end has its numbers from records, which the seals of results do not cover.

    Taken out: `refuse_damage` in `report`; a changed record was read as a result.
    """
    path = shutil.copy(controls_store, tmp_path / "ltsm.db")
    change = """UPDATE metric SET val_loss = 0.01 WHERE iteration = 100
                AND run_id = (SELECT min(run_id) FROM result WHERE recipe = 'initial training')"""
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(change).rowcount == 1
    assert ltsm("status", "--store", path).exit_code == 0  # shows no loss
    found = ltsm("report", "controls", "--store", path)
    assert isinstance(found.exception, StoreError)
    assert "is damaged: the row, the records or the masks of run" in found.exception.message
    assert isinstance(ltsm("report", "--markdown", "--store", path).exception, StoreError)


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("markdown", "# Lottery"),
        ("latex", r"\documentclass"),
        ("html", "<!doctype"),
        ("json", "{"),
        ("csv", "label"),
    ],
)
def test_a_document_goes_to_stdout_or_to_a_file(ltsm, store, tmp_path, form, start):
    printed = ltsm("report", "--store", store, f"--{form}")
    assert printed.exit_code == 0
    assert printed.stdout.startswith(start)
    saved = ltsm("report", "--store", store, f"--{form}", "-o", tmp_path / "new" / "document")
    assert saved.stdout == ""
    assert (tmp_path / "new" / "document").read_text(encoding="utf-8") == printed.stdout


def test_without_a_format_a_file_gets_the_plain_table(ltsm, store, tmp_path):
    assert ltsm("report", "--store", store, "-o", tmp_path / "t.txt").exit_code == 0
    assert "Lottery ticket" in (tmp_path / "t.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("r.html", "html"),
        ("r.HTM", "html"),
        ("r.md", "markdown"),
        ("r.tex", "latex"),
        ("r.json", "json"),
        ("r.csv", "csv"),
    ],
)
def test_without_a_flag_the_suffix_says_the_format(ltsm, store, tmp_path, name, form):
    """Once, report.html held the terminal's table."""
    assert ltsm("report", "--store", store, "-o", tmp_path / name).exit_code == 0
    printed = ltsm("report", "--store", store, f"--{form}").stdout
    assert (tmp_path / name).read_text(encoding="utf-8") == printed


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["-o", "report.pdf"], "no format for .pdf"),
        (["--html", "-o", "report.csv"], "report.csv would not be what its suffix says"),
    ],
)
def test_a_suffix_that_would_mislead_is_refused(ltsm, store, tmp_path, arguments, cause):
    found = ltsm("report", "--store", store, *arguments)
    assert isinstance(found.exception, UsageError)
    assert cause in found.exception.message
    assert not list(tmp_path.glob("report.*"))


def test_a_flag_may_go_into_any_text(ltsm, store, tmp_path):
    for name in ("notes.txt", "notes", "notes.2026"):
        assert ltsm("report", "--store", store, "--markdown", "-o", tmp_path / name).exit_code == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("# Lottery")


def test_two_formats_exclude_each_other(ltsm, store):
    assert isinstance(ltsm("report", "--store", store, "--html", "--csv").exception, UsageError)


def test_a_file_that_cannot_be_written_is_named(ltsm, store, tmp_path):
    found = ltsm("report", "--store", store, "--csv", "-o", tmp_path)
    assert isinstance(found.exception, StoreError)
    assert str(tmp_path) in found.exception.message


def test_there_has_to_be_a_store(ltsm):
    for command in ("report", "figures", "verify"):
        assert isinstance(ltsm(command).exception, StoreError)


@pytest.mark.parametrize("command", ["report", "figures", "verify"])
def test_a_store_without_protocols_is_said_to_be_empty(ltsm, tmp_path, command):
    schema.open_for_writing(tmp_path / "empty.db").close()
    found = ltsm(command, "--store", tmp_path / "empty.db")
    if command == "verify":
        assert found.exit_code == 5
        assert found.stdout == "Nothing is compared: no run of the paper's is finished yet.\n"
    else:
        assert "no run of the study paper is finished yet" in str(found.exception)
        assert not (tmp_path / "figures").exists()


def test_a_study_is_named_first(ltsm, controls_store, tmp_path):
    """`controls` for each of the three; the paper's without a word, whose chain the same store has."""
    found = ltsm("report", "controls", "--store", controls_store)
    assert found.exit_code == 0
    assert "Redrawn, same signs" in found.stdout
    assert "What is kept: the ticket's final validation loss is lower than" in found.stdout
    assert "Lottery ticket" in ltsm("report", "--store", controls_store).stdout
    drawn = ltsm("figures", "controls", "2", "--store", controls_store, "--out", tmp_path, "--format", "svg")
    assert drawn.stdout.split() == [str(tmp_path / "figure_2.svg")]
    assert "before its training" in (tmp_path / "captions.md").read_text(encoding="utf-8")
    assert ltsm("verify", "controls", "--store", controls_store).exit_code == 5


@pytest.mark.parametrize("command", ["report", "figures", "verify"])
def test_a_study_that_is_none_is_refused(ltsm, store, command):
    found = ltsm(command, "contrls", "--store", store)
    assert isinstance(found.exception, UsageError)
    assert f"there is no study 'contrls': there are {', '.join(STUDIES)}." in found.exception.message


def test_a_study_of_ones_own_is_reported(ltsm, tmp_path):
    """By module and function, found from here, as `sweep` takes it."""
    own_study.store(tmp_path / "own.db")
    found = ltsm("report", "own_study:study", "--store", tmp_path / "own.db")
    assert found.exit_code == 0
    assert "Wide ones: its final validation loss is lower than that of Narrow ones" in " ".join(
        found.stdout.split()
    )


def test_a_study_of_ones_own_cannot_be_called_like_one_of_ours(ltsm, tmp_path, monkeypatch):
    """The words of `controls` are about groups that another study does not have."""
    own_study.store(tmp_path / "own.db")
    called_controls = replace(own_study.study(), name="controls")
    monkeypatch.setattr(own_study, "study", lambda _protocol: called_controls)
    found = ltsm("report", "own_study:study", "--store", tmp_path / "own.db")
    assert isinstance(found.exception, UsageError)
    assert found.exception.message == "own_study:study calls itself controls, as one of ltsm's own does."


def test_a_study_without_runs_says_what_starts_it(ltsm, tmp_path):
    own_study.store(tmp_path / "own.db")
    found = ltsm("report", "controls", "--store", tmp_path / "own.db")
    assert "no run of the study controls is finished yet" in found.exception.message
    assert "the store has runs of narrow," in found.exception.message
    assert found.exception.hint == f"ltsm sweep controls --protocol 1 --store {tmp_path / 'own.db'}"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["9"], "there is no figure 9: there are 1, 2, 3, 4, 5, 6, 7, 8."),
        (["paper", "x"], "'x' is no number of a figure."),
        (["4", "paper"], "'paper' is no number of a figure."),
    ],
)
def test_a_figure_that_is_none_is_refused(ltsm, store, tmp_path, words, cause):
    found = ltsm("figures", *words, "--store", store, "--out", tmp_path / "img")
    assert isinstance(found.exception, UsageError)
    assert found.exception.message == cause
    assert not (tmp_path / "img").exists()


def test_figures_are_files_with_captions_beside_them(ltsm, store, tmp_path):
    found = ltsm("figures", "7", "3", "--store", store, "--out", tmp_path / "img", "--format", "svg")
    assert found.exit_code == 0
    assert found.stdout.split() == [str(tmp_path / "img" / f"figure_{n}.svg") for n in (3, 7)]
    captions = (tmp_path / "img" / "captions.md").read_text(encoding="utf-8")
    assert captions.startswith("**Figure 3.**")


def test_verify_says_by_its_exit_code_whether_the_paper_is_reproduced(ltsm, store, tmp_path):
    assert ltsm("verify", "--store", store).exit_code == 0
    other = evaluation(tmp_path / "other.db", factor=1.3)
    found = ltsm("verify", "--store", other, "--json")
    assert found.exit_code == 4
    document = json.loads(found.stdout)
    assert document["reproduced"] is False
    assert document["counts"]["differs"] == sum(
        (line["verdict"] == "differs") + (line["spread_verdict"] == "differs") for line in document["lines"]
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("digits") / "ltsm.db", **STORES["digits"])


def test_verify_judges_nothing_on_other_data(ltsm, digits):
    """Neither 0, which says reproduced, nor 4, which says that it is not; and a sentence that stands alone."""
    found = ltsm("verify", "--store", digits)
    assert found.exit_code == 5
    (sentence,) = found.stdout.splitlines()
    assert sentence.startswith(
        "Nothing is compared: the results are on scikit-learn's 8×8 digits, not MNIST."
    )
    assert found.stderr == ""
    document = json.loads(ltsm("verify", "--json", "--store", digits).stdout)
    assert (document["reproduced"], document["lines"]) == (None, [])
    assert document["summary"] == sentence


@pytest.mark.parametrize("command", [["report"], ["report", "--csv"], ["verify"], ["verify", "--json"]])
def test_every_stream_ends_its_last_line(ltsm, store, digits, command):
    """Whoever reads both together must not find a sentence in the middle of another."""
    for path in (store, digits):
        found = ltsm(*command, "--store", path)
        assert found.stdout.endswith("\n")
        assert found.stderr == "" or found.stderr.endswith("\n")


@pytest.mark.parametrize(
    "command",
    [["report"], ["report", "--html"], ["report", "--json"], ["verify"], ["figures", "4", "--out", "img"]],
)
def test_reports_load_neither_torch_nor_scipys_statistics(store, tmp_path, command):
    """What a report costs is mostly imports; only `figures` and the page may load matplotlib."""
    code = (
        "import sys; from ltsm.cli.commands import app; app(standalone_mode=False)\n"
        "print(sorted({'torch', 'scipy.stats', 'matplotlib', 'alembic'} & set(sys.modules)), file=sys.stderr)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, *command, "--store", str(store)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = "['matplotlib']" if {"figures", "--html"} & {*command} else "[]"
    assert found.stderr.splitlines()[-1] == expected


def test_measure_accuracy_shows_accuracies_in_tables_and_curves(ltsm, store, tmp_path):
    found = ltsm("report", "--store", store, "--measure", "accuracy")
    assert found.exit_code == 0
    assert "97.70% ± 0.10" in found.stdout
    assert "0.091 ± 0.007" not in found.stdout
    assert ltsm("figures", "5", "--store", store, "--measure", "accuracy").exit_code == 0
    assert "validation accuracy" in (tmp_path / "figures" / "captions.md").read_text()
    assert ltsm("report", "--measure", "speed").exit_code == 2


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """One store that reproduces the paper, and under a second protocol does not."""
    path = evaluation(tmp_path_factory.mktemp("two") / "ltsm.db")
    return evaluation(path, protocol=PAPER.changed(lr=0.01), factor=1.3)


class TestSeveralProtocols:
    """`verify` of several: each verdict under its protocol's name, and one exit code."""

    def test_each_is_judged_under_its_name(self, ltsm, two, store):
        found = ltsm("verify", 1, 2, f"{store}:paper", "--store", two)
        assert found.exit_code == 4
        heads = [text for text in found.stdout.splitlines() if text[:3] in {"A: ", "B: ", "C: "}]
        assert heads[:3] == ["A: paper (1)", "B: paper lr=0.01", f"C: paper ({store}:paper)"]
        assert [text.rpartition(": ")[2] for text in heads[3:]] == [
            "reproduced",
            "not reproduced",
            "reproduced",
        ]

    def test_the_document_holds_what_each_alone_prints(self, ltsm, two):
        document = json.loads(ltsm("verify", "paper", 1, 2, "--store", two, "--json").stdout)
        assert (document["schema"], document["version"]) == ("ltsm-verify-several", 1)
        for number, side in enumerate(document["sides"], 1):
            alone = json.loads(ltsm("verify", "--protocol", number, "--store", two, "--json").stdout)
            assert {name: side[name] for name in side if name != "name"} == alone
        assert [side["name"] for side in document["sides"]] == ["paper", "paper lr=0.01"]

    def test_the_exit_code_is_the_worst(self, ltsm, two, store, digits):
        def code(*words):
            return ltsm("verify", *words, "--store", two).exit_code

        assert code(1, store) == 0
        assert code(1, digits) == 5
        assert code(digits, 2) == 4
        assert code("controls", 1, 2) == 5

    @pytest.mark.parametrize(
        ("words", "error", "said"),
        [
            ((1, 2, "--protocol", 1), UsageError, "both as words and by --protocol"),
            ((1, "paper"), UsageError, "'1' is there twice"),
            ((1, 7), StoreError, "no protocol '7'"),
            (("nothing", 1), UsageError, "no study 'nothing'"),
        ],
    )
    def test_what_cannot_be_judged_is_a_sentence(self, ltsm, two, words, error, said):
        found = ltsm("verify", *words, "--store", two)
        assert isinstance(found.exception, error)
        assert said in found.exception.message

    def test_words_come_before_the_environment(self, ltsm, two, monkeypatch):
        monkeypatch.setenv("LTSM_PROTOCOL", "2")
        assert ltsm("verify", "--store", two).exit_code == 4
        assert ltsm("verify", 1, "--store", two).exit_code == 0

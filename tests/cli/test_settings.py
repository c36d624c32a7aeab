"""What every command is told and says: settings and where they are from, loudness, JSON's head, pages, completion."""

import json
import os
import re
import shutil
from pathlib import Path

import made_up
import pytest
from typer.testing import CliRunner

import ltsm
from ltsm.cli import help as pages
from ltsm.cli import project, say
from ltsm.cli.commands import COMMANDS, NOUNS, app, command_line
from ltsm.cli.completions import datasets, studies
from ltsm.errors import LtsmError, StoreError, UsageError
from ltsm.protocol import PAPER, PRESETS, SMOKE, load
from ltsm.steps import plan
from ltsm.store import schema, write
from ltsm.studies import paper
from ltsm.studies.all import STUDIES

VALUES = {"store": "x.db", "data": "d", "device": "cuda:7", "jobs": 3, "protocol": "smoke"}


@pytest.fixture(autouse=True)
def room(tmp_path, monkeypatch):
    """An empty folder to stand in, with no settings but those that a test makes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "given", set())
    monkeypatch.setattr(say.words, "quiet", False)
    for name in [name for name in os.environ if name.startswith("LTSM_")]:
        monkeypatch.delenv(name)
    return tmp_path


def run(*arguments):
    """Exit code and output; our own errors are raised."""
    found = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(found.exception, LtsmError):
        raise found.exception
    return found


def shown(*arguments):
    return json.loads(run("config", "show", *arguments, "--json").stdout)["settings"]


def take(monkeypatch):
    """Take the project file, in an environment that is the test's alone."""
    for setting in project.SETTINGS:  # so that what is set below is undone
        monkeypatch.setenv(project.variable(setting), os.environ.get(project.variable(setting), ""))
    project.take()


class TestPrecedence:
    @pytest.mark.parametrize("setting", VALUES)
    def test_flag_environment_file_default(self, monkeypatch, setting):
        """Of every setting: each of the four is what holds where those before it say nothing."""
        value = VALUES[setting]
        assert shown()[setting]["from"] == "default"
        Path("ltsm.toml").write_text(f"{setting} = {json.dumps(value)}\n")
        take(monkeypatch)
        assert shown()[setting] == {"value": value, "from": "ltsm.toml"}
        flag = "4" if setting == "jobs" else "other"
        assert shown(f"--{setting}", flag)[setting]["from"] == "flag"
        assert str(shown(f"--{setting}", flag)[setting]["value"]) == flag

    @pytest.mark.parametrize("setting", VALUES)
    def test_the_environment_comes_before_the_file(self, monkeypatch, setting):
        monkeypatch.setenv(project.variable(setting), str(VALUES[setting]))
        Path("ltsm.toml").write_text(f"{setting} = {json.dumps(9 if setting == 'jobs' else 'other')}\n")
        take(monkeypatch)
        assert shown()[setting] == {"value": VALUES[setting], "from": "environment"}

    def test_a_command_takes_what_is_shown(self, monkeypatch):
        Path("ltsm.toml").write_text('store = "mine/s.db"\nprotocol = "smoke"\n')
        take(monkeypatch)
        assert run("db", "path").stdout.strip().endswith("mine/s.db")
        assert "smoke: mnist" in run("sweep", "--dry-run").stdout
        assert "smoke: mnist" in run("sweep", "--dry-run", "--smoke").stdout

    @pytest.mark.parametrize("text", ["storage = 'x'", "jobs = true", "store = ['x']", "= =", "\x00"])
    def test_a_project_file_that_cannot_be_is_a_sentence(self, monkeypatch, text):
        Path("ltsm.toml").write_text(text)
        with pytest.raises(UsageError, match=re.escape("ltsm.toml")) as caught:
            project.take()
        assert "ltsm config" not in caught.value.hint, "it would be refused as well"


class TestLoudness:
    def test_quiet_says_nothing_but_warnings_and_errors(self, capsys):
        run("-q", "status", "--help")
        say.words.quiet = True
        say.note("a note")
        say.warn("a warning")
        say.note("a note")
        say.error(UsageError("an error.", "a hint"))
        assert capsys.readouterr().err.splitlines() == ["a warning", "error: an error.", "next:  a hint"]

    def test_data_is_never_quiet(self):
        assert run("-q", "db", "path").stdout == run("db", "path").stdout != ""

    def test_a_traceback_is_for_debug_alone(self, capsys, monkeypatch):
        monkeypatch.setattr("sys.argv", ["ltsm", "-v", "status"])
        with pytest.raises(SystemExit) as ended:
            command_line()
        assert ended.value.code == 3
        assert capsys.readouterr().err.startswith("error: there is no store")
        monkeypatch.setattr("sys.argv", ["ltsm", "--debug", "status"])
        with pytest.raises(SystemExit) as ended:
            command_line()
        assert ended.value.code == 3
        words = capsys.readouterr().err
        assert words.startswith("Traceback")
        assert "there is no store" in words
        assert "next:" in words


WITH_JSON = [
    ("config", "show"), ("data", "check", "digits"), ("db", "check"), ("doctor",), ("report",), ("status",),
    ("study", "list"), ("study", "show"), ("verify",),
]  # fmt: skip


@pytest.mark.parametrize("words", WITH_JSON, ids=" ".join)
def test_every_json_says_what_it_is_and_in_which_version(words):
    made_up.evaluation(Path("results/ltsm.db"), seeds=(0, 1))
    document = json.loads(run(*words, "--json").stdout)
    assert document["schema"].startswith("ltsm-")
    assert isinstance(document["version"], int)


class TestPages:
    @pytest.mark.parametrize("page", pages.PAGES)
    def test_a_page_has_all_its_rows(self, page):
        text = " ".join(run("help", page).stdout.split())
        assert all(key in text for key in pages.PAGES[page][1])

    def test_every_exit_code_of_an_error_is_on_the_page(self):
        kinds = [LtsmError, *LtsmError.__subclasses__()]
        assert {kind.exit_code for kind in kinds} <= set(pages.EXIT_CODES)

    def test_every_variable_that_the_program_reads_is_on_the_page(self):
        sources = Path(ltsm.__file__).parent.rglob("*.py")
        named = set(re.findall(r'"(LTSM_[A-Z]+)"', "".join(p.read_text(encoding="utf-8") for p in sources)))
        assert len(named) >= 6
        assert named == {name for name in pages.ENVIRONMENT if name.startswith("LTSM_")}

    def test_a_command_is_its_help(self):
        assert (
            run("help", "db", "check").stdout.split()[-20:]
            == run("db", "check", "--help").stdout.split()[-20:]
        )


def every_command():
    yield from ((name,) for rows in COMMANDS.values() for name, *_ in rows)
    yield from (
        (noun, c.name or c.callback.__name__) for _, noun, a, _ in NOUNS for c in a.registered_commands
    )


@pytest.mark.parametrize("noun", ["", *(name for _, name, *_ in NOUNS)])
def test_every_list_of_commands_says_what_each_does(noun):
    """In a sentence, not in the first words of its help."""
    text = run(*noun.split(), "--help").stdout
    names = [
        words[-1] for words in every_command() if len(words) == 1 + bool(noun) and noun in {"", words[0]}
    ]
    assert names
    for name in names:
        assert re.search(rf"│ {name} +(?!Examples:)\w", text), name


@pytest.mark.parametrize("words", [("report", "--protocol"), ("sweep", "--seeds"), ("db", "path", "--store")])
def test_no_option_is_given_twice(words):
    """The last one would win without a word; what may be repeated still may."""
    with pytest.raises(UsageError, match=f"{words[-1]} is given 2 times"):
        run(*words, "1", words[-1], "2")
    assert run("sweep", "--dry-run", "--dataset=digits", "--only=ticket", "--only=baseline").exit_code == 0


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("reprot", "report"),
        ("dash", "dashboard"),
        ("train", "train-baseline"),
        ("rums", "runs"),
        ("xyz", "--help"),
    ],
)
def test_a_mistyped_command_leads_to_what_looks_like_it_and_to_nothing_else(word, hint):
    with pytest.raises(UsageError) as caught:
        run(word)
    assert caught.value.hint.split(" or ")[0].endswith(f" {hint}")


def completed(monkeypatch, words):
    """What bash is told for the last of these words."""
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    found = CliRunner().invoke(app, prog_name="ltsm", env={"_LTSM_COMPLETE": "complete_bash"})
    return found.stdout.split()


class TestCompletion:
    def test_studies_data_sets_and_protocols_are_proposed(self, monkeypatch):
        Path("mine.toml").touch()
        Path("mine.npz").touch()
        made_up.evaluation(Path("my.db"), seeds=(0,), protocol=PAPER.changed(lr=0.1))
        assert completed(monkeypatch, "ltsm sweep ") == list(STUDIES)
        assert {"mnist", "auto", "mine.npz"} <= set(completed(monkeypatch, "ltsm sweep --dataset "))
        found = completed(monkeypatch, "ltsm report --store my.db --protocol ")
        assert found == [*PRESETS, "mine.toml", "1"]

    def test_what_cannot_be_read_is_left_out(self, monkeypatch):
        Path("bad.db").write_text("no store")
        assert completed(monkeypatch, "ltsm report --store bad.db --protocol s") == ["smoke"]
        assert studies("con") == ["controls"]
        assert datasets("dig") == ["digits"]


class TestReportsOfLittle:
    def test_a_store_without_a_finished_run_is_no_page_of_dashes(self):
        """For a person; who reads with a program, and again later, gets the document."""
        with schema.writer(Path("results/ltsm.db"), "test", made_up.NOW) as store:
            protocol_id = write.add_protocol(store, SMOKE, made_up.NOW)
            study = paper.study(SMOKE)
            runs = plan.run_specs(study, plan.keys(study.recipes, (0,)))
            specs = plan.recipe_specs(study, study.recipes)
            write.add_runs(store, protocol_id, specs, runs, made_up.NOW)
        for form in ([], ["--markdown"], ["--html"], ["--latex"], ["-o", "x.html"]):
            with pytest.raises(StoreError, match="no run of the study paper is finished yet") as caught:
                run("report", *form)
            assert caught.value.hint == "ltsm sweep --protocol 1"
        assert json.loads(run("report", "--json").stdout)["runs"]
        assert "no run of the study paper is finished yet" in run("report", "--csv").stderr

    def test_the_small_version_says_what_the_whole_is(self):
        made_up.evaluation(Path("my.db"), seeds=(0, 1), protocol=SMOKE)
        found = run("report", "--store", "my.db")
        assert "compared, paired by seed, from 5 seeds on; here n = 2." in " ".join(found.stdout.split())
        assert "not enough seeds  –" not in found.stdout
        assert "this was the small version; the whole of it: ltsm sweep --store my.db" in found.stderr

    def test_the_whole_of_a_small_version_is_on_the_same_data_with_the_same_changes(self):
        small = SMOKE.changed(dataset="digits", lr=0.004, batch_size=30)
        made_up.evaluation(Path("results/ltsm.db"), seeds=(0,), protocol=small)
        said = run("report").stderr
        assert "the whole of it: ltsm sweep --dataset digits --lr 0.004 --batch-size 30" in " ".join(
            said.split()
        )

    def test_the_whole_version_says_nothing_of_that(self):
        made_up.evaluation(Path("my.db"), seeds=range(5))
        found = run("report", "--store", "my.db")
        assert "small version" not in found.stderr
        assert "p, Holm" in " ".join(found.stdout.split())

    def test_a_stored_protocol_may_be_named_by_its_file(self):
        """As by name, number and fingerprint, whatever else the store holds."""
        Path("mine.toml").write_text("lr = 0.5\n")
        protocol = load(Path("mine.toml"))
        made_up.evaluation(Path("results/ltsm.db"), seeds=(0,), protocol=PAPER.changed(lr=0.25))
        made_up.evaluation(Path("results/ltsm.db"), seeds=(0,), protocol=protocol)
        for name in ("mine.toml", "mine", "2", protocol.fingerprint[:12]):
            assert (
                json.loads(run("report", "--protocol", name, "--json").stdout)["protocol"]["name"] == "mine"
            )


@pytest.mark.parametrize(
    "words", [["status"], ["report"], ["db", "check"], ["verify"], ["figures"], ["ticket", "export"]]
)
@pytest.mark.parametrize("state", ["absent", "empty", "old"])
def test_what_a_command_proposes_names_its_store(words, state):
    """Whatever is wrong with the store."""
    path = Path("my store.db")
    if state == "empty":
        path.touch()
    if state == "old":
        shutil.copy(Path(__file__).parents[1] / "store/schemas/0001/ltsm.db", path)
    seed = ["--seed", "0"] if words[0] == "ticket" else []
    with pytest.raises(LtsmError) as caught:
        run(*words, *seed, "--store", path)
    assert "--store 'my store.db'" in caught.value.hint

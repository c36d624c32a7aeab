"""`--force`: what goes is said first, asked about at a terminal, and in a script needs `--yes`."""

import shlex
import shutil
from pathlib import Path

import pytest
from small import SMALL, TOML, execution, results, ticking
from typer.testing import CliRunner

from ltsm.cli import dropping
from ltsm.cli.commands import app
from ltsm.errors import LtsmError, UsageError
from ltsm.store import read, schema
from ltsm.studies import paper
from ltsm.studies.study import RunKey


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A finished store of the small protocol, and the file that names that."""
    monkeypatch.chdir(tmp_path)
    for name in ("LTSM_STORE", "LTSM_DATA", "LTSM_PROTOCOL"):
        monkeypatch.delenv(name, raising=False)
    Path("small.toml").write_text(TOML)
    with schema.writer(Path("results/ltsm.db"), "test", ticking()()) as store:
        execution(store).run()
    return tmp_path


def run(*arguments):
    found = CliRunner().invoke(app, [*arguments, "--protocol", "small.toml"])
    if isinstance(found.exception, LtsmError):
        raise found.exception
    return found


BASELINE = ("train-baseline", "--seed", "0", "--force")
BUILT_ON = "seed 0 supermask, seed 0 ticket"


def test_what_is_built_on_a_run_goes_only_if_somebody_says_so(room):
    """A script that does not is refused, with what would have gone; and nothing has."""
    before = results("results/ltsm.db")
    with pytest.raises(UsageError) as caught:
        run(*BASELINE)
    assert "4 runs" in caught.value.message
    assert BUILT_ON in caught.value.message
    assert caught.value.hint.startswith("--yes")
    assert results("results/ltsm.db") == before
    done = run(*BASELINE, "--yes", "--jobs", "1")
    assert done.exit_code == 0
    assert (
        f"--force drops 4 runs, 4 files, 0 s of work; 2 of the runs are built on the others: {BUILT_ON}"
        in (" ".join(done.stderr.split()))
    )
    assert results("results/ltsm.db")[0, paper.TICKET][0] == "pending"
    assert results("results/ltsm.db")[0, paper.BASELINE] == before[0, paper.BASELINE]


def test_what_was_named_alone_is_redone_without_a_question(room):
    """Nothing else goes, so old scripts go on."""
    before = results("results/ltsm.db")
    assert run("train-ticket", "--seed", "1", "--force", "--jobs", "1").exit_code == 0
    assert results("results/ltsm.db") == before


@pytest.mark.parametrize(("answer", "state"), [(True, "pending"), (False, "done")])
def test_at_a_terminal_it_asks(room, monkeypatch, answer, state):
    """Also of what was named alone."""
    asked = []
    monkeypatch.setattr(dropping, "at_a_terminal", lambda: True)
    monkeypatch.setattr(dropping.typer, "confirm", lambda text, **_: asked.append(text) or answer)
    with schema.writer(Path("results/ltsm.db"), "test", ticking()()) as store:
        found = dropping.built_on(store, 1, paper.study(SMALL), [RunKey(paper.TICKET, 0)])
        if answer:
            dropping.drop(store, found, ticking()(), yes=False)
        else:
            with pytest.raises(UsageError, match="nothing was dropped"):
                dropping.drop(store, found, ticking()(), yes=False)
    assert len(asked) == 1
    assert results("results/ltsm.db")[0, paper.TICKET][0] == state


def test_a_dry_run_counts_what_force_would_redo(room):
    """And drops nothing."""
    before = results("results/ltsm.db")
    runs = len(before)
    assert f"0 of {runs} runs to do" in run("sweep", "--dry-run").stdout
    forced = run("sweep", "--dry-run", "--force").stdout
    assert f"{runs} of {runs} runs to do" in forced
    assert f"--force first drops {runs} runs" in forced
    some = run("sweep", "--dry-run", "--force", "--only", paper.BASELINE, "--seeds", "1").stdout
    assert "1 of 2 runs to do" in some
    assert "3 runs" in some
    assert "seed 1 ticket" in " ".join(some.split())
    assert results("results/ltsm.db") == before


def test_dropping_deletes_the_files_that_no_row_names_any_more(room):
    assert run(*BASELINE, "--yes", "--jobs", "1").exit_code == 0
    store = schema.open_for_reading(Path("results/ltsm.db"))
    named = {store.folder / file.artifact.path for row in read.runs(store) for file in row.files}
    store.close()
    assert set(Path("results/weights").absolute().rglob("*.safetensors")) == {p.absolute() for p in named}


class TestWithoutWeights:
    """The folder of the weights is gone: one sentence, and a command that brings the same files back."""

    @pytest.fixture
    def files(self, room):
        """What was there, by path."""
        found = {path: path.read_bytes() for path in Path("results/weights").rglob("*.safetensors")}
        shutil.rmtree("results/weights")
        return found

    def test_sweep_says_so_and_what_it_says_brings_them_back(self, files):
        said = run("sweep")
        words = " ".join(said.stderr.split())
        assert "weights of 10 of these runs are gone" in words
        command = shlex.split(words.partition("The seeds give the same again: ")[2].partition(" 12 of 12")[0])
        assert command[:2] == ["ltsm", "sweep"]
        again = CliRunner().invoke(app, [*command[1:], "--yes", "--jobs", "1"])
        assert again.exit_code == 0, again.output
        assert {path: path.read_bytes() for path in files} == files
        assert "gone" not in run("sweep").stderr

    def test_check_is_one_sentence(self, files):
        lines = CliRunner().invoke(app, ["db", "check"]).stdout.splitlines()
        assert len(lines) == 1
        assert "as are files of 9 more runs" in lines[0]
        assert "--force" in lines[0]

    def test_of_some_files_only_their_recipes_are_named(self, room):
        for path in Path("results/weights").rglob("hyperop-4*/*"):
            path.unlink()
        (line,) = CliRunner().invoke(app, ["db", "check"]).stdout.splitlines()
        assert "ltsm sweep --only 'hyperop (4, 3)' --seeds 0-1" in line

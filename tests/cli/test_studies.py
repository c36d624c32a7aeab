"""Studies on the command line: the paper's, the controls, and one of one's own."""

import json
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small import TOML, Here, results
from typer.testing import CliRunner

from ltsm import grammar
from ltsm.cli import say
from ltsm.cli.commands import app
from ltsm.errors import RunError, UsageError
from ltsm.protocol import load
from ltsm.steps import worker
from ltsm.steps.first import first_state
from ltsm.store import read, schema
from ltsm.studies import all as studies
from ltsm.studies import controls, paper

MINE = """
from ltsm.studies.recipe import Mask, Masking, Random, Recipe, Weights
from ltsm.studies.study import Group, Study

def study(protocol):
    start = Weights("wide", "initial")
    masking = Masking(criterion="sign", before=start, after=Weights("wide", 100), amounts=(0.5, 0.2), by="fraction")
    return Study(
        name="mine",
        title="does a search in the middle do",
        recipes={
            "wide": Recipe(hidden=(10,), start=Random(("mine",)), iterations=200, keep=(100,)),
            "search": Recipe(hidden=(10,), start=start, mask=masking, trains="nothing"),
            "sparse": Recipe(hidden=(10,), start=start, mask=Mask("search"), iterations=100),
            "rewound, late": Recipe(hidden=(10,), start=Weights("wide", 100), mask=Mask("search"), iterations=100),
        },
        groups=(Group("sparse", ("sparse",)), Group("rewound", ("rewound, late",)), Group("half", ("wide",), 100)),
    )
"""
RUNS = ["wide", "search", "sparse", "rewound, late"]
ON_SMALL = ("--protocol", "small.toml", "--jobs", "1")


class Inside(Here):
    """A worker in this process: a sweep as short as these is over before a process has imported PyTorch."""

    def shutdown(self, wait=True, *, cancel_futures=False):
        pass


@pytest.fixture
def room(tmp_path, monkeypatch):
    """An empty folder to stand in, with the small protocol and a study of one's own in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("LTSM_STORE", "LTSM_DATA", "LTSM_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(worker, "WorkerProcess", Inside)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    sys.modules.pop("mine", None)
    Path("small.toml").write_text(TOML)
    Path("mine.py").write_text(MINE)
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.fixture
def ltsm(room, monkeypatch, capsys):
    """Call the program in this process: what it printed; an error of ours comes through as itself."""
    monkeypatch.setattr(say.words, "_file", None)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["ltsm", *map(str, words)])
        done = CliRunner().invoke(app, list(map(str, words)))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return call


def runs(path="results/ltsm.db"):
    """Every run by recipe and seed."""
    store = schema.open_for_reading(Path(path))
    found = {(run.recipe, run.seed): run for run in read.runs(store)}
    store.close()
    return found


def test_a_study_of_ones_own_from_beginning_to_end(room):
    """As a person types it: run, looked at, reported on, and nothing left to do."""

    def typed(*words):
        done = subprocess.run(
            [sys.executable, "-m", "ltsm", *words], capture_output=True, text=True, check=False, timeout=500
        )
        assert done.returncode == 0, done.stderr
        return done

    swept = typed("sweep", "mine:study", *ON_SMALL)
    assert swept.stderr.endswith("8 of 8 runs are in results/ltsm.db: ltsm report mine:study\n")
    assert {state for state, *_ in results("results/ltsm.db").values()} == {"done"}
    assert set(runs()) == {(name, seed) for name in RUNS for seed in (0, 1)}
    reported = typed("report", "mine:study").stdout
    assert all(label in reported for label in ("Sparse", "Rewound", "Half"))
    assert "nothing to do" in typed("sweep", "mine:study", *ON_SMALL).stderr
    shown = typed("study", "show", "mine:study", "--protocol", "small.toml").stdout
    assert "mine: does a search in the middle do" in shown


def test_a_study_is_shown_with_what_each_recipe_needs(ltsm, room):
    shown = ltsm("study", "show", "mine:study", "--protocol", "small.toml")
    assert "mine: does a search in the middle do" in shown
    (search,) = [line for line in shown.splitlines() if line.startswith("│ search")]
    assert "by sign from wide, 2 fractions" in search
    assert "8 runs for 2 seeds of small" in shown
    assert "of disk" in shown
    found = json.loads(ltsm("study", "show", "mine:study", "--json"))
    assert [recipe["name"] for recipe in found["recipes"]] == RUNS
    assert found["recipes"][1]["needs"] == {"start": "wide", "before": "wide", "after": "wide"}
    assert [group["label"] for group in found["groups"]] == ["sparse", "rewound", "half"]
    assert found["groups"][2]["until"] == 100
    assert found["reference"] == "sparse"
    assert not Path("results").exists()


def test_every_study_is_listed(ltsm):
    found = json.loads(ltsm("study", "list", "--json"))["studies"]
    assert [study["name"] for study in found] == list(studies.STUDIES)
    assert all(study["recipes"] > 3 and study["title"] for study in found)
    listed = ltsm("study", "list")
    assert all(study["name"] in listed and study["title"].split()[0] in listed for study in found)


def test_a_dry_run_makes_nothing_and_says_time_and_disk(ltsm, room):
    before = sorted(room.rglob("*"))
    dry = ltsm("sweep", "controls", *ON_SMALL[:2], "--dry-run")
    count = 2 * len(controls.study(load(Path("small.toml"))).recipes)
    assert f"{count} of {count} runs to do" in dry
    assert "estimated: " in dry
    assert "at the speed just measured" in dry
    assert "of disk" in dry
    assert [path for path in sorted(room.rglob("*")) if "__pycache__" not in path.parts] == before


def test_only_runs_a_recipe_and_what_it_needs(ltsm, room):
    ltsm("sweep", "mine:study", *ON_SMALL, "--seeds", "0", "--only", "sparse")
    assert list(runs()) == [("wide", 0), ("search", 0), ("sparse", 0)]
    assert {run.state for run in runs().values()} == {"done"}
    dry = ltsm("sweep", "mine:study", *ON_SMALL, "--only", "rewound, late", "--dry-run")
    assert "4 of 6 runs to do" in dry
    with pytest.raises(
        UsageError, match="the study mine has no recipe 'x': there are wide, search, sparse, rew"
    ):
        ltsm("sweep", "mine:study", *ON_SMALL, "--only", "x")


@pytest.mark.parametrize("name", ["1", "small", "FINGERPRINT"])
def test_a_stored_protocol_is_named_by_number_name_or_fingerprint(ltsm, room, name):
    """The file may be gone; its seeds are those that the store has."""
    ltsm("sweep", "mine:study", *ON_SMALL, "--only", "wide")
    stored = sqlite3.connect("results/ltsm.db").execute("SELECT fingerprint FROM protocol").fetchone()[0]
    Path("small.toml").unlink()
    named = name.replace("FINGERPRINT", stored[:8])
    dry = ltsm("sweep", "mine:study", "--protocol", named, "--dry-run")
    assert "6 of 8 runs to do" in dry
    ltsm("sweep", "mine:study", "--protocol", named, "--jobs", "1", "--only", "search")
    assert {run.protocol_id for run in runs().values()} == {1}
    assert {run.state for run in runs().values()} == {"done"}


def own_data(path):
    generator = np.random.default_rng(3)
    labels = np.sort(np.arange(240) % 3)
    images = np.eye(3).repeat(2, 1)[labels] + 0.4 * generator.normal(size=(240, 6))
    Path(path).parent.mkdir(exist_ok=True)
    np.savez(path, x_train=images, y_train=labels, x_val=images[::3], y_val=labels[::3])


def test_a_stored_protocol_on_data_of_ones_own_finds_it_by_its_folder(ltsm, room):
    own_data("here/own.npz")
    ltsm("sweep", "mine:study", *ON_SMALL, "--dataset", "here/own.npz", "--only", "wide", "--seeds", "0")
    Path("here").rename("there")
    with pytest.raises(Exception, match=r"own\.npz"):
        ltsm("sweep", "mine:study", "--protocol", "1", "--jobs", "1", "--only", "sparse")
    ltsm("sweep", "mine:study", "--protocol", "1", "--data", "there", "--jobs", "1", "--only", "sparse")
    assert set(runs()) == {("wide", 0), ("search", 0), ("sparse", 0)}
    assert {(run.state, run.inputs, run.classes) for run in runs().values()} == {("done", 6, 3)}


def test_force_undoes_other_studies_runs_that_are_built_on_what_is_redone(ltsm, room):
    """They are pending again and their files are gone; what does not need it stays."""
    ltsm(
        "sweep",
        "controls",
        *ON_SMALL,
        "--seeds",
        "0",
        "--only",
        controls.SHUFFLED,
        "--only",
        controls.REDRAWN,
    )
    ltsm("sweep", *ON_SMALL, "--seeds", "0", "--only", paper.hyperop((4, 3)))
    before = runs()
    files = {
        name: [Path("results") / file.artifact.path for file in run.files]
        for (name, _), run in before.items()
    }
    ltsm("sweep", *ON_SMALL, "--seeds", "0", "--only", paper.BASELINE, "--force", "--yes")
    after = runs()
    undone = {name for (name, _), run in after.items() if run.state == "pending"}
    assert undone == {paper.SUPERMASK, controls.SHUFFLED, controls.REDRAWN}
    assert not files[controls.SHUFFLED][0].exists()
    assert not files[controls.REDRAWN][-1].exists()
    for name in (paper.INITIAL, paper.hyperop((4, 3))):
        assert after[name, 0] == before[name, 0]
    assert after[paper.BASELINE, 0].final.sha256 == before[paper.BASELINE, 0].final.sha256
    assert ltsm("db", "check").startswith("results/ltsm.db: every row has its files")


class FailingSearch(Inside):
    """A worker that cannot make masks."""

    def submit(self, fn, /, *args, **kwargs):
        if fn is first_state and args[1].trains == "nothing":
            return super().submit(self.fail)
        return super().submit(fn, *args, **kwargs)

    def fail(self):
        raise RunError("no light to search by")


def test_a_failed_search_has_a_row_and_is_tried_again(ltsm, room, monkeypatch):
    monkeypatch.setattr(worker, "WorkerProcess", FailingSearch)
    with pytest.raises(RunError, match="seed 0 supermask failed: no light to search by"):
        ltsm("find-supermask", *ON_SMALL, "--seed", "0")
    found = runs()[paper.SUPERMASK, 0]
    assert (found.state, found.error, found.iterations) == ("failed", "no light to search by", 0)
    assert "seed 0 supermask failed: no light to search by" in " ".join(ltsm("status").split())
    (protocol,) = json.loads(ltsm("status", "--json"))["protocols"]
    assert [run["state"] for run in protocol["runs"] if run["recipe"] == paper.SUPERMASK] == ["failed"]
    monkeypatch.setattr(worker, "WorkerProcess", Inside)
    assert "seed 0 supermask: t = " in ltsm("find-supermask", *ON_SMALL, "--seed", "0")
    assert runs()[paper.SUPERMASK, 0].state == "done"
    assert runs()[paper.SUPERMASK, 0].error is None


def test_check_names_a_damaged_file_once_with_the_run_that_writes_it(ltsm, room):
    """Several runs start from the same file."""
    ltsm("sweep", *ON_SMALL, "--seeds", "0")
    (initial,) = Path("results").rglob("initial-training-*/initial.safetensors")
    (final,) = Path("results").rglob("ticket-*/final.safetensors")
    for file in (initial, final):
        file.write_bytes(b"damaged")
    findings = json.loads(ltsm("db", "check", "--json"))["findings"]
    assert [finding["what"] for finding in findings] == ["damaged file"] * 2
    assert str(initial) in findings[0]["where"]
    assert "--only 'initial training' --seeds 0" in findings[0]["do"]
    assert "--only ticket --seeds 0" in findings[1]["do"]
    assert len(ltsm("db", "check").splitlines()) == 2


def commands(path, force):
    """For every run the command that does it again."""
    store = schema.open_for_reading(Path(path))
    settings = {row.id: row.settings for row in read.protocols(store)}
    found = [
        (run, grammar.again(run, settings[run.protocol_id], store.path, force=force))
        for run in read.runs(store)
    ]
    store.close()
    return found


def test_every_command_that_is_proposed_does_that_run_again(ltsm, room):
    """Of the paper, of the controls, of a study of one's own, on data of one's own: typed as it stands."""
    own_data("data of mine/own.npz")
    for study, protocol in (
        ("paper", ()),
        ("controls", ()),
        ("mine:study", ("--dataset", "data of mine/own.npz")),
    ):
        ltsm("sweep", study, *ON_SMALL, "--seeds", "1", *protocol, "--store", "my runs/x.db")
    Path("small.toml").unlink()
    proposed = commands("my runs/x.db", force=True)
    assert len(proposed) == 6 + 7 + 4
    before = everything("my runs/x.db")
    for run, command in proposed:
        ltsm(*shlex.split(command)[1:], "--jobs", "1", "--yes")
        (again,) = [other for other, _ in commands("my runs/x.db", force=True) if other.id == run.id]
        assert again.state == "done", command
        assert again.started_at > run.started_at, command
        assert again.protocol_id == run.protocol_id
        assert again.provenance["study"] == run.provenance["study"]
    for run, command in commands("my runs/x.db", force=False):
        if run.state == "pending":
            ltsm(*shlex.split(command)[1:], "--jobs", "1", "--yes")
    assert everything("my runs/x.db") == before


def everything(path):
    """Every run's recipe, length and files; no run is there twice, and none of another protocol."""
    found = [
        (run.id, run.protocol_id, run.recipe, run.state, run.iteration, run.files)
        for run, _ in commands(path, force=False)
    ]
    return sorted(found)

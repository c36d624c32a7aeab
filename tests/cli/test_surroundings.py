"""What a shell, a notebook or a container has set around the program: it is no traceback, and changes no file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small import execution, ticking
from typer.testing import CliRunner

from ltsm.cli.commands import COMMANDS, NOUNS, app
from ltsm.errors import UsageError
from ltsm.paths import read_path
from ltsm.store import schema

AROUND = {
    "a notebook's backend": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    "a backend that there is not": {"MPLBACKEND": "nonsense"},
    "no display": {"DISPLAY": "", "MPLBACKEND": "tkagg"},
    "no folder for matplotlib": {"MPLCONFIGDIR": "/proc/none"},
    "no terminal": {"TERM": None},
    "an unknown terminal": {"TERM": "nonsense"},
    "one column": {"COLUMNS": "1", "LINES": "1"},
    "no home": {"HOME": None},
    "a home that is not there": {"HOME": "/proc/none"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "C.UTF-8": {"LC_ALL": "C.UTF-8"},
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "a safe path": {"PYTHONSAFEPATH": "1"},
    "no asserts": {"PYTHONOPTIMIZE": "1"},
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
}
LTSM = "import sys; from ltsm.cli import main; sys.exit(main())"


def run(*words, cwd, **changes):
    """The program as a person starts it; the environment is this one's with some changes."""
    environ = {**os.environ, **changes}
    environ = {name: value for name, value in environ.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-c", LTSM, *map(str, words)], cwd=cwd, env=environ, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with a store, weights, data and a network of one's own."""
    import numpy as np
    import torch
    from torch import nn

    folder = tmp_path_factory.mktemp("room")
    with schema.writer(folder / "s.db", "test", ticking()()) as store:
        execution(store).run()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    torch.save(model.state_dict(), folder / "initial.pt")
    torch.save({"net": {n: t + 0.1 for n, t in model.state_dict().items()}}, folder / "trained.pt")
    x, y = np.random.default_rng(0).normal(size=(60, 6)), np.arange(60) % 3
    np.savez(folder / "mine.npz", x_train=x, y_train=y, x_val=x[:30], y_val=y[:30])
    (folder / "noisy.py").write_text(
        "import torch\nfrom torch import nn\n"
        "torch.set_default_dtype(torch.float64); torch.set_num_threads(3); torch.manual_seed(5)\n"
        "print('imported')\n"
        "class Net(nn.Sequential):\n"
        "    def forward(self, x):\n"
        "        print('called')\n"
        "        return super().forward(x)\n"
        "def make():\n"
        "    print('made')\n"
        "    return Net(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).float()\n"
    )
    return folder


@pytest.fixture(scope="module")
def expected(room):
    made = run("figures", 4, "--format", "svg", "--store", "s.db", "--out", "plain", cwd=room)
    assert made.returncode == 0, made.stderr
    return (room / "plain" / "figure_4.svg").read_bytes()


@pytest.mark.parametrize("around", AROUND)
def test_figures_are_the_same_bytes_whatever_is_set(room, expected, tmp_path, around):
    done = run(
        "figures", 4, "--format", "svg", "--store", "s.db", "--out", tmp_path, cwd=room, **AROUND[around]
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "figure_4.svg").read_bytes() == expected


@pytest.mark.parametrize("around", ["warnings are errors", "no asserts", "C"])
def test_a_sweep_and_a_network_of_ones_own_run_whatever_is_set(room, tmp_path, around):
    """Workers and the caller's code are started with the same surroundings."""
    for name in ("initial.pt", "trained.pt", "mine.npz", "noisy.py"):
        shutil.copy(room / name, tmp_path)
    (tmp_path / "p.toml").write_text('dataset = "mine.npz"\nhidden = [4]\niterations = 20\ninitial_iterations = 20\nthreshold_step = 0.2\n')  # fmt: skip
    words = [
        [
            "prune",
            "--initial=initial.pt",
            "--trained=trained.pt",
            "--data=mine.npz",
            "--network=noisy:make",
            "--json",
        ],
        ["sweep", "--protocol=p.toml", "--seeds=0", "--store=s.db", "--jobs=1"],
        ["report", "--store=s.db"],
    ]
    for command in words:
        done = run(*command, cwd=tmp_path, **AROUND[around])
        assert done.returncode == 0, done.stderr
        assert b"Warning" not in done.stderr


def test_what_a_network_prints_or_sets_changes_no_document(room):
    """JSON stays JSON; the same numbers as without such a network's own module."""
    import json

    files = ["--initial=initial.pt", "--trained=trained.pt", "--key=net", "--data=mine.npz", "--json"]
    done = run("prune", *files, cwd=room)
    assert done.returncode == 2, done.stderr
    assert b"leave out --key" in done.stderr
    files.remove("--key=net")
    plain = run("prune", *files, "--train", "--iterations=20", cwd=room)
    noisy = run("prune", *files, "--train", "--iterations=20", "--network=noisy:make", cwd=room)
    assert (plain.returncode, noisy.returncode) == (0, 0), plain.stderr + noisy.stderr
    first, second = json.loads(plain.stdout), json.loads(noisy.stdout)
    assert [t["val_accuracy"] for t in first["thresholds"]] == [
        t["val_accuracy"] for t in second["thresholds"]
    ]
    assert first["training"][-1]["val_loss"] == pytest.approx(second["training"][-1]["val_loss"], rel=1e-4)
    assert all(word in noisy.stderr for word in (b"imported", b"made", b"called"))
    assert b"lie under 'net'" in plain.stderr


class TestPaths:
    """~ is the home folder wherever a path is named; a shell leaves it alone after an = sign and in variables."""

    @pytest.fixture
    def home(self, tmp_path, room):
        for name in ("s.db", "initial.pt", "trained.pt", "mine.npz"):
            shutil.copy(room / name, tmp_path / name)
        shutil.copytree(room / "s-weights", tmp_path / "s-weights") if (room / "s-weights").exists() else None
        (tmp_path / "work").mkdir()
        return tmp_path

    def test_in_every_option_and_variable(self, home, monkeypatch):
        monkeypatch.chdir(home / "work")
        names = {"HOME": str(home), "LTSM_STORE": None, "LTSM_DATA": None}
        commands = [
            (["status", "--store=~/s.db"], {}),
            (["status"], {"LTSM_STORE": "~/s.db"}),
            (["report", "--store=~/s.db", "--output=~/r.md"], {}),
            (["figures", "4", "--store=~/s.db", "--out=~/f"], {}),
            (["data", "check", "~/mine.npz"], {}),
            (["data", "check", "mine.npz"], {"LTSM_DATA": "~"}),
            (["data", "check", "mine.npz", "--data=~"], {}),
            (["init", "--protocol-file=~/p.toml"], {}),
            (["init", "--store=~/new.db"], {}),
            (["sweep", "--protocol=~/p.toml", "--store=~/new.db", "--dry-run", "--dataset=digits"], {}),
            (["db", "backup", "~/copies/copy.db", "--store=~/new.db"], {}),
            (
                [
                    "prune",
                    "--initial=~/initial.pt",
                    "--trained=~/trained.pt",
                    "--data=~/mine.npz",
                    "--out=~/o",
                ],
                {},
            ),
            (["ticket", "show", "~/o/network.ticket"], {}),
            (["ticket", "export", "~/o/network.ticket", "--out=~/t.pt"], {}),
        ]
        for command, changes in commands:
            done = CliRunner().invoke(app, command, env=names | changes)
            assert done.exit_code == 0, (command, done.exception)
        assert [path.name for path in (home / "work").iterdir()] == []
        for made in ("r.md", "f/figure_4.png", "p.toml", "o/network.ticket", "t.pt", "copies/copy.db"):
            assert (home / made).is_file()

    def test_in_the_library(self, home, monkeypatch):
        import torch

        import ltsm
        from ltsm.library.tickets import Ticket

        monkeypatch.setenv("HOME", str(home))
        monkeypatch.chdir(home / "work")
        values = {"w": torch.ones(2)}
        ltsm.save_ticket(Ticket(mask=values, initial=values), "~/x.ticket")
        assert ltsm.load_ticket("~/x.ticket").kept == 2
        assert (home / "x.ticket").is_file()

    @pytest.mark.parametrize("text", ["", "a\0b", 3, None, b"x", ["x"], "~nobody-of-that-name/x"])
    def test_what_is_no_path_is_a_sentence(self, text):
        with pytest.raises(UsageError):
            read_path(text)


@pytest.mark.parametrize("command", ["status", "prune --initial a.pt --trained b.pt --data digits"])
def test_a_working_folder_that_is_gone_is_a_sentence(tmp_path, command):
    """The shell stands in a folder that another one has removed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os, shutil; shutil.rmtree({str(gone)!r}); {LTSM}"
    done = subprocess.run(
        [sys.executable, "-c", script, *command.split()], cwd=gone, capture_output=True, check=False
    )
    assert done.returncode == 3
    assert b"the folder that this command was started in is gone" in done.stderr
    assert b"Traceback" not in done.stderr


def test_every_option_that_is_a_path_is_read_by_the_one_function():
    """A new one that is not is found here."""
    import inspect
    import typing

    functions = [function for rows in COMMANDS.values() for _, function, *_ in rows]
    functions += [command.callback for _, _, noun, _ in NOUNS for command in noun.registered_commands]
    unread = []
    for function in functions:
        hints = typing.get_type_hints(function, include_extras=True)
        for name, hint in hints.items():
            if name in inspect.signature(function).parameters and typing.get_origin(hint) is typing.Annotated:
                kind, option = typing.get_args(hint)[:2]
                if Path in (kind, *typing.get_args(kind)) and option.parser is not read_path:
                    unread.append(f"{function.__name__} {name}")
    assert unread == []

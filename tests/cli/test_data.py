"""`ltsm data get` and `ltsm data check`: what they print, where, and what they refuse."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from typer.testing import CliRunner

from ltsm.cli.data import app
from ltsm.core import idx, sources
from ltsm.errors import DataError, LtsmError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

CONTENTS = {
    file.name: bytes((0, 0, 8, n)) + b"\0\0\0\2" * n + bytes(2**n)
    for file, n in zip(idx.MNIST.files, (3, 1, 3, 1), strict=True)
}
"""Two black 2×2 images and their labels, twice, under MNIST's names."""
LABELS = idx.MNIST.files[1].name
UNREACHABLE = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def _tiny_mnist_alone_in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = [
        idx.PublishedFile(name, len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())
        for name, content in CONTENTS.items()
    ]
    tiny = idx.PublishedSet("MNIST", 10, tuple(files))
    monkeypatch.setitem(sources.DATASETS, "mnist", sources.Source(partial(sources.read_idx_set, tiny), tiny))
    monkeypatch.setenv("LTSM_MIRROR", UNREACHABLE)
    monkeypatch.delenv("LTSM_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder with good files."""
    folder = tmp_path / "stick"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: object) -> LtsmError:
    """The error that the command ends in."""
    error = run(*arguments).exception
    assert isinstance(error, LtsmError), error
    return error


def test_get_copies_from_a_folder_and_prints_where_to(stick: Path) -> None:
    done = run("get", "--from", stick)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "data\n", "mnist is complete\n")
    assert run("check").exit_code == 0


def test_the_folder_is_the_options_else_the_environments(
    stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTSM_DATA", "kept")
    assert run("get", "--from", stick).stdout == "kept\n"
    assert run("get", "--from", stick, "--data", "other").stdout == "other\n"
    assert (tmp_path / "other" / "MNIST" / "raw" / LABELS).is_file()


def test_get_without_a_network_names_the_mirrors_and_the_ways_out() -> None:
    error = refused("get")
    assert isinstance(error, DataError)
    assert UNREACHABLE in error.message
    assert "--from DIR" in error.hint
    mirror = "http://127.0.0.1:10/"
    assert mirror in refused("get", "--mirror", mirror).message


def test_get_leaves_whole_data_alone_unless_forced(stick: Path) -> None:
    assert run("get", "--data", stick).stdout == f"{stick}\n"
    assert isinstance(refused("get", "--data", stick, "--force"), DataError)
    assert run("check", "--data", stick).exit_code == 0, "nothing is lost"


def test_two_sources_exclude_each_other(stick: Path) -> None:
    error = refused("get", "--from", stick, "--mirror", UNREACHABLE)
    assert isinstance(error, UsageError)


@pytest.mark.parametrize("command", ["get", "check"])
def test_an_unknown_data_set_is_refused(command: str) -> None:
    error = refused(command, "imagenet")
    assert isinstance(error, UsageError)
    assert "mnist, digits" in error.message


@pytest.mark.parametrize("command", ["get", "check"])
def test_digits_need_no_files(command: str) -> None:
    done = run(command, "digits")
    assert done.exit_code == 0
    assert "needs no files" in done.output


def test_check_prints_a_line_per_file(stick: Path) -> None:
    done = run("check", "--data", stick)
    assert done.stdout.splitlines() == [f"fine     {stick / name}" for name in CONTENTS]
    assert done.stderr == ""


def test_check_says_what_is_there_and_what_should_be(stick: Path) -> None:
    (stick / LABELS).write_bytes(b"short")
    (stick / idx.MNIST.files[0].name).unlink()
    done = run("check", "--data", stick)
    missing, damaged, found, published, *fine = done.stdout.splitlines()
    assert missing == f"missing  {idx.MNIST.files[0].name}"
    assert damaged == f"damaged  {stick / LABELS}"
    assert found.split()[:3] == ["found", "5", "bytes,"]
    assert published.split()[:3] == ["not", "10", "bytes,"]
    assert len(fine) == 2
    assert isinstance(done.exception, DataError)
    assert (done.exception.exit_code, LABELS in done.exception.message) == (3, True)
    assert done.exception.hint == f"ltsm data get mnist --data {stick}"


def test_check_as_json_is_one_document_even_when_files_are_bad(stick: Path) -> None:
    (stick / LABELS).write_bytes(b"short")
    done = run("check", "--data", stick, "--json")
    assert isinstance(done.exception, DataError)
    report = json.loads(done.stdout)
    assert (report["dataset"], report["folder"], report["fine"]) == ("mnist", str(stick), False)
    assert [file["state"] for file in report["files"]] == ["fine", "damaged", "fine", "fine"]
    assert report["files"][1]["size"] == 5
    assert report["files"][1]["expected_size"] == 10


@pytest.mark.parametrize("command", ["get", "check"])
def test_help_opens_with_examples_that_fit_a_terminal(command: str) -> None:
    lines = [line.strip() for line in run(command, "--help").stdout.splitlines() if line.strip()]
    assert lines[1] == "Examples:"
    assert lines[2].startswith(f"ltsm data {command}")
    assert max(map(len, lines)) <= 80


def test_importing_the_commands_imports_no_torch() -> None:
    code = "import sys, ltsm.cli.data; print([m for m in sys.modules if m.startswith(('torch', 'sklearn'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["get", "check"])
@pytest.mark.parametrize("name", ["auto", "nmist"])
def test_an_unknown_data_set_gets_a_hint_that_fits(command: str, name: str) -> None:
    """These commands have no --dataset."""
    found = run(command, name)
    assert isinstance(found.exception, UsageError)
    assert f"there is no data set {name!r}: there are mnist" in found.exception.message
    assert found.exception.hint.startswith("name one of these")


def test_check_of_ones_own_data_says_what_was_taken_as_what(tmp_path: Path) -> None:
    """Folders, classes with their counts, pixels, and what was left out; the same as JSON."""
    for part, count in (("train", 3), ("valid", 2), ("test", 2)):
        for shade, name in ((40, "cat"), (200, "dog")):
            place = tmp_path / "photos" / part / name
            place.mkdir(parents=True)
            for i in range(count):
                Image.new("L", (4, 4), shade + i).save(place / f"{i}.png")
            (place / ".hidden.png").write_bytes(b"")
    done = run("check", f"{tmp_path}/photos@4x4:grey")
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[1:] == [
        "training set train",
        "validation set valid",
        "test set test",
        "label 0 cat: 3 training, 2 validation, 2 test images",
        "label 1 dog: 3 training, 2 validation, 2 test images",
        "pixels 40 … 202",
        "left out 6 hidden",
    ]
    report = json.loads(run("check", f"{tmp_path}/photos@4x4:grey", "--json").stdout)
    assert report["images_of_classes"][1] == {"name": "dog", "training": 3, "validation": 2, "test": 2}
    assert (report["pixels"], report["left_out"], report["test_set"]) == ([40, 202], {"hidden": 6}, "test")


def test_a_home_folder_is_found_in_every_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves ~ alone after an = sign."""
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run("check", "--data=~/none")
    assert isinstance(done.exception, DataError)
    assert f"{tmp_path}/none" in done.exception.message

"""docs/guide.md: its script and its commands run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
ALONE = {"OMP_NUM_THREADS": "1", "LTSM_DATA": ""}
"""One thread: on small networks several only wait for each other."""


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | ALONE, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> tuple[Path, str]:
    """The folder in which the script ran, and what it printed."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "script.py").write_text(block("python"), encoding="utf-8")
    return folder, run([sys.executable, "script.py"], folder)


def accuracies(printed: str) -> dict[str, float]:
    rows = re.findall(r"^(\S.*?) {2,}[\d,]+ +([\d.]+)%$", printed, re.MULTILINE)
    return {name: float(share) for name, share in rows}


def test_the_script_prints_what_the_guide_says(ran) -> None:
    """The same rows, and numbers that say the same."""
    _, printed = ran
    found, promised = accuracies(printed), accuracies(block("text"))
    assert found.keys() == promised.keys()
    assert found["untrained, masked"] > 3 * found["untrained, dense"]
    assert abs(found["ticket: masked, then trained"] - found["trained, dense"]) < 8


def test_the_commands_do(ran) -> None:
    """Each line of the shell block, and the ticket evaluates as recorded."""
    folder, _ = ran
    for line in block("sh").splitlines():
        program, *arguments = shlex.split(line)
        assert program == "ltsm"
        printed = run([sys.executable, "-m", "ltsm", *arguments], folder)
        if arguments[:2] == ["ticket", "evaluate"]:
            assert printed.count("as recorded, to the last image") == 2


def test_the_first_part_imports_nothing_of_ours() -> None:
    """It is a plain PyTorch script up to a comment."""
    before, after = block("python").split("# From here on")
    assert "ltsm" not in before
    assert "import ltsm" in after

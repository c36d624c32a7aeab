"""docs/choosing_a_mask.md: its script and its first commands run as they stand, and its tables name all that there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ltsm.core.actions import KEPT, PRUNED
from ltsm.core.criteria import CRITERIA

PAGE = (Path(__file__).parents[2] / "docs" / "choosing_a_mask.md").read_text(encoding="utf-8")
ALONE = {"OMP_NUM_THREADS": "1", "LTSM_DATA": ""}


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | ALONE, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(printed: str) -> dict[str, tuple[float, float]]:
    found = re.findall(r"^(\S.*?) {2,}([\d.]+)% +([\d.]+)%$", printed, re.MULTILINE)
    return {name: (float(size), float(accuracy)) for name, size, accuracy in found}


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("choosing")
    (folder / "script.py").write_text(block("python"), encoding="utf-8")
    return folder, run([sys.executable, "script.py"], folder)


def test_the_script_prints_what_the_page_says(ran) -> None:
    """The same rows and sizes, and accuracies that say the same."""
    found, promised = rows(ran[1]), rows(block("text"))
    assert found.keys() == promised.keys()
    for name, (size, accuracy) in promised.items():
        assert abs(found[name][0] - size) < 8
        assert abs(found[name][1] - accuracy) < 12


def test_the_commands_do(ran) -> None:
    folder, _ = ran
    for line in block("sh").splitlines():
        program, *arguments = shlex.split(line)
        assert program == "ltsm"
        assert "a fraction of 0.2 keeps" in run([sys.executable, "-m", "ltsm", *arguments], folder)


@pytest.mark.parametrize("name", [*CRITERIA, *KEPT, *PRUNED])
def test_every_criterion_and_action_is_in_a_table(name) -> None:
    assert re.search(rf"^\|.*`{name}`", PAGE, re.MULTILINE)

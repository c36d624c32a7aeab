"""docs/guide.md: its script and its commands run as they stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from docs_pages import Page, command

if TYPE_CHECKING:
    from pathlib import Path

PAGE = Page("guide")


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> tuple[Path, str]:
    """The folder in which the script ran, and what it printed."""
    folder = tmp_path_factory.mktemp("guide")
    return folder, PAGE.script(folder)


def accuracies(printed: str) -> dict[str, float]:
    rows = re.findall(r"^(\S.*?) {2,}[\d,]+ +([\d.]+)%$", printed, re.MULTILINE)
    return {name: float(share) for name, share in rows}


def test_the_script_prints_what_the_guide_says(ran) -> None:
    """The same rows, and numbers that say the same."""
    _, printed = ran
    found, promised = accuracies(printed), accuracies(PAGE.block("text"))
    assert found.keys() == promised.keys()
    assert found["untrained, masked"] > 3 * found["untrained, dense"]
    assert abs(found["ticket: masked, then trained"] - found["trained, dense"]) < 8


def test_the_commands_do(ran) -> None:
    """Each line of the shell block, and the ticket evaluates as recorded."""
    folder, _ = ran
    for line in PAGE.block("sh").splitlines():
        printed = command(line, folder)
        if line.startswith("ltsm ticket evaluate"):
            assert printed.count("as recorded, to the last image") == 2


def test_the_first_part_imports_nothing_of_ours() -> None:
    """It is a plain PyTorch script up to a comment."""
    before, after = PAGE.block("python").split("# From here on")
    assert "ltsm" not in before
    assert "import ltsm" in after

"""docs/choosing_a_mask.md: its script and its first commands run as they stand, and its tables name all that there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from docs_pages import Page, command

from ltsm.core.actions import KEPT, PRUNED
from ltsm.core.criteria import CRITERIA

if TYPE_CHECKING:
    from pathlib import Path

PAGE = Page("choosing_a_mask")


def rows(printed: str) -> dict[str, tuple[float, float]]:
    found = re.findall(r"^(\S.*?) {2,}([\d.]+)% +([\d.]+)%$", printed, re.MULTILINE)
    return {name: (float(size), float(accuracy)) for name, size, accuracy in found}


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("choosing")
    return folder, PAGE.script(folder)


def test_the_script_prints_what_the_page_says(ran) -> None:
    """The same rows and sizes, and accuracies that say the same."""
    found, promised = rows(ran[1]), rows(PAGE.block("text"))
    assert found.keys() == promised.keys()
    for name, (size, accuracy) in promised.items():
        assert abs(found[name][0] - size) < 8
        assert abs(found[name][1] - accuracy) < 12


def test_the_commands_do(ran) -> None:
    folder, _ = ran
    for line in PAGE.block("sh").splitlines():
        assert "a fraction of 0.2 keeps" in command(line, folder)


@pytest.mark.parametrize("name", [*CRITERIA, *KEPT, *PRUNED])
def test_every_criterion_and_action_is_in_a_table(name) -> None:
    assert re.search(rf"^\|.*`{name}`", PAGE.text, re.MULTILINE)

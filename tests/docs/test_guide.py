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


def kept_and_right(printed: str) -> dict[str, list[float]]:
    """Name → what it keeps and what it classifies, in per cent; of the whole network the latter alone."""
    rows = re.findall(r"^(\S.*?) {2,}(.+%)$", printed, re.MULTILINE)
    return {name: [float(v) for v in re.findall(r"([\d.]+)%", numbers)] for name, numbers in rows}


def test_the_script_that_learns_a_mask_prints_what_the_guide_says(ran) -> None:
    """The same rows, and numbers that say the same: masks do what weights that are trained do."""
    printed = PAGE.script(ran[0], 3)
    found, promised = kept_and_right(printed), kept_and_right(PAGE.block("text", 3))
    assert found.keys() == promised.keys()
    assert len(found) == 4
    for name, numbers in promised.items():
        assert all(abs(a - b) < 5 for a, b in zip(found[name], numbers, strict=True))
    assert found["Bernoulli"][1] > 4 * found["the same network without a mask"][0]
    assert (ran[0] / "learned.ticket").exists()


def test_the_commands_that_learn_a_mask_do(ran) -> None:
    folder, _ = ran
    learned, evaluated = (command(line, folder) for line in PAGE.block("sh", 1).splitlines())
    assert "bernoulli learned in 1,500 iterations a mask that keeps" in learned
    assert evaluated.count("as recorded, to the last image") == 1


def test_the_first_part_imports_nothing_of_ours() -> None:
    """It is a plain PyTorch script up to a comment."""
    before, after = PAGE.block("python").split("# From here on")
    assert "ltsm" not in before
    assert "import ltsm" in after


def rounds(printed: str) -> list[tuple[int, float, float]]:
    """Number, density and accuracy of each."""
    found = re.findall(r"^round +(\d+): .*?([\d.]+)%, accuracy ([\d.]+)%", printed, re.MULTILINE)
    return [(int(number), float(density), float(accuracy)) for number, density, accuracy in found]


@pytest.mark.parametrize("place", [1, 2])
def test_the_scripts_that_prune_iteratively_print_what_the_guide_says(tmp_path, place) -> None:
    """The same rounds and sizes, and accuracies that say the same; the first leaves a ticket of each round."""
    found, promised = rounds(PAGE.script(tmp_path, place)), rounds(PAGE.block("text", place))
    assert [row[:2] for row in found] == [row[:2] for row in promised]
    assert found[-1][1] < 5
    for (_, _, ours), (_, _, said) in zip(found, promised, strict=True):
        assert abs(ours - said) < 12
    if place == 1:
        assert len([*tmp_path.glob("round-*.ticket")]) == 19
        assert re.search(r"kept +265\b", command("ltsm ticket show round-18.ticket", tmp_path))

"""docs/taking_away.md: its sweeps, its script and its exports run as they stand, and it lists every column."""

from __future__ import annotations

import csv
import json
import re
import sys
from typing import TYPE_CHECKING

import pytest
from docs_pages import Page, command, run

from ltsm.report import records

if TYPE_CHECKING:
    from pathlib import Path

PAGE = Page("taking_away")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the two sweeps of the page have run."""
    found = tmp_path_factory.mktemp("taking_away")
    for line in PAGE.block("sh").splitlines():
        command(line, found)
    return found


def test_the_script_compares_two_protocols_seed_by_seed(folder: Path) -> None:
    printed = PAGE.script(folder)
    assert "wide (12 of 12 runs done), narrow (12 of 12 runs done)" in printed
    assert re.search(
        r"^-?\d\.\d{3} ± \d\.\d{3} more loss in the narrow one, over 3 seeds$", printed, re.MULTILINE
    )


def test_a_data_frame_of_all_curves_is_three_lines(folder: Path) -> None:
    """The first three that are none of Python's blank ones."""
    lines = [line for line in PAGE.block("python").splitlines() if line]
    (folder / "short.py").write_text("\n".join([*lines[:3], "print(len(curves))"]), encoding="utf-8")
    assert int(run([sys.executable, "short.py"], folder)) > 100


def test_the_exports_write_what_they_say(folder: Path) -> None:
    """Every line of the page's block."""
    lines = re.findall(r"^ltsm export .*$", PAGE.text, re.MULTILINE)
    printed = [command(line, folder) for line in lines]
    assert len(lines) == 3
    with (folder / "runs.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 24
    assert (folder / "curves.parquet").read_bytes()[:4] == b"PAR1"
    assert json.loads(printed[2])["what"] == "masks"


@pytest.mark.parametrize(
    ("of", "kind"),
    [("runs", records.RunRecord), ("curves", records.CurveRecord), ("masks", records.MaskRecord)],
)
def test_every_column_is_listed_in_order(of: str, kind: type) -> None:
    row = re.search(rf"^\| {of} \|(.*)\|$", PAGE.text, re.MULTILINE)
    assert row
    assert tuple(re.findall(r"`(\w+)`", row[1])) == kind._fields


@pytest.mark.parametrize(
    ("call", "kind"), [(r"\.protocols\(\)", records.ProtocolRecord), (r"\.table\(.*\)", records.TableRecord)]
)
def test_so_is_what_python_alone_has(call: str, kind: type) -> None:
    row = re.search(rf"^\| `{call}` \|(.*)\|$", PAGE.text, re.MULTILINE)
    assert row
    assert tuple(re.findall(r"`(\w+)`", row[1])) == kind._fields

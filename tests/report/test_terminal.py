"""The tables in terminals of every width: no number and no word is ever cut."""

import re

import pytest
from rich.console import Console

from ltsm.report import document
from ltsm.report.all import contents, table
from ltsm.report.paper.verify import verify
from ltsm.report.terminal import verification

WIDTHS = [30, 40, 60, 72, 80, 92, 100, 120, 140, 160, 200]


def shown(renderable, width):
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    return lines


def words(lines):
    """An ellipsis is a word of a heading; at the end of another it stands for what was cut."""
    found = set(" ".join(lines).split())
    assert not [word for word in found - {"…"} if "…" in word]
    return found


@pytest.mark.parametrize("name", ["mixed", "controls"])
@pytest.mark.parametrize("against_paper", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_report_is_whole(evaluations, width, against_paper, name):
    """At 80 columns numbers were folded, at 40 they were cut: `42…`."""
    evaluation = evaluations(name)
    lines = shown(document.terminal(evaluation, against_paper=against_paper), width)
    found = words(lines)
    against_paper = against_paper and name == "mixed"
    assert all(set(claim.sentence.split()) <= found for claim in contents(evaluation).claims)
    for row in table(evaluation).rows:
        assert set(row.label.split()) <= found
        for cell in row.cells:
            parts = [cell.text, *([cell.published, cell.agreement] if against_paper else [])]
            assert all(any(part in line for line in lines) for part in parts)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_verification_is_whole(evaluations, width):
    """At 80 columns the titles were seven characters wide and folded inside words."""
    found = verify(evaluations("mixed"))
    lines = shown(verification(found), width)
    known = words(lines)
    for line in found.lines:
        assert set(line.title.split()) <= known
        for part in (line.text(line.ours), line.text(line.theirs), line.difference_text, line.p_text):
            assert any(part in text for text in lines)
    counts = {v: sum(len(re.findall(v, text)) for text in lines) for v in ("reproduced", "differs")}
    summary = found.summary
    assert {v: n - summary.count(v) for v, n in counts.items()} == {v: found.count(v) for v in counts}


@pytest.mark.parametrize(("width", "titles"), [(80, 3), (120, 2)])
def test_a_published_number_is_a_line_or_two(evaluations, width, titles):
    found = verify(evaluations("full"))
    lines = shown(verification(found), width)
    assert len(lines) <= titles * len(found.lines) + 10


def test_a_line_above_each_group_names_it(evaluations):
    """160 columns, as `report` gives a pipe."""
    lines = [line.strip() for line in document.text(evaluations("mixed"), False).splitlines()]
    medium, low = lines.index("Medium performers"), lines.index("Low performers")
    assert any(line.startswith("Hyperop (50, 25) (n = 9)") for line in lines[medium:low])


def test_a_wide_table_comes_in_two_halves_before_it_is_stacked(evaluations):
    """At 80 columns, the usual width, nine networks are two tables of nine lines and not one of seventy-two."""
    lines = shown(document.terminal(evaluations("controls"), against_paper=False), 80)
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("Is it"))]
    assert sum(line.strip().startswith("Redrawn, same") for line in table) == 2
    assert len(table) < 40

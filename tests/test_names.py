"""Nothing but the studies and the paper's own report knows what the paper's recipes are called."""

import ast
import re
from pathlib import Path

import pytest

import ltsm
from ltsm.protocol import PAPER
from ltsm.studies import paper

HOUSE = Path(ltsm.__file__).parent
OWNERS = ("studies", "report/paper")
NAMES = frozenset(paper.study(PAPER).recipes)
LIKE = re.compile(r"hyperop ?(\(.*)?")
"""Of the dense networks any, also those that no protocol has."""
ALLOWED = {
    ("bench/gpu_whole.py", "hyperop"): "the first word of a random stream's name, which no recipe changes",
    ("cli/commands.py", "ticket"): "the noun of `ltsm ticket`",
    ("cli/stored_tickets.py", "ticket"): "the noun of `ltsm ticket`",
    ("cli/ticket.py", "ticket"): "the noun of `ltsm ticket`",
    ("cli/options.py", "baseline"): "the kernel's variant for every processor",
    ("core/sparse_library.py", "baseline"): "the kernel's variant for every processor",
    ("library/onnx_file.py", "ticket"): "the name of the graph in an ONNX file",
    ("library/tickets.py", "supermask"): "an argument of the Python library",
    ("library/tickets.py", "ticket"): "an argument of the Python library",
    ("library/training.py", "supermask"): "an argument of the Python library",
    ("report/figures/values.py", "ticket"): "a colour",
}
"""File and literal: why."""


def literals(tree):
    """Every string of a module that is no docstring; the parts of f-strings too."""
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value, node.lineno


def named(folder=HOUSE):
    """Every place outside the owners that has one of the paper's names as a string of its own."""
    for path in sorted(folder.rglob("*.py")):
        where = path.relative_to(folder).as_posix()
        if not where.startswith(OWNERS):
            for text, line in literals(ast.parse(path.read_text(encoding="utf-8"))):
                if text in NAMES or LIKE.fullmatch(text):
                    yield where, text, line


def test_no_other_room_names_a_recipe_of_the_paper():
    found = [(where, text, line) for where, text, line in named() if (where, text) not in ALLOWED]
    assert found == []


def test_every_exception_is_needed():
    assert {(where, text) for where, text, _ in named()} >= set(ALLOWED)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('kind == "ticket"', ["ticket"]),
        ('f"hyperop {sizes}"', ["hyperop "]),
        ('x = {"hyperop (50, 5)": 1}', ["hyperop (50, 5)"]),
        ('"""ticket"""', []),
        ('def f():\n    """ticket"""\n    return "a ticket"', []),
        ("paper.TICKET", []),
    ],
)
def test_the_look_itself(tmp_path, source, found):
    (tmp_path / "a.py").write_text(source)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "b.py").write_text(source)
    assert [text for _, text, _ in named(tmp_path)] == found

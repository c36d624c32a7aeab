"""Errors: what a traceback shows of them."""

import ast
import pickle
import traceback
from pathlib import Path

import pytest

import ltsm
from ltsm.errors import LtsmError, StoreError
from ltsm.protocol import load

SOURCES = sorted(Path(ltsm.__file__).parent.rglob("*.py"))


def test_no_cause_is_cut_off():
    """`raise … from None` hides from --debug what went wrong first; it stands nowhere."""
    found = [
        f"{path}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and isinstance(node.cause, ast.Constant)
    ]
    assert len(SOURCES) > 100
    assert found == []


def test_the_first_cause_is_in_the_traceback(tmp_path):
    (tmp_path / "no.toml").write_text("lr = = 3")
    with pytest.raises(LtsmError) as caught:
        load(tmp_path / "no.toml")
    assert "TOMLDecodeError" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("error", [StoreError("it is gone.", "ltsm db check"), StoreError("it is gone.")])
def test_a_traceback_ends_with_what_to_do(error):
    """Also after the error came from another process; the message stays one sentence."""
    for one in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        last = traceback.format_exception_only(one)[-1].strip()
        assert last == ("next: ltsm db check" if error.hint else "ltsm.errors.StoreError: it is gone.")
        assert str(one) == "it is gone."


def test_who_has_ltsm_from_a_checkout_is_told_the_package_that_is_missing():
    """`pip install 'ltsm[…]'` looks for ltsm where it may not be."""
    pages = (*SOURCES, *Path(__file__).parents[1].glob("docs/*.md"))
    assert [path for path in pages if "ltsm[" in path.read_text(encoding="utf-8")] == []

"""`import ltsm` is cheap, and gives every name that it promises."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ltsm


def test_importing_and_looking_around_loads_no_torch() -> None:
    """Nor any other library that takes seconds."""
    code = "import sys, ltsm; dir(ltsm); print(sorted({'torch', 'numpy', 'sqlalchemy', 'typer'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ltsm.__all__)
def test_every_promised_name_is_there_and_documented(name: str) -> None:
    """Also in dir()."""
    assert getattr(ltsm, name).__doc__
    assert name in dir(ltsm)


def test_another_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ltsm.nothing

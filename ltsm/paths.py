"""Paths as people type them: the one function that reads them, whatever option or variable they come from."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ltsm.errors import UsageError
from ltsm.notation import quoted


def read_path(text: str | PathLike[str], what: str = "a path") -> Path:
    """The path, with the home folder in the place of ~, which a shell leaves alone in `--out=~/x` and in variables.

    Args:
        text: as typed.
        what: which path it is, for a sentence.

    Raises:
        UsageError: it is empty, no text, or names the home folder of nobody.
    """
    given = text if isinstance(text, str) else text.__fspath__() if isinstance(text, PathLike) else None
    if not isinstance(given, str) or not given or "\0" in given:
        raise UsageError(f"{what} must be the name of a file or folder, not {quoted(text)}.")
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"there is no home folder for {given.split('/')[0]} in {quoted(given)}.",
            f"./{given} names what is called so",
        ) from error

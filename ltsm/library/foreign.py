"""The caller's own code: what it raises becomes a sentence with the place in it."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import ltsm
from ltsm.errors import LtsmError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_THEIRS = tuple(str(Path(module.__file__ or "").parent) for module in (ltsm, torch))
_BATCH_OF_ONE = "Expected more than 1 value per channel"


@contextmanager
def theirs(what: str) -> Iterator[None]:
    """Around a call of the caller's code.

    Args:
        what: whose code it is, in words: "the loss".

    Raises:
        RunError: it raised something that is no error of ours.
    """
    try:
        yield
    except LtsmError:
        raise
    except Exception as error:
        hint = "--debug shows all of it" if place_of(error) else ""
        if _BATCH_OF_ONE in str(error):
            hint = "batch normalisation cannot train on one image: another batch size, or drop_last=True"
        raise RunError(f"{what} fails: {reason_of(error)}.", hint) from error


def reason_of(error: BaseException) -> str:
    """Type, message and place of an error, in one line."""
    message = " ".join(str(error).split())[:200].rstrip(".")
    place = place_of(error)
    return f"{type(error).__name__}{': ' * bool(message)}{message}{place and f' ({place})'}"


def place_of(error: BaseException) -> str:
    """File and line where the caller's code was last; empty where none of it was under way."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((*_NOT_THEIRS, "<frozen"))]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else ""

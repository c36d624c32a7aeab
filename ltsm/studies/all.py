"""Every study by its name, and those of one's own by module and function."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import TYPE_CHECKING

from ltsm.errors import LtsmError, UsageError
from ltsm.notation import quoted
from ltsm.studies import controls, paper
from ltsm.studies.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.protocol import Protocol

    Maker = Callable[[Protocol], Study]

STUDIES: dict[str, Maker] = {
    paper.NAME: paper.study,
    controls.NAME: controls.study,
}
DEFAULT = paper.NAME


def maker(name: str) -> Maker:
    """The function from a protocol to the study of that name, or the one that `module:function` names.

    Raises:
        UsageError: there is none.
    """
    if name in STUDIES:
        return STUDIES[name]
    if ":" not in name:
        raise UsageError(
            f"there is no study {quoted(name)}: there are {', '.join(STUDIES)}.",
            "ltsm study list; or a function of your own: module:function",
        )
    return _own(name)


def study(name: str, protocol: Protocol) -> Study:
    """The study of that name under a protocol; whatever goes wrong in a function of one's own is said as its fault.

    Raises:
        UsageError: there is none, or what its function gives is none.
    """
    make = maker(name)
    try:
        found = make(protocol)
    except LtsmError:
        raise
    except Exception as error:
        raise UsageError(
            f"the study {name} fails: {type(error).__name__}: {error}.", "--debug shows where"
        ) from error
    if not isinstance(found, Study):
        raise UsageError(f"{name} gives {quoted(found)}, and no Study.", "ltsm study show paper")
    if name not in STUDIES and found.name in STUDIES:  # what is said of that one would not fit this one
        raise UsageError(
            f"{name} calls itself {found.name}, as one of ltsm's own does.", 'Study(name="mine", …)'
        )
    return found


def name_for(fingerprint: str, protocol: Protocol) -> str | None:
    """The first of our own studies that has the recipe of this fingerprint; None where none has."""
    return next((n for n, make in STUDIES.items() if make(protocol).name_of(fingerprint) is not None), None)


def _own(name: str) -> Maker:
    module, _, function = name.partition(":")
    if os.getcwd() not in sys.path:  # noqa: PTH109 - as Python itself names it there
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # a person's own module may raise anything
        raise UsageError(
            f"there is no study {name}: {type(error).__name__}: {error}.",
            "module:function, importable from this folder",
        ) from error
    if not callable(found) or not inspect.signature(found).parameters:
        raise UsageError(f"{name} is no function of a protocol.", "def study(protocol): return ltsm.Study(…)")
    return found  # type: ignore[no-any-return]  # a person's own function

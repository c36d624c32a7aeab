"""Every study by its name, and those of one's own by module and function.

A study's own options are part of what it is called, `criteria/kept=initial/train=best`, so that every command that takes
a study's name means the same one, and a store says which study its runs are of.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from ltsm.errors import LtsmError, UsageError
from ltsm.notation import quoted
from ltsm.studies import controls, criteria, iterative, learned, paper
from ltsm.studies.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ltsm.protocol import Protocol

    Maker = Callable[..., Study]

STUDIES: dict[str, Maker] = {
    paper.NAME: paper.study,
    controls.NAME: controls.study,
    criteria.NAME: criteria.study,
    iterative.NAME: iterative.study,
    learned.NAME: learned.study,
}
DEFAULT = paper.NAME
PROTOCOLS = {
    criteria.NAME: criteria.PROTOCOL,
    iterative.NAME: iterative.PROTOCOL,
    learned.NAME: learned.PROTOCOL,
}
"""Under which preset a study is run unless another one is named; the others' is the paper's."""


def with_options(name: str, options: Mapping[str, str]) -> str:
    """What a study with these options is called."""
    return "/".join([name, *(f"{option.replace('_', '-')}={value}" for option, value in options.items())])


def protocol_of(name: str) -> str:
    """The preset under which the study of that name is run unless another one is named."""
    return PROTOCOLS.get(name.partition("/")[0], "paper")


def maker(name: str) -> Maker:
    """The function from a protocol to the study of that name, or the one that `module:function` names.

    Raises:
        UsageError: there is none, or it has not the options that the name gives.
    """
    base, *rest = name.split("/")
    if base not in STUDIES and ":" not in base:
        raise UsageError(
            f"there is no study {quoted(base)}: there are {', '.join(STUDIES)}.",
            "ltsm study list; or a function of your own: module:function",
        )
    make = STUDIES[base] if base in STUDIES else _own(base)
    return partial(make, **_options(base, make, rest)) if rest else make


def _options(name: str, make: Maker, parts: list[str]) -> dict[str, str]:
    """Keyword arguments from `option=value`.

    Raises:
        UsageError: the study's function has no such keyword.
    """
    given = {option.replace("-", "_"): value for option, _, value in (part.partition("=") for part in parts)}
    known = [p.name for p in inspect.signature(make).parameters.values() if p.kind is p.KEYWORD_ONLY]
    if unknown := [option for option in given if option not in known]:
        has = f"it has {', '.join(map(_flag, known))}" if known else "it has none"
        raise UsageError(
            f"the study {name} has no option {quoted(_flag(unknown[0]))}: {has}.", f"ltsm study show {name}"
        )
    return given


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


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
    if (
        name.partition("/")[0] not in STUDIES and found.name in STUDIES
    ):  # what is said of that one would not fit this one
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

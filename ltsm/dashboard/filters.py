"""The runs screen's filter: `kind:ticket recipe:signed-constants seed:0-3 state:failed hidden:100,15`, and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from ltsm.errors import UsageError
from ltsm.notation import parse_seeds, parse_sizes
from ltsm.store.values import State
from ltsm.studies.names import file_name, kind, run_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ltsm.store.values import RunRow

    Test = Callable[[RunRow], bool]

FIELDS: Final = ("kind", "recipe", "seed", "state", "hidden")


def parse(text: str, recipes: Iterable[str]) -> Test:
    """A test that a run of these recipes passes if every term fits; a recipe has dashes for its blanks.

    Raises:
        UsageError: an unknown field, or a value that no run can have.
    """
    tests = [_term(term, [*recipes]) for term in text.split()]
    return lambda run: all(test(run) for test in tests)


def _term(term: str, recipes: list[str]) -> Test:
    field, colon, value = term.partition(":")
    if not colon:
        return lambda run: term.lower() in run_name(run.recipe, run.seed).lower()
    if field == "seed":
        seeds = set(parse_seeds(value))
        return lambda run: run.seed in seeds
    if field == "hidden":
        hidden = parse_sizes(value)
        return lambda run: run.hidden == hidden
    if field == "kind":
        kinds = _one_of(value, map(kind, recipes))
        return lambda run: run.kind in kinds
    if field == "recipe":
        names = _one_of(value, map(file_name, recipes))
        return lambda run: file_name(run.recipe) in names
    if field == "state":
        states = _one_of(value, get_args(State))
        return lambda run: run.state in states
    raise UsageError(
        f"there is no {field!r} to filter by.", f"e.g. {', '.join(f'{name}:' for name in FIELDS)}"
    )


def _one_of(value: str, names: Iterable[str]) -> set[str]:
    """The names that begin so; several values have commas between."""
    known = tuple(dict.fromkeys(names))
    found = {name for part in value.split(",") for name in known if part and name.startswith(part)}
    if not found:
        raise UsageError(f"there is no {value!r}: there are {', '.join(known)}.")
    return found

"""The runs screen's filter: `kind:ticket seed:0-3 state:failed hidden:100,15`, and words of a run's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from ltsm.dashboard.words import label
from ltsm.errors import UsageError
from ltsm.notation import parse_seeds, parse_sizes
from ltsm.protocol import KINDS
from ltsm.store.values import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.store.values import RunRow

    Test = Callable[[RunRow], bool]

FIELDS: Final = ("kind", "seed", "state", "hidden")


def parse(text: str) -> Test:
    """A test that a run passes if every term fits.

    Raises:
        UsageError: an unknown field, or a value that no run can have.
    """
    tests = [_term(term) for term in text.split()]
    return lambda run: all(test(run) for test in tests)


def _term(term: str) -> Test:
    field, colon, value = term.partition(":")
    if not colon:
        return lambda run: term.lower() in label(run).lower()
    if field == "seed":
        seeds = set(parse_seeds(value))
        return lambda run: run.seed in seeds
    if field == "hidden":
        hidden = parse_sizes(value)
        return lambda run: run.hidden == hidden
    if field == "kind":
        kinds = _one_of(value, KINDS)
        return lambda run: run.kind in kinds
    if field == "state":
        states = _one_of(value, get_args(State))
        return lambda run: run.state in states
    raise UsageError(
        f"there is no {field!r} to filter by.", f"e.g. {', '.join(f'{name}:' for name in FIELDS)}"
    )


def _one_of(value: str, names: tuple[str, ...]) -> set[str]:
    """The names that begin so; several values have commas between."""
    found = {name for part in value.split(",") for name in names if part and name.startswith(part)}
    if not found:
        raise UsageError(f"there is no {value!r}: there are {', '.join(names)}.")
    return found

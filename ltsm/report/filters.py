"""Which runs are meant: `kind:ticket loss<0.1 not (seed:0-3 or size>20%)`, a line for the dashboard and for commands.

    filter    = all-of { "or" all-of }
    all-of    = one { ["and"] one }
    one       = "not" one | "(" filter ")" | field op value | word
    op        = ":" | "=" | "!=" | "<" | "<=" | ">" | ">="

A word alone is looked for in the name of the run; quotes keep blanks and brackets together: `recipe:"hyperop (50, 5)"`.
"""

from __future__ import annotations

import operator
import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from ltsm.errors import UsageError
from ltsm.notation import parse_seeds, parse_sizes, quoted
from ltsm.store.values import State
from ltsm.studies.names import file_name, kind, run_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ltsm.report.listing import Listed

    Test = Callable[[Listed], bool]

NUMBERS: Final[dict[str, Callable[[Listed], float | None]]] = {
    "loss": lambda one: one.last.val_loss,
    "accuracy": lambda one: one.last.val_accuracy,
    "size": lambda one: one.run.relative_size,
    "seed": lambda one: one.run.seed,
    "iteration": lambda one: one.run.iteration,
    "best": lambda one: one.run.best_iteration,
    "seconds": lambda one: one.run.seconds,
    "id": lambda one: one.run.id,
}
"""What can be compared with a number: the last record's validation loss and accuracy (0 to 1), the share of parameters that
is left (0 to 1), …; `97%` is 0.97. A run that has no such number passes no comparison."""
WORDS: Final = ("kind", "recipe", "state", "hidden")
"""What is one of some words, or not; several have commas between."""
EXAMPLE: Final = "kind:ticket loss<0.1 not (seed:0-3 or size>20%)"
_DEEPEST: Final = 50
"""Python itself goes only so deep."""
_ORDERS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_TOKEN = re.compile(
    r"""\s*(?:(?P<op>[<>!=]=|[<>=:])|(?P<bracket>[()])|"(?P<quoted>[^"]*)"|(?P<word>[^\s<>=!:()"]+)|(?P<other>\S))"""
)
_NUMBER = re.compile(r"(\d+(?:\.(\d*))?|\.(\d+))(%?)")


class _Token(NamedTuple):
    """A piece of the line: an operator, a bracket, a word, or one in quotes."""

    what: str | None
    text: str


def parse(text: str, recipes: Iterable[str]) -> Test:
    """Whether a run, of these recipes, is one of those that the line means; an empty line means all.

    A recipe may be written with dashes for its blanks and brackets, and as short as it is unmistakable, or not.

    Raises:
        UsageError: it is no filter: an unknown field, a value that no run can have, a bracket too few.
    """
    return _Reader(text, [*recipes]).whole()


class _Reader:
    """The line's pieces from left to right, each taken once."""

    def __init__(self, text: str, recipes: list[str]) -> None:
        found = (_Token(match.lastgroup, match[match.lastgroup or 0]) for match in _TOKEN.finditer(text))
        self._left = deque(found)
        self._recipes = recipes
        if sum(token.text.lower() in {"(", "not"} for token in self._left) > _DEEPEST:
            raise _refusal(f"it has more than {_DEEPEST} brackets and nots")

    def whole(self) -> Test:
        """All of it."""
        if not self._left:
            return lambda _: True
        test = self._any_of()
        if self._left:
            raise _refusal("a bracket is closed that was not opened")
        return test

    def _any_of(self) -> Test:
        tests = [self._all_of()]
        while self._took("or"):
            tests.append(self._all_of())
        return lambda one: any(test(one) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._one()]
        while self._left and not (self._next("or") or self._next(")")):
            self._took("and")
            tests.append(self._one())
        return lambda one: all(test(one) for test in tests)

    def _one(self) -> Test:
        if self._took("not"):
            test = self._one()
            return lambda one: not test(one)
        if self._took("("):
            test = self._any_of()
            if not self._took(")"):
                raise _refusal("a bracket is not closed")
            return test
        word = self._word("a field or a word")
        if not self._left or self._left[0].what != "op":
            return _named(word, self._recipes)
        op = self._left.popleft().text
        return _compared(word.lower(), op, self._word(f"a value after {word}{op}"), self._recipes)

    def _word(self, wanted: str) -> str:
        if not self._left:
            raise _refusal(f"{wanted} is missing at the end")
        token = self._left.popleft()
        if token.what == "quoted" or (
            token.what == "word" and token.text.lower() not in {"and", "or", "not"}
        ):
            return token.text
        raise _refusal(f"{wanted} is missing before {quoted(token.text)}")

    def _next(self, text: str) -> bool:
        return bool(self._left) and self._left[0].what != "quoted" and self._left[0].text.lower() == text

    def _took(self, text: str) -> bool:
        found = self._next(text)
        if found:
            self._left.popleft()
        return found


def _refusal(what: str) -> UsageError:
    return UsageError(f"this is no filter: {what}.", f"e.g. {EXAMPLE}")


def _named(word: str, recipes: list[str]) -> Test:
    part = word.lower()
    if not part.isdecimal() and not any(part in run_name(name, 0).lower() for name in recipes):
        known = ", ".join((*WORDS, *NUMBERS))
        raise UsageError(f"no run has {quoted(word)} in its name.", f"or compare one of {known}")
    return lambda one: part in run_name(one.run.recipe, one.run.seed).lower()


def _compared(field: str, op: str, value: str, recipes: list[str]) -> Test:
    if field in NUMBERS and op in _ORDERS:
        return _ordered(field, op, value)
    if field in NUMBERS or field in WORDS:
        if op in _ORDERS:
            raise _refusal(f"{field} is no number, and {op} compares numbers; write {field}:{value}")
        test = _equal(field, value, recipes)
        return test if op != "!=" else lambda one: not test(one)
    known = ", ".join((*WORDS, *NUMBERS))
    raise UsageError(f"there is no {quoted(field)} to filter by.", f"one of {known}")


def _ordered(field: str, op: str, value: str) -> Test:
    number, compare, (limit, _) = NUMBERS[field], _ORDERS[op], _number(field, value)

    def test(one: Listed) -> bool:
        found = number(one)
        return found is not None and compare(found, limit)  # NaN is neither less nor more

    return test


def _equal(field: str, value: str, recipes: list[str]) -> Test:
    if field == "seed":
        seeds = set(parse_seeds(value))
        return lambda one: one.run.seed in seeds
    if field == "hidden":
        hidden = parse_sizes(value)
        return lambda one: one.run.hidden == hidden
    if field == "kind":
        kinds = _one_of(value, map(kind, recipes))
        of_kind = {name for name in recipes if kind(name) in kinds}
        return lambda one: one.run.recipe in of_kind
    if field == "recipe":
        files = _one_of(value, map(file_name, recipes))
        names = {name for name in recipes if file_name(name) in files}
        return lambda one: one.run.recipe in names
    if field == "state":
        states = _one_of(value, get_args(State))
        return lambda one: one.run.state in states
    number, (limit, half) = NUMBERS[field], _number(field, value)
    # As a person reads it: 0.97 is whatever is printed so with two digits.
    return lambda one: (found := number(one)) is not None and abs(found - limit) <= half


def _number(field: str, text: str) -> tuple[float, float]:
    """The number, and half of its last digit."""
    found = _NUMBER.fullmatch(text)
    if not found:
        raise _refusal(f"{field} is compared with a number such as 0.1 or 97%, not with {quoted(text)}")
    digits, scale = len(found[2] or found[3] or ""), 0.01 if found[4] else 1.0
    return float(found[1]) * scale, 0.5 * 10.0**-digits * scale


def _one_of(value: str, names: Iterable[str]) -> set[str]:
    """The names that begin so, written with dashes or without; several values have commas between."""
    known = tuple(dict.fromkeys(names))
    parts = [file_name(value)] if "(" in value else [file_name(part) for part in value.split(",") if part]
    found = {name for part in parts for name in known if name.startswith(part)}
    if not found:
        raise UsageError(f"there is no {quoted(value)}: there are {', '.join(known)}.")
    return found

"""The errors a user may see: each says what is wrong and what to do next."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class LtsmError(Exception):
    """Something is wrong that the user can mend.

    Args:
        message: one sentence that names the cause.
        hint: the next command to type, or what else to do; empty where nothing helps.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"next: {hint}")

    def __reduce__(self) -> tuple[type[LtsmError], tuple[str, str], dict[str, Any]]:
        """Keep hint and notes, such as a traceback, when the error comes back from a worker."""
        return (type(self), (self.message, self.hint), vars(self))


class RunError(LtsmError):
    """A run failed, or its worker died (exit code 1)."""


class UsageError(LtsmError):
    """The command line or the protocol asks for what cannot be (exit code 2)."""

    exit_code = 2


class StoreError(LtsmError):
    """The store or a file beside it is missing, damaged, foreign, too new or not writable (exit code 3)."""

    exit_code = 3


class DataError(LtsmError):
    """The data set is missing, damaged or of the wrong shape (exit code 3)."""

    exit_code = 3


class InterruptedRunError(LtsmError):
    """The user stopped the program; what was recorded is kept (exit code 130, or 143 after SIGTERM)."""

    exit_code = 130


@contextmanager
def explained(kind: type[LtsmError], what: str, hint: str) -> Iterator[None]:
    """Around what the system may refuse: its OSError becomes a sentence, of what could not be done and why."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}.", hint) from error

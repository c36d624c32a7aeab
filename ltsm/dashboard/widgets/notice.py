"""What is wrong with the store, and what to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

if TYPE_CHECKING:
    from ltsm.errors import LtsmError


class Notice(Static):
    """A sentence and the next command; nothing while all is well."""

    problem: reactive[LtsmError | None] = reactive(None)

    def watch_problem(self, problem: LtsmError | None) -> None:
        """Show it or hide."""
        self.display = problem is not None
        if problem is None:
            return
        sentence = problem.message[:1].upper() + problem.message[1:]
        parts: list[tuple[str, str] | str] = [(sentence, "bold")]
        if problem.hint:
            parts += ["\n", ("Next: ", "dim"), (problem.hint, "bold $text-accent")]
        parts.append(("\nThis screen comes alive by itself.", "dim"))
        self.update(Content.assemble(*parts))

"""One line with the five screens and the keys that lead to them."""

from __future__ import annotations

from typing import Final

from textual.content import Content
from textual.widgets import Static

SCREENS: Final = {
    "overview": "Overview",
    "curves": "Curves",
    "supermask": "Supermask",
    "table_1": "Table 1",
    "runs": "Runs",
}
"""Every screen and its title, in the order of their number keys."""


class Navigation(Static):
    """The screens as tabs; a click does what the number key does.

    Args:
        here: the screen that this line is on.
    """

    ALLOW_SELECT = False

    def __init__(self, here: str) -> None:
        tabs = [
            f"[@click=app.switch_mode('{name}')]{'[reverse bold]' if name == here else ''} {number} {title} [/]"
            + ("[/]" if name == here else "")
            for number, (name, title) in enumerate(SCREENS.items(), 1)
        ]
        super().__init__(Content.from_markup("".join(tabs)))

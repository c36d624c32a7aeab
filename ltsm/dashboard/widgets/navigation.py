"""One line with the five screens and the keys that lead to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from textual import events

SCREENS: Final = {
    "overview": "Overview",
    "curves": "Curves",
    "masks": "Masks",
    "table": "Table",
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
        super().__init__(_tabs(here, narrow=False))
        self._here = here

    def on_resize(self, event: events.Resize) -> None:
        """Where not all titles fit, all numbers do, and the title of this screen."""
        self.update(_tabs(self._here, narrow=event.size.width < _WIDTH), layout=False)


def _tabs(here: str, *, narrow: bool) -> Content:
    tabs = [
        f"[@click=app.switch_mode('{name}')]{'[reverse bold]' if name == here else ''}"
        f" {number}{'' if narrow and name != here else f' {title}'} [/]{'[/]' if name == here else ''}"
        for number, (name, title) in enumerate(SCREENS.items(), 1)
    ]
    return Content.from_markup("".join(tabs))


_WIDTH: Final = sum(len(f" {number} {title} ") for number, title in enumerate(SCREENS.values(), 1))

"""Every key of a screen, and what the glyphs mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ltsm.dashboard.words import GLYPHS

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.dom import DOMNode
    from textual.screen import Screen


_TEXTUALS = ("app.focus_next", "app.focus_previous", "screen.copy_text")
"""Actions that every Textual program has, and that nobody needs here."""


def _place(node: DOMNode, screen: Screen[object]) -> int:
    """The screen's own keys come first, then the program's, then those that move in a list."""
    return 0 if node is screen else 1 if node is screen.app else 2


class Keys(ModalScreen[None]):
    """A window with the keys that work where it was opened.

    Args:
        screen: which.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "Close")]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._keys: dict[str, list[str]] = {}
        active = screen.active_bindings.values()
        for _, binding, _, _ in sorted(active, key=lambda one: _place(one.node, screen)):
            if binding.description and binding.action not in _TEXTUALS:
                self._keys.setdefault(binding.description, []).append(binding.key)

    def compose(self) -> ComposeResult:
        """A scrolling list."""
        with VerticalScroll(classes="window") as window:
            window.border_title = "Keys"
            window.border_subtitle = "Esc closes"
            glyphs = [Content.assemble((f"{glyph:>18}  ", "bold"), state) for state, glyph in GLYPHS.items()]
            yield Static(Content("\n").join([*self._lines(), Content(), *glyphs]))

    def _lines(self) -> list[Content]:
        display = self.app.get_key_display
        shown = {what: ", ".join(display(Binding(k, "")) for k in keys) for what, keys in self._keys.items()}
        return [
            Content.assemble((f"{keys:>18}  ", "bold $text-accent"), what) for what, keys in shown.items()
        ]

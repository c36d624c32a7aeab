"""Windows over a screen: its keys with what the glyphs mean, and the choice of which protocol and study is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from ltsm.dashboard.moment import Choice
from ltsm.dashboard.words import GLYPHS

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.dom import DOMNode
    from textual.screen import Screen

    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import ProtocolRow

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


class Choosing(ModalScreen[Choice | None]):
    """Returns the choice made, or None to stay with what is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,p", "dismiss(None)", "Close")]

    def __init__(self, moment: Moment) -> None:
        super().__init__()
        self._choices = [
            (look, protocol, study)
            for look in (moment, *moment.beside.values())
            for protocol in look.protocols
            for study in look.stored[protocol.id]
        ]
        shown = [(look.path, protocol.id, study) for look, protocol, study in self._choices]
        here = (moment.path, moment.protocol_id, moment.asked)
        self._here = shown.index(here) if here in shown else None

    def compose(self) -> ComposeResult:
        """One line for each."""
        with Vertical(classes="window") as window:
            window.border_title = "Protocol and study"
            window.border_subtitle = "Enter chooses · Esc closes"
            # a plain string would be taken for markup
            options = OptionList(*(Content(_line(*choice)) for choice in self._choices))
            options.highlighted = self._here
            yield options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        look, protocol, study = self._choices[event.option_index]
        self.dismiss(Choice(str(protocol.id), study, look.path))


def _line(look: Moment, protocol: ProtocolRow, study: str) -> str:
    store = f"{look.store}:" if look.store else ""
    return f"{store}{protocol.id}  {protocol.name}  ({protocol.settings.get('dataset', '')})  {study}"

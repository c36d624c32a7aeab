"""Choose which of the stores' protocols and studies is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ltsm.dashboard.moment import Choice

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.store.values import ProtocolRow


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
            options = OptionList(
                *(
                    # a plain string would be taken for markup
                    Option(Content(_line(look, protocol, study)))
                    for look, protocol, study in self._choices
                )
            )
            options.highlighted = self._here
            yield options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        look, protocol, study = self._choices[event.option_index]
        self.dismiss(Choice(str(protocol.id), study, look.path))


def _line(look: Moment, protocol: ProtocolRow, study: str) -> str:
    store = f"{look.store}:" if look.store else ""
    return f"{store}{protocol.id}  {protocol.name}  ({protocol.settings.get('dataset', '')})  {study}"

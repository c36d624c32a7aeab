"""Choose which of the store's protocols is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment


class Protocols(ModalScreen[str | None]):
    """Returns the id of a protocol, or None for the one that is shown already."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,p", "dismiss(None)", "Close")]

    def __init__(self, moment: Moment) -> None:
        super().__init__()
        self._moment = moment

    def compose(self) -> ComposeResult:
        """One line for each."""
        with Vertical(classes="window") as window:
            window.border_title = "Protocol"
            window.border_subtitle = "Enter chooses · Esc closes"
            protocols = self._moment.protocols
            options = OptionList(
                *(
                    # a plain string would be taken for markup
                    Option(Content(f"{p.id}  {p.name}  ({p.settings.get('dataset', '')})"), id=str(p.id))
                    for p in protocols
                )
            )
            options.highlighted = [p.id for p in protocols].index(self._moment.protocol_id)
            yield options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        self.dismiss(event.option_id)

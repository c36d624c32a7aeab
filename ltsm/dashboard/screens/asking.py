"""Screens that ask the store more than every look brings along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from ltsm.errors import LtsmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.dashboard.source import Looker, Source


class Asking(Screen[None]):
    """Asks in a worker thread; the answer comes back as a message."""

    class Answered(Message):
        """What the store said."""

        def __init__(self, answer: Any) -> None:
            super().__init__()
            self.answer = answer

        def can_replace(self, message: Message) -> bool:
            """Only the last of several answers is shown."""
            return isinstance(message, Asking.Answered)

    @property
    def dashboard(self) -> Looker:
        """The app, by what screens need of it."""
        return cast("Looker", self.app)

    def ask(self, question: Callable[[Source], Any]) -> None:
        """Ask; a newer question makes an older one's answer void.

        What is wrong with the store, the dashboard's next look says.
        """
        source = self.dashboard.source

        def asked() -> None:
            worker = get_current_worker()
            try:
                answer = question(source)
            except LtsmError:
                return
            if not worker.is_cancelled:
                self.post_message(self.Answered(answer))

        self.run_worker(asked, thread=True, exclusive=True, group="ask")

    def on_asking_answered(self, answered: Answered) -> None:
        """Show it."""
        answered.stop()
        self.answered(answered.answer)

    def answered(self, answer: Any) -> None:
        """Show what the store said."""
        raise NotImplementedError

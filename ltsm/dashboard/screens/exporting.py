"""Screens that ask the store more than every look brings along, and whose table or picture can be taken along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from ltsm.dashboard import files
from ltsm.dashboard.widgets.sheet import Grid
from ltsm.errors import LtsmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType

    from ltsm.dashboard.files import Table
    from ltsm.dashboard.source import Looker, Source


class Exporting(Screen[None]):
    """Asks in a worker thread; copies to the terminal's clipboard and writes files. `NAME` is in the files' names."""

    NAME: ClassVar = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy_row", "Copy row", show=False),
        Binding("Y", "copy_table", "Copy table", show=False),
        Binding("e", "export_csv", "Export CSV", show=False),
        Binding("E", "export_svg", "Export SVG", show=False),
    ]

    class Answered(Message):
        """What the store said."""

        def __init__(self, answer: Any) -> None:
            super().__init__()
            self.answer = answer

        def can_replace(self, message: Message) -> bool:
            """Only the last of several answers is shown."""
            return isinstance(message, Exporting.Answered)

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

    def on_exporting_answered(self, answered: Answered) -> None:
        """Show it."""
        answered.stop()
        self.answered(answered.answer)

    def answered(self, answer: Any) -> None:
        """Show what the store said."""
        raise NotImplementedError

    def table(self) -> Table:
        """What is copied and exported: the values of the screen's grid, if it has no better."""
        return files.of_sheet(self.query_one(Grid))

    def action_copy_row(self) -> None:
        """To the terminal's clipboard."""
        row = self.table().here
        if row is not None:
            self.app.copy_to_clipboard(files.tabbed([row]))
            self._sent("the row")

    def action_copy_table(self) -> None:
        """To the terminal's clipboard, with its titles."""
        table = self.table()
        self.app.copy_to_clipboard(files.tabbed([table.titles, *table.rows]))
        self._sent(f"{len(table.rows):,} rows")

    def _sent(self, what: str) -> None:
        """No terminal says whether it takes what is sent to its clipboard."""
        self.notify(f"Sent {what} to the terminal's clipboard; if it has none, e writes a file.", timeout=4)

    def action_export_csv(self) -> None:
        """The table or the curves, to a file in the folder in which the dashboard was started."""
        self._export(".csv", files.csv_text(self.table()))

    async def action_export_svg(self) -> None:
        """A picture of the screen, without the notes that lie over it."""
        self.app.clear_notifications()
        await self.query("Toast").remove()
        title = f"ltsm · {self.NAME}"
        self.call_after_refresh(lambda: self._export(".svg", self.app.export_screenshot(title=title)))

    def _export(self, ending: str, content: str) -> None:
        moment = self.dashboard.moment
        name = files.stem(*([moment.protocol.name] if moment else []), self.NAME)

        def write() -> None:
            try:
                self.notify(f"Wrote {files.write(Path(), name, ending, content)}", markup=False)
            except LtsmError as error:
                self.notify(error.message, severity="error", markup=False)

        self.run_worker(write, thread=True, group="export")

"""Screens whose table or picture can be taken along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.message import Message

from ltsm.dashboard import files
from ltsm.dashboard.screens.asking import Asking
from ltsm.dashboard.widgets.sheet import Grid
from ltsm.errors import LtsmError

if TYPE_CHECKING:
    from textual.binding import BindingType

    from ltsm.dashboard.files import Table


class Exporting(Asking):
    """Copies to the terminal's clipboard and writes files. `NAME` is in the files' names."""

    NAME: ClassVar = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy_row", "Copy row", show=False),
        Binding("Y", "copy_table", "Copy table", show=False),
        Binding("e", "export_csv", "Export CSV", show=False),
        Binding("E", "export_svg", "Export SVG", show=False),
    ]

    class Written(Message):
        """A file was exported, or could not be."""

        def __init__(self, outcome: Path | LtsmError) -> None:
            super().__init__()
            self.outcome = outcome

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
        self.call_after_refresh(self._picture)

    def _picture(self) -> None:
        self._export(".svg", self.app.export_screenshot(title=f"ltsm · {self.NAME}"))

    def _export(self, ending: str, content: str) -> None:
        moment = self.dashboard.moment
        name = files.stem(*([moment.protocol.name] if moment else []), self.NAME)

        def write() -> None:
            try:
                self.post_message(self.Written(files.write(Path(), name, ending, content)))
            except LtsmError as error:
                self.post_message(self.Written(error))

        self.run_worker(write, thread=True, group="export")

    def on_exporting_written(self, written: Written) -> None:
        """Say the file's name."""
        if isinstance(written.outcome, LtsmError):
            self.notify(written.outcome.message, severity="error", markup=False)
        else:
            self.notify(f"Wrote {written.outcome}", markup=False)

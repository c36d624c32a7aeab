"""A table of any length: only the rows in sight are ever turned into text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Region, Size, Spacing
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ltsm.dashboard.widgets.columns import Column, fitted
from ltsm.dashboard.widgets.tones import COMPONENT_CLASSES, tone_style

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from rich.style import Style
    from textual import events
    from textual.binding import BindingType

T = TypeVar("T")


class Sheet(ScrollView, Generic[T], can_focus=True, inherit_bindings=False):
    """Rows of values under fixed titles, with a cursor on one row.

    The cursor stays with its row, by `key`, when other rows come, go or change their order.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "sheet--title",
        "sheet--title-here",
        "sheet--row",
        "sheet--here",
        "sheet--cell-here",
        *COMPONENT_CLASSES,
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "edge(0)", "First row", show=False),
        Binding("end", "edge(-1)", "Last row", show=False),
    ]

    BY_CELL: ClassVar[bool] = False
    """Whether the cursor is on one cell, and not on a whole row."""
    row: reactive[int] = reactive(0)
    column: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor is on another row."""

    class Opened(Moved):
        """A row was clicked twice."""

    class Titled(Moved):
        """A title was clicked; the sheet's `column` says which."""

    def __init__(
        self,
        columns: Sequence[Column[T]] = (),
        *,
        key: Callable[[T], Hashable],
        fixed: int = 1,
        id: str | None = None,  # noqa: A002 - Textual's own name
    ) -> None:
        super().__init__(id=id)
        self.rows: Sequence[T] = ()
        self.columns: Sequence[Column[T]] = columns
        self._key = key
        self._fixed = fixed
        self._sorted: tuple[int, bool] | None = None

    def show(
        self,
        rows: Sequence[T],
        columns: Sequence[Column[T]] | None = None,
        by: tuple[int, bool] | None = None,
    ) -> None:
        """Show these rows from now on; `by` marks the column they are sorted by, True for downwards."""
        here, before = self.current, (self.rows, self.columns, self._sorted, self.row)
        self.rows, self._sorted = rows, by
        if columns is not None:
            self.columns = columns
        self.virtual_size = Size(self._start(len(self.columns)), len(rows) + self._heading)
        self.set_reactive(Sheet.row, self._found(here))
        self.set_reactive(Sheet.column, self.validate_column(self.column))
        self._draw_anew(*before)

    def _draw_anew(
        self, rows: Sequence[T], columns: Sequence[Column[T]], by: tuple[int, bool] | None, row: int
    ) -> None:
        """Only the lines that are not as before, where the others stay in their places."""
        if (len(rows), by, row) != (len(self.rows), self._sorted, self.row) or columns is not self.columns:
            self.refresh()
            return
        top, width = self.scroll_offset.y, self.size.width
        for y in range(self.size.height - self._heading):
            if top + y < len(rows) and rows[top + y] != self.rows[top + y]:
                self.refresh(Region(0, y + self._heading, width, 1))

    @property
    def current(self) -> T | None:
        """The row with the cursor, None in an empty sheet."""
        return self.rows[self.row] if self.row < len(self.rows) else None

    def _found(self, row: T | None) -> int:
        key = None if row is None else self._key(row)
        same = (index for index, other in enumerate(self.rows) if key is not None and self._key(other) == key)
        return next(same, self.validate_row(self.row))

    @property
    def _heading(self) -> int:
        return max((column.title.count("\n") + 1 for column in self.columns), default=1)

    def _start(self, index: int) -> int:
        return sum(column.width + 1 for column in self.columns[:index])

    def validate_row(self, row: int) -> int:
        """Keep the cursor inside."""
        return max(0, min(row, len(self.rows) - 1))

    def validate_column(self, column: int) -> int:
        """Keep the cursor inside."""
        return max(0, min(column, len(self.columns) - 1))

    def watch_row(self) -> None:
        """Say so, and keep the cursor in sight."""
        self.watch_column()
        self.post_message(self.Moved())

    def watch_column(self) -> None:
        """Keep the cursor in sight."""
        self.refresh()
        self._see()

    def _see(self) -> None:
        if not self.columns:
            return
        fixed = self._start(self._fixed)
        left, width = self._start(self.column), self.columns[self.column].width
        region = Region(left, self.row + self._heading, width, 1)
        self.scroll_to_region(region, spacing=Spacing(self._heading, 0, 0, fixed), animate=False, force=True)

    def action_move(self, by: int) -> None:
        """Some rows down."""
        self.row += by

    def action_page(self, by: int) -> None:
        """As many rows as are in sight."""
        self.row += by * max(1, self.size.height - self._heading - 1)

    def action_edge(self, row: int) -> None:
        """To the first row or, for -1, the last."""
        self.row = row % max(1, len(self.rows))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to what was clicked; a second click opens it."""
        at = event.get_content_offset(self)
        if at is None:
            return
        if self.BY_CELL:
            self._click_column(at.x)
        if at.y < self._heading:
            self.post_message(self.Titled())
            return
        row = at.y - self._heading + self.scroll_offset.y
        if row == self.row and event.chain > 1:
            self.post_message(self.Opened())
        elif row < len(self.rows):
            self.row = row

    def _click_column(self, x: int) -> None:
        x += self.scroll_offset.x if x >= self._start(self._fixed) else 0
        for index, column in enumerate(self.columns):
            if x <= self._start(index) + column.width:
                self.column = index
                return

    def render_line(self, y: int) -> Strip:
        """One line of titles or one row."""
        plain = self.rich_style
        if y < self._heading:
            return self._framed([self._title(index, y) for index in range(len(self.columns))], plain)
        index = y - self._heading + self.scroll_offset.y
        if index >= len(self.rows):
            return Strip.blank(self.size.width, plain)
        here = index == self.row and self.has_focus
        base = self.get_component_rich_style("sheet--here" if here else "sheet--row")
        return self._framed([self._cell(index, column, base) for column in range(len(self.columns))], base)

    def _framed(self, cells: list[Segment], base: Style) -> Strip:
        """The fixed columns where they are, the others scrolled beneath them."""
        gap = Segment(" ", base)
        parts = [part for cell in cells for part in (cell, gap)]
        fixed, width = self._start(self._fixed), self.size.width
        left = Strip(parts[: 2 * self._fixed])
        right = Strip(parts[2 * self._fixed :]).crop(
            self.scroll_offset.x, self.scroll_offset.x + width - fixed
        )
        return Strip.join([left, right]).adjust_cell_length(width, base)

    def _title(self, index: int, line: int) -> Segment:
        column = self.columns[index]
        lines = column.title.split("\n")
        missing = self._heading - len(lines)
        text = lines[line - missing] if line >= missing else ""
        if self._sorted and self._sorted[0] == index and line == self._heading - 1:
            text += " ▼" if self._sorted[1] else " ▲"
        name = "sheet--title-here" if self._shows_column(index) else "sheet--title"
        return Segment(fitted(text, column.width, left=column.left), self.get_component_rich_style(name))

    def _cell(self, row: int, index: int, base: Style) -> Segment:
        column, value = self.columns[index], self.rows[row]
        style = tone_style(self, column.tone(value), base)
        if row == self.row and self._shows_column(index) and self.has_focus:
            style = self.get_component_rich_style("sheet--cell-here")
        return Segment(fitted(column.text(value), column.width, left=column.left), style)

    def _shows_column(self, index: int) -> bool:
        return self.BY_CELL and index == self.column

    def on_focus(self) -> None:
        """The cursor shows, or hides."""
        self.refresh()

    on_blur = on_focus


class Grid(Sheet[T]):
    """A sheet whose cursor is on one cell."""

    BY_CELL = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Left", show=False),
        Binding("right", "step(1)", "Right", show=False),
    ]

    def action_step(self, by: int) -> None:
        """Some columns to the right."""
        self.column += by

"""The dashboard as a program: looks at the store about once a second, and leaves the rest to its screens."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property, partial
from time import monotonic, process_time
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.message import Message
from textual.reactive import var

from ltsm.dashboard.moment import Choice
from ltsm.dashboard.screens.curves import Curves
from ltsm.dashboard.screens.masks import Masks
from ltsm.dashboard.screens.overview import Overview
from ltsm.dashboard.screens.runs import Runs
from ltsm.dashboard.screens.table import StudyTable
from ltsm.dashboard.screens.windows import Choosing, Keys
from ltsm.dashboard.widgets.heading import SCREENS
from ltsm.dashboard.widgets.tones import LIGHT_SERIES_COLOURS, SERIES_COLOURS, THEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from textual.binding import BindingType
    from textual.screen import Screen

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.pins import Pin
    from ltsm.dashboard.source import Source
    from ltsm.dashboard.stores import Look, Stores
    from ltsm.errors import LtsmError

POLL_SECONDS = 1.0
SHARE_OF_A_CORE = 0.004
"""How much of the processor following a sweep may take; keys are answered at once all the same."""
MOST_REST_S = 3.0
"""The longest rest between two looks: an interrupted sweep must show within five seconds."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Looked(Message):
    """A look came back."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look


class Dashboard(App[None]):
    """Looks at a store, and at others beside it; never writes to any.

    Args:
        path: the SQLite file, which may not exist yet.
        choice: which protocol and study of it.
        beside: other stores, of which something may be shown or pinned.
        clock: what time it is.
        poll_seconds: between two looks.
    """

    TITLE = "ltsm"
    CSS_PATH = "dashboard.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (120, "-wide")]  # noqa: RUF012 - Textual's own
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-usual"), (36, "-tall")]  # noqa: RUF012
    MODES: ClassVar = {page.NAME: page for page in (Overview, Curves, Masks, StudyTable, Runs)}
    DEFAULT_MODE = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"switch_mode('{name}')", title, show=False)
            for number, (name, title) in enumerate(SCREENS.items(), 1)
        ),
        Binding("p", "choose", "Protocol and study", show=False),
        Binding("question_mark", "keys", "Keys"),
        Binding("q", "quit", "Quit"),
    ]

    # An app's `reactive` draws the whole screen anew at every tick of the clock; `var` leaves that to who watches.
    moment: var[Moment | None] = var(None, always_update=True)
    problem: var[LtsmError | None] = var(None)
    time: var[datetime] = var(utc_now)
    pins: var[tuple[Pin, ...]] = var(())

    def __init__(
        self,
        path: Path,
        choice: Choice = Choice(),  # noqa: B008 - a value
        *,
        beside: Sequence[Path] = (),
        clock: Callable[[], datetime] = utc_now,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        super().__init__()
        self._path = path
        self._choice = choice
        self._beside = beside
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._looking = False
        self._looked_at = self._spent_before = 0.0

    @cached_property
    def stores(self) -> Stores:
        """The stores. Only worker threads ask for them before the first look."""
        # SQLAlchemy takes as long to import as all the rest: the first paint need not wait for it.
        from ltsm.dashboard.stores import Stores

        return Stores(self._path, self._choice, self._beside)

    @property
    def source(self) -> Source:
        """The store that is shown, once there is a look at it."""
        return self.stores.of(self.moment)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The colours of curves, for themes that have none of their own."""
        return SERIES_COLOURS if self.current_theme.dark else LIGHT_SERIES_COLOURS

    def on_mount(self) -> None:
        """Begin to look, once there is something to look at."""
        for theme in THEMES:
            self.register_theme(theme)
        self.time = self._clock()
        self.call_after_refresh(self.look)
        self.set_interval(self._poll_seconds, self._tick)

    def _tick(self) -> None:
        """Look once a second, but never so often that looking and drawing cost a sweep its processor.

        The slower the machine, and the larger the screen, the longer the rest; never longer than MOST_REST_S.
        """
        spent, rested = process_time() - self._spent_before, monotonic() - self._looked_at
        if not self._looking and rested >= min(MOST_REST_S, spent / SHARE_OF_A_CORE):
            self._spent_before, self._looked_at = process_time(), monotonic()
            self.look()  # the time is drawn together with what it shows
        else:
            self.time = self._clock()

    def look(self) -> None:
        """Look at the store, unless the last look has not come back yet."""
        if not self._looking:
            self._looking = True
            self.run_worker(lambda: self.post_message(Looked(self.stores.look())), thread=True, group="look")

    def on_looked(self, looked: Looked) -> None:
        """Everybody who watches `moment` and `problem` is told."""
        self._looking = False
        self.time, self.problem = self._clock(), looked.look.problem
        if looked.look.moment is not None:
            self.moment = looked.look.moment
        for error in looked.look.beside:
            self.notify(error.message, severity="warning", markup=False)

    def action_help_quit(self) -> None:
        """Ctrl-C leaves no sweep alone: it says which key does, the one in the footer."""
        self.notify("q quits the dashboard; no sweep stops by that.", timeout=4)

    def action_keys(self) -> None:
        """Every key of this screen."""
        if not isinstance(self.screen, Keys):
            self.push_screen(Keys(self.screen))

    def action_choose(self) -> None:
        """Choose among the store's protocols and studies."""
        if self.moment is not None and not isinstance(self.screen, Choosing):
            self.push_screen(Choosing(self.moment), self._choose)

    def _choose(self, choice: Choice | None) -> None:
        if choice is not None:
            self.stores.choose(choice)
            self.look()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The screens, the studies and whatever the screen has a key for, beside Textual's own commands."""
        for number, (name, title) in enumerate(SCREENS.items(), 1):
            yield SystemCommand(title, f"Screen {number}", partial(self.switch_mode, name))
        yield SystemCommand("Protocol and study", "Choose among the store's", self.action_choose)
        for node, binding, enabled, _ in screen.active_bindings.values():
            if node is screen and enabled and binding.description:
                action = partial(self.run_action, binding.action, screen)
                yield SystemCommand(binding.description, f"Key {self.get_key_display(binding)}", action)
        yield from super().get_system_commands(screen)

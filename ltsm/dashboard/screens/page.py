"""What the five screens share: heading, what is wrong with the store, being told of every change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Footer

from ltsm.dashboard.screens.exporting import Exporting
from ltsm.dashboard.widgets.heading import Heading, Navigation, Notice

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from ltsm.dashboard.moment import Moment
    from ltsm.errors import LtsmError


class Page(Exporting):
    """A screen that shows the store as it is at every moment. `NAME` is its name among the app's modes."""

    def compose(self) -> ComposeResult:
        """Heading and navigation above, keys below, and the screen's own between."""
        yield Heading()
        yield Navigation(self.NAME)
        yield Notice()
        yield from self.body()
        yield Footer(show_command_palette=False, compact=True)

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        raise NotImplementedError

    def show(self, moment: Moment) -> None:
        """Show what the store holds now; called while this screen is in front."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Be told."""
        self.watch(self.app, "moment", self._changed, init=False)
        self.watch(self.app, "problem", self._troubled)

    def on_screen_resume(self) -> None:
        """Show what changed while another screen was in front."""
        self.query_one(Heading).follow()
        self._changed()

    def _changed(self) -> None:
        moment = self.dashboard.moment
        self.set_class(moment is None, "-nothing")
        if moment is not None and self.is_current:
            self.show(moment)

    def _troubled(self, problem: LtsmError | None) -> None:
        self.set_class(self.dashboard.moment is None, "-nothing")
        self.query_one(Notice).problem = problem

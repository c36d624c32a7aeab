"""What stands above every screen: the store and how fresh it is, the screens with their keys, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from ltsm.notation import duration
from ltsm.report import progress

if TYPE_CHECKING:
    from datetime import datetime

    from textual import events

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.source import Looker
    from ltsm.errors import LtsmError


SCREENS: Final = {name: name.capitalize() for name in ("overview", "curves", "masks", "table", "runs")}
"""Every screen and its title, in the order of their number keys."""


class Piece(NamedTuple):
    """A part of the line, its shorter form, and its style; parts with a high `rank` give way first."""

    long: str
    short: str
    rank: int
    style: str = ""


class Heading(Widget):
    """One line, as long as the terminal allows: which store, what of it, whether a sweep is running, how fresh it all is."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[tuple[str, str]] = []

    def on_mount(self) -> None:
        """Follow the store and the clock."""
        for name in ("moment", "problem", "time"):
            self.watch(self.app, name, self.follow, init=False)

    def follow(self) -> None:
        """Draw anew if there is something else to say, and somebody to see it."""
        if self.screen in self.app.screen_stack and self._line() != self._shown:
            self.refresh()

    def render(self) -> Content:
        """The parts that fit."""
        self._shown = self._line()
        return Content(" · ").join(Content.styled(text, style) for text, style in self._shown)

    def _line(self) -> list[tuple[str, str]]:
        looker = cast("Looker", self.app)
        moment = looker.moment
        if moment is None:
            text = "looking …" if looker.problem is None else "waiting for a store"
            return [("ltsm", "bold"), (text, "dim")]
        return fitted(pieces(moment, looker.time, gone=looker.problem is not None), self.size.width)


def pieces(moment: Moment, time: datetime, *, gone: bool = False) -> list[Piece]:
    """All that is to be said, in order."""
    done = f"{moment.finished}/{len(moment.runs)}"
    number = f":{moment.protocol_id}" * (len(moment.protocols) > 1)
    found = [
        Piece(f"{moment.path}{number}", f"{moment.store or moment.path.name}{number}", 2, "bold"),
        Piece(f"protocol {moment.protocol.name}", moment.protocol.name, 5),
        Piece(f"study {moment.asked}", f"study {moment.asked}", 4),
        Piece(f"data {moment.protocol.dataset}", moment.protocol.dataset, 6),
        _state(moment, time, gone=gone),
        Piece(f"{done} runs done", done, 0, "bold"),
    ]
    if left := moment.seconds_left:
        found.append(Piece(f"about {duration(left)} left", f"{duration(left)} left", 1))
    if moment.newest is not None:
        age = duration((time - moment.newest).total_seconds())
        found.append(Piece(f"last record {age} ago", f"{age} ago", 3))
    return [*found, Piece("read-only", "ro", 7, "dim")]


def _state(moment: Moment, time: datetime, *, gone: bool) -> Piece:
    if gone:
        # Missing, older, newer or broken: the notice below says which, and the rest of this line was true before.
        return Piece("✗ cannot be read now, as last seen", "✗ as last seen", 0, "bold $text-error")
    if moment.holder is None:
        if moment.stopped:
            return Piece("‖ sweep interrupted", "‖ interrupted", 0, "$text-warning")
        return Piece("■ no sweep running", "■ idle", 0, "dim")
    since = f" since {moment.holder.since.astimezone():%H:%M}" if moment.holder.since else ""
    what = "sweep" if "sweep" in moment.holder.command else "writer"
    if silent := progress.silence(moment.newest, moment.holder.since, time):
        text = f"{what} silent for {duration(silent)}"
        return Piece(f"▶? {text}, process {moment.holder.pid}", f"▶? {text}", 0, "bold $text-warning")
    return Piece(f"▶ {what} running{since}", f"▶{since}", 0, "bold $text-success")


def fitted(parts: list[Piece], width: int) -> list[tuple[str, str]]:
    """The parts that fit into the width: first the least important become shorter, then they go."""
    shown = {part: part.long for part in parts}
    too_long = sum(cell_len(part.long) + 3 for part in parts) - 3 - width
    by_rank = sorted(parts, key=lambda part: -part.rank)
    for part in by_rank:
        if too_long > 0:
            too_long -= cell_len(part.long) - cell_len(part.short)
            shown[part] = part.short
    for part in by_rank:
        if too_long > 0 and len(shown) > 1:
            too_long -= cell_len(shown.pop(part)) + 3
    return [(text, part.style) for part, text in shown.items()]


class Navigation(Static):
    """The screens as tabs; a click does what the number key does.

    Args:
        here: the screen that this line is on.
    """

    ALLOW_SELECT = False

    def __init__(self, here: str) -> None:
        super().__init__(_tabs(here, narrow=False))
        self._here = here

    def on_resize(self, event: events.Resize) -> None:
        """Where not all titles fit, all numbers do, and the title of this screen."""
        self.update(_tabs(self._here, narrow=event.size.width < _WIDTH), layout=False)


def _tabs(here: str, *, narrow: bool) -> Content:
    tabs = [
        f"[@click=app.switch_mode('{name}')]{'[reverse bold]' if name == here else ''}"
        f" {number}{'' if narrow and name != here else f' {title}'} [/]{'[/]' if name == here else ''}"
        for number, (name, title) in enumerate(SCREENS.items(), 1)
    ]
    return Content.from_markup("".join(tabs))


_WIDTH: Final = sum(len(f" {number} {title} ") for number, title in enumerate(SCREENS.values(), 1))


class Notice(Static):
    """A sentence and the next command; nothing while all is well."""

    problem: reactive[LtsmError | None] = reactive(None)

    def watch_problem(self, problem: LtsmError | None) -> None:
        """Show it or hide."""
        self.display = problem is not None
        if problem is None:
            return
        sentence = problem.message[:1].upper() + problem.message[1:]
        parts: list[tuple[str, str] | str] = [(sentence, "bold")]
        if problem.hint:
            parts += ["\n", ("Next: ", "dim"), (problem.hint, "bold $text-accent")]
        parts.append(("\nThis screen comes alive by itself.", "dim"))
        self.update(Content.assemble(*parts))

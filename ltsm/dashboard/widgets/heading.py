"""The line that tells the truth: which store, what is in it, whether a sweep is running, how fresh it all is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from ltsm.dashboard import moment as now
from ltsm.dashboard import words

if TYPE_CHECKING:
    from datetime import datetime

    from ltsm.dashboard.app import Dashboard
    from ltsm.dashboard.moment import Moment


class Piece(NamedTuple):
    """A part of the line, its shorter form, and its style; parts with a high `rank` give way first."""

    long: str
    short: str
    rank: int
    style: str = ""


class Heading(Widget):
    """One line, as long as the terminal allows."""

    def on_mount(self) -> None:
        """Follow the store and the clock."""
        for name in ("moment", "problem", "time"):
            self.watch(self.app, name, self._changed, init=False)

    def _changed(self) -> None:
        self.refresh()

    def render(self) -> Content:
        """The parts that fit."""
        dashboard = cast("Dashboard", self.app)
        moment = dashboard.moment
        if moment is None:
            text = "looking …" if dashboard.problem is None else "waiting for a store"
            return Content.assemble(("ltsm ", "bold"), (text, "dim"))
        parts = pieces(moment, dashboard.time, gone=dashboard.problem is not None)
        return Content(" · ").join(
            Content.styled(text, style) for text, style in fitted(parts, self.size.width)
        )


def pieces(moment: Moment, time: datetime, *, gone: bool = False) -> list[Piece]:
    """All that is to be said, in order."""
    runs = moment.runs
    done = f"{now.finished(runs)}/{len(runs)}"
    found = [
        Piece(str(moment.path), moment.path.name, 2, "bold"),
        Piece(f"protocol {moment.protocol.name}", moment.protocol.name, 5),
        Piece(f"data {moment.protocol.dataset}", moment.protocol.dataset, 6),
        _state(moment, gone=gone),
        Piece(f"{done} runs done", done, 0, "bold"),
    ]
    left = now.seconds_left(runs, moment.protocol) if moment.holder else None
    if left:
        found.append(Piece(f"about {words.duration(left)} left", f"{words.duration(left)} left", 1))
    newest = now.newest(runs)
    if newest is not None:
        age = words.duration((time - newest).total_seconds())
        found.append(Piece(f"last record {age} ago", f"{age} ago", 3))
    return [*found, Piece("read-only", "ro", 7, "dim")]


def _state(moment: Moment, *, gone: bool) -> Piece:
    if gone:
        return Piece("✗ the store is gone", "✗ gone", 0, "bold $text-error")
    if moment.holder is None:
        stopped = any(run.state == "interrupted" for run in moment.runs)
        long = "‖ sweep interrupted" if stopped else "■ no sweep running"
        return Piece(long, "‖ interrupted" if stopped else "■ idle", 0, "$text-warning" if stopped else "dim")
    since = f" since {moment.holder.since.astimezone():%H:%M}" if moment.holder.since else ""
    what = "sweep" if "sweep" in moment.holder.command else "writer"
    return Piece(f"▶ {what} running{since}", f"▶{since}", 0, "bold $text-success")


def fitted(parts: list[Piece], width: int) -> list[tuple[str, str]]:
    """The parts that fit into the width: first the least important become shorter, then they go."""
    shown = {part: part.long for part in parts}

    def too_long() -> bool:
        return sum(cell_len(text) + 3 for text in shown.values()) - 3 > width

    by_rank = sorted(parts, key=lambda part: -part.rank)
    for part in by_rank:
        if too_long():
            shown[part] = part.short
    for part in by_rank:
        if too_long() and len(shown) > 1:
            del shown[part]
    return [(text, part.style) for part, text in shown.items()]

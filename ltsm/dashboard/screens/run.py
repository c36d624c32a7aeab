"""One run: its curve, state, files, settings and where its numbers come from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ltsm.dashboard import pins, words
from ltsm.dashboard.curve_groups import MEASURES, measures
from ltsm.dashboard.files import Table
from ltsm.dashboard.screens.exporting import Exporting
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.view import View, settled_axes
from ltsm.notation import quoted
from ltsm.protocol import format_value
from ltsm.report import listing
from ltsm.report.figures.values import Curve, Panel
from ltsm.report.progress import speed
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from ltsm.dashboard.moment import Moment
    from ltsm.dashboard.source import Source
    from ltsm.store.values import File, MaskRow, Metric, RunRow
    from ltsm.studies.recipe import Recipe


@dataclass(frozen=True, slots=True)
class _Details:
    """What is read of a run: its records, and each of its files with its size, None for a missing one."""

    run: RunRow
    records: list[Metric]
    files: list[tuple[File, int | None]]


class OneRun(Exporting, ModalScreen[None]):
    """A window with all that the store knows of one run, kept up to date.

    Args:
        run_id: which.
    """

    NAME = "run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close"),
        Binding("v", "measure", "Measure"),
        Binding("l", "log", "Log"),
        Binding("i", "pin", "Pin its curve"),
    ]

    def __init__(self, run_id: int) -> None:
        super().__init__()
        self._run_id = run_id
        self._details: _Details | None = None
        self._measure = 0

    def compose(self) -> ComposeResult:
        """The curve above, the facts below."""
        with VerticalScroll(classes="window") as window:
            window.border_subtitle = "v measure · l log · i pin · e CSV · Esc closes"
            yield Chart()
            yield Static(id="facts")

    def on_mount(self) -> None:
        """Follow the store."""
        self.watch(self.app, "moment", self._changed)

    def _changed(self, moment: Moment | None) -> None:
        run = next((run for run in moment.runs if run.id == self._run_id), None) if moment else None
        if moment is not None and run is not None:
            folder = moment.path.parent
            self.ask(lambda source: _details(source, run, folder))

    def answered(self, answer: _Details) -> None:
        """Show it."""
        self._details = answer
        self.query_one(".window").border_title = run_name(answer.run.recipe, answer.run.seed)
        self.query_one("#facts", Static).update(Content("\n").join(self._facts(answer)))
        self._draw()

    def _draw(self) -> None:
        if self._details is None:
            return
        name = self._measures[self._measure % len(self._measures)]
        title = MEASURES[name]
        records = self._details.records
        x, y = (tuple(float(getattr(record, of)) for record in records) for of in ("iteration", name))
        curve = Curve(x, y, "first")
        axes = settled_axes([curve], "iteration", title, settles=True)
        self.query_one(Chart).panel = Panel(*axes, (curve,), title=f"{title} by iteration")

    @property
    def _measures(self) -> list[str]:
        """What the run's records have."""
        moment, details = self.dashboard.moment, self._details
        recipe = moment.study.recipes.get(details.run.recipe) if moment and details else None
        return measures([recipe] if recipe else [])

    def _facts(self, details: _Details) -> list[Content]:
        moment, run = self.dashboard.moment, details.run
        recipe = moment.study.recipes.get(run.recipe) if moment else None
        if moment is None or recipe is None:  # another study is shown by now
            return []
        settings = moment.protocol.settings().items()
        again = {"again": words.command(run, moment)}
        return [
            *_section("Run", _state(run, moment.masks.get(run.id)) | again),
            *_section("Measured", _measured(run, details.records, moment)),
            *_section("Files", dict(_file(*file) for file in details.files)),
            *_section("Recipe", _recipe(recipe)),
            *_section("Provenance", run.provenance),
            *_section("Settings", {name: format_value(value) for name, value in settings}),
        ]

    def action_measure(self) -> None:
        """The next of loss, accuracy, training loss, and what masks have that are trained."""
        self._measure = (self._measure + 1) % len(self._measures)
        self._draw()

    def action_pin(self) -> None:
        """Draw it on the curves screen, whatever else is shown there; or no longer."""
        moment = self.dashboard.moment
        if moment is not None and self._details is not None:
            self.notify(pins.toggle(self.dashboard, pins.of_run(moment, self._details.run)), markup=False)

    def action_log(self) -> None:
        """A logarithmic axis, or a linear one again."""
        chart = self.query_one(Chart)
        chart.view = View(log=not chart.view.log)

    def table(self) -> Table:
        """The run's records."""
        records = self._details.records if self._details else []
        return Table(
            ["iteration", *self._measures],
            [self._row(record) for record in records],
            self._row(records[-1]) if records else None,
        )

    def _row(self, record: Metric) -> list[Any]:
        return [record.iteration, *(getattr(record, name) for name in self._measures)]


def _details(source: Source, run: RunRow, folder: Path) -> _Details:
    """For a worker thread: a network drive may take its time to say how large a file is."""
    found = [(file, _bytes(folder / file.artifact.path)) for file in source.files(run)]
    return _Details(run, source.records([run])[run.id], found)


def _bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _state(run: RunRow, mask: MaskRow | None) -> dict[str, str]:
    moments = {
        "began": run.started_at,
        "ended": run.finished_at,
        "last record": run.updated_at if run.started_at else None,
    }
    facts = {
        "state": f"{words.GLYPHS[run.state]} {run.state}",
        "error": run.error,
        "iteration": _length(run),
        "best iteration": words.number(run.best_iteration, 0),
        "parameters": words.number(run.parameters, 0),
        "its mask": words.amount(mask) if mask else "",
        "relative size": words.number(run.relative_size, 4),
        "device": run.device,
        "worker": run.worker,
        "seconds": words.number(run.seconds, 1),
        "iterations/s": words.number(speed(run), 0),
        **{name: time and f"{time.astimezone():%Y-%m-%d %H:%M:%S}" for name, time in moments.items()},
    }
    return {name: value for name, value in facts.items() if value}


def _measured(run: RunRow, records: Sequence[Metric], moment: Moment) -> dict[str, str]:
    """The last record and the one of the minimal loss; of a run that trains nothing its mask's."""
    (one,) = listing.listed([run], dict(zip([run.id], records[-1:], strict=False)), moment.masks)
    best = [record for record in records if record.iteration == run.best_iteration]
    facts = {"last": one.last, **({"at the best": best[0]} if best else {})}
    return {
        name: f"{record.iteration:,}: validation loss {words.number(record.val_loss, 4) or '–'}, "
        f"accuracy {words.number(100 * record.val_accuracy, 2) or '–'} %{_tested(record)}"
        for name, record in facts.items()
        if record != listing.NOTHING
    }


def _tested(record: Metric) -> str:
    """The same on the test set, where there is one."""
    loss, accuracy = words.number(record.test_loss, 4), words.number(100 * record.test_accuracy, 2)
    return f"; test loss {loss}, accuracy {accuracy} %" if loss or accuracy else ""


def _recipe(recipe: Recipe) -> dict[str, str]:
    """What is said of it; the rest is as usual."""
    said = ((field.name, getattr(recipe, field.name), field.default) for field in fields(recipe))
    return {name: quoted(value) for name, value, usual in said if value != usual}


def _length(run: RunRow) -> str:
    if run.iterations is None:
        return "length not known yet"
    return f"{run.iteration:,} of {run.iterations:,}" if run.iterations else "trains nothing"


def _file(file: File, size: int | None) -> tuple[str, str]:
    """What it holds, and where it is; start and end of a training have no number."""
    what = file.role if file.role in {"initial", "final"} else f"{file.role} {file.iteration}"
    there = f"{size:,} bytes" if size is not None else "missing"
    return what, f"{file.artifact.path}  ({there}, SHA-256 {file.artifact.sha256[:12]}…)"


def _section(title: str, facts: dict[str, Any]) -> list[Content]:
    lines = [Content.assemble((f"{name:>18}  ", "dim"), str(value)) for name, value in facts.items()]
    return [Content.styled(title, "bold $text-accent"), *lines, Content()] if lines else []

"""Where the numbers come from: versions, machines, commands, dates and the weights' hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ltsm.protocol import format_sizes, format_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltsm.report.evaluation import Evaluation
    from ltsm.store.values import Role, RunRow

_NAMES = {
    "ltsm": "ltsm",
    "torch": "PyTorch",
    "numpy": "NumPy",
    "python": "Python",
    "platform": "System",
    "processor": "Processor",
    "git": "Git commit",
    "command": "Command",
}


WEIGHTS: Final[tuple[Role, ...]] = ("initial", "final")
"""The files whose digests a report gives, also where they have been dropped since."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One run's weights files: SHA-256 of the initial and the final ones."""

    seed: int
    recipe: str
    hidden: str
    state: str
    initial: str
    final: str


def origins(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What to say about all runs together: name and every value that occurs."""
    runs = [run for run in evaluation.runs if run.started_at]
    found = [(name, _values(run.provenance.get(key) for run in runs)) for key, name in _NAMES.items()]
    found.append(("Device", _values(run.device for run in runs)))
    started = [run.started_at for run in runs if run.started_at]
    finished = [run.finished_at for run in runs if run.finished_at]
    if started:
        found.append(("First run started", f"{min(started):%Y-%m-%d %H:%M} UTC"))
    if finished:
        found.append(("Last run finished", f"{max(finished):%Y-%m-%d %H:%M} UTC"))
    trained = [run for run in runs if run.seconds]
    minutes = sum(run.seconds for run in trained) / 60
    found.append(("Time in training", f"{minutes:.1f} min over {len(trained)} runs"))
    found.append(("Protocol's fingerprint", evaluation.protocol.fingerprint))
    return [(name, value) for name, value in found if value]


def settings(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Every setting of the protocol, as a person writes it."""
    p = evaluation.protocol
    values: dict[str, Any] = {"name": p.name} | {key: getattr(p, key) for key in p.settings()}
    values["hyperops"] = " ".join(f"({format_sizes(hidden)})" for hidden in p.hyperops)
    return [(key, "all" if value is None else format_value(value)) for key, value in values.items()]


def weights(evaluation: Evaluation) -> list[Weights]:
    """The hashes of every run that has files, by seed."""
    return [_weights(run) for run in evaluation.runs if any(map(run.written, WEIGHTS))]


def _weights(run: RunRow) -> Weights:
    initial, final = (file.sha256 if file else "–" for file in map(run.written, WEIGHTS))
    return Weights(run.seed, run.recipe, format_sizes(run.hidden), run.state, initial, final)


def _values(values: Iterable[Any]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if value is not None))

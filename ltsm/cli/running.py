"""What all commands that run a step share: find the data, claim the store, run what is missing, say what came out."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ltsm.cli import progress, say
from ltsm.cli.signals import stop_signals
from ltsm.errors import RunError
from ltsm.protocol import settled
from ltsm.report.commands import stored_words, typed
from ltsm.steps import plan
from ltsm.steps.execute import Outcome, execute
from ltsm.steps.jobs import Setting
from ltsm.steps.machine import cores
from ltsm.steps.plan import Task
from ltsm.steps.provenance import provenance
from ltsm.steps.training import Place
from ltsm.store import artifacts, read, schema, write
from ltsm.store.engine import store_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ltsm.cli.choices import Choices
    from ltsm.protocol import Protocol
    from ltsm.store.engine import Store
    from ltsm.store.values import Artifact, RunRow

    Tasks = Callable[[Protocol], list[Task]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to run: on how many workers, what to do with finished or failed runs, with another writer.

    `jobs` None: one worker a core, or one for a GPU.
    """

    jobs: int | None
    force: bool = False
    keep_going: bool = False
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Ran:
    """What was asked for and where its results are."""

    path: Path
    protocol_id: int
    asked_for: list[Task]
    report: str
    """The command that reports on it."""

    def open(self) -> Store:
        """The store, for reading."""
        return schema.open_for_reading(self.path)


def run(choices: Choices, protocol: Protocol, everything: Tasks, asked_for: Tasks, manner: Manner) -> Ran:
    """Run the steps of a protocol, as far as the store lacks them.

    Args:
        choices: where things lie.
        protocol: what to run; its data set may still be `auto`.
        everything: the tasks with all that they need.
        asked_for: those that the user named, which alone `--force` redoes.
        manner: how.

    Raises:
        LtsmError: as the steps do; `RunError` if a run failed.
    """
    path = store_path(choices.store)
    place = located(choices, protocol)
    wanted, named = everything(place.protocol), asked_for(place.protocol)
    with schema.writer(path, " ".join(["ltsm", *sys.argv[1:]]), now(), wait=manner.wait) as store:
        protocol_id = write.add_protocol(store, place.protocol, now())
        write.add_runs(store, protocol_id, list(dict.fromkeys(t.spec(place.protocol) for t in wanted)), now())
        if manner.force:
            forget(store, protocol_id, named)
        place = with_digest(store, protocol_id, place)
        setting = Setting(store, protocol_id, place, now, provenance(sys.argv))
        # Asked for now: when all is done, the disk may be so full that SQLite cannot even read.
        report = typed(["report", *stored_words(read.protocols(store), protocol_id)], path)
        outcome = carried_out(setting, wanted, named, manner)
    report_failures(outcome)
    return Ran(path, protocol_id, named, report)


def carried_out(setting: Setting, wanted: Sequence[Task], named: Sequence[Task], manner: Manner) -> Outcome:
    """Run what is missing of these tasks, with progress on the screen, until done or told to stop."""
    done = stored(setting.store, setting.protocol_id)
    missing = [task for task in wanted if task not in done]
    if first := [str(task) for task in missing if task not in named]:
        say.note(f"runs what is missing first: {', '.join(first[:4])}{' …' if len(first) > 4 else ''}")  # noqa: PLR2004
    if not missing:
        say.note("nothing to do: all of it is in the store (--force redoes it)")
        return Outcome()
    jobs = manner.jobs or default_jobs(setting.place.device)
    with stop_signals() as stop, progress.shown(missing, setting.place.protocol, "all") as watcher:
        return execute(setting, missing, done, watcher, jobs=jobs, stop=stop, keep_going=manner.keep_going)


def located(choices: Choices, protocol: Protocol) -> Place:
    """The protocol with its data set settled, and where the data lies; downloaded first where it is missing.

    Raises:
        UsageError: this machine has no such device.
        DataError: the data cannot be had.
    """
    if choices.device != "cpu":  # torch, which the question brings, is otherwise for workers alone
        from ltsm.core.engine import check_device  # noqa: PLC0415

        check_device(choices.device)
    from ltsm.core.datasets import resolve_dataset  # noqa: PLC0415 - only commands that compute need it

    resolved = resolve_dataset(protocol.dataset, choices.data, os.environ, say=say.note)
    if resolved.notice:
        say.warn(resolved.notice)
    return Place(settled(protocol, resolved.name), resolved.folder.absolute(), device=choices.device)


def stored(store: Store, protocol_id: int) -> set[Task]:
    """The tasks whose results the store has."""
    return plan.finished(read.runs(store, protocol_id), read.masked_runs(store, protocol_id))


def with_digest(store: Store, protocol_id: int, place: Place) -> Place:
    """The place with the SHA-256 of the data that the protocol's earlier runs used: a changed file must not mix in."""
    digests = {run.provenance.get("data_sha256", "") for run in read.runs(store, protocol_id)} - {""}
    return replace(place, digest=min(digests)) if digests else place


def forget(store: Store, protocol_id: int, wanted: Sequence[Task]) -> None:
    """Make the tasks that were asked for, and all that is built on them, undone; then delete their files."""
    undone = plan.dependents(wanted)
    # A supermask has no run: its masks are replaced when it is found again, and its ticket is reset here.
    if searches := {task for task in undone if task.step == "supermask"}:
        write.forget_masks(
            store,
            [
                r.id
                for r in read.runs(store, protocol_id)
                if Task("supermask", r.seed, r.hidden) in searches and r.kind == "baseline"
            ],
        )
    chosen = {(task.kind, task.seed, task.hidden) for task in undone if task.step != "supermask"}
    runs = [run for run in read.runs(store, protocol_id) if (run.kind, run.seed, run.hidden) in chosen]
    write.reset(store, [run.id for run in runs], now())
    for run in runs:
        for artifact in _own_files(run):
            artifacts.remove(store.folder, artifact)


def _own_files(run: RunRow) -> list[Artifact | None]:
    """A baseline's and a ticket's initial weights are the initial training's."""
    own = run.initial if run.kind in {"initial", "hyperop"} else None
    return [own, run.final, run.checkpoint, run.previous]


def report_failures(outcome: Outcome) -> None:
    """Name the runs that failed.

    Raises:
        RunError: one did.
    """
    if outcome.failed:
        task, message = next(iter(outcome.failed.items()))
        more = f" (and {len(outcome.failed) - 1} more)" if len(outcome.failed) > 1 else ""
        raise RunError(f"{task} failed: {message}{more}", "type the same command again to try them once more")


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def default_jobs(device: str) -> int:
    """A worker for every core; one for a GPU, which advances all runs of one shape side by side."""
    return cores() if device == "cpu" else 1

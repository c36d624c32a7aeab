"""What all commands that run a study share: find the data, claim the store, run what is missing, say what came out."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ltsm.cli import dropping, progress, say, workers
from ltsm.cli.signals import stop_signals
from ltsm.cli.stores import now, writing
from ltsm.errors import RunError
from ltsm.grammar import all_again, stored_words, sweep_words, typed
from ltsm.protocol import AUTO, is_own_data, settled
from ltsm.protocol import PAPER as PAPER_PROTOCOL
from ltsm.steps import plan
from ltsm.steps.execute import Execution, Outcome
from ltsm.steps.experiment import Experiment
from ltsm.steps.provenance import provenance
from ltsm.steps.rebuild import Rebuilding
from ltsm.steps.training import Setup
from ltsm.steps.worker import WorkerProcess
from ltsm.store import artifacts, read, write
from ltsm.store.engine import store_path
from ltsm.studies.all import DEFAULT
from ltsm.studies.names import named
from ltsm.studies.study import RunKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ltsm.cli.choices import Choices, RunOptions
    from ltsm.protocol import Protocol
    from ltsm.store.engine import Store
    from ltsm.studies.study import Study


@dataclass(frozen=True, slots=True)
class Ran:
    """What was asked for and where its results are."""

    path: Path
    protocol_id: int
    study: Study
    asked_for: list[RunKey]
    report: str
    """The command that reports on it."""


def run(
    choices: Choices,
    setup: Setup,
    study: Study,
    names: Sequence[str],
    how: RunOptions,
    typed_name: str = DEFAULT,
    *,
    keep_going: bool = False,
) -> Ran:
    """Run recipes of a study for the protocol's seeds, and what they need, as far as the store lacks it.

    Args:
        choices: where things lie.
        setup: the protocol, its data set settled.
        study: whose recipes.
        names: the recipes that the user named, which alone `--force` redoes.
        how: where, and what becomes of those that are there.
        typed_name: what the study is called on the command line.
        keep_going: a failed run stops only those that need it.

    Raises:
        LtsmError: as the steps do; `RunError` if a run failed.
    """
    path, protocol = store_path(choices.store), setup.protocol
    asked_for = plan.keys(names, protocol.seeds)
    with writing(path, wait=how.wait) as store:
        protocol_id = write.add_protocol(store, protocol, now())
        wanted = study.ancestors(*names)
        runs = plan.keys(wanted, protocol.seeds, together=study.seeds_together)
        specs = plan.recipe_specs(study, wanted), plan.run_specs(study, runs)
        write.add_runs(store, protocol_id, *specs, now())
        if how.force:
            dropping.drop(store, dropping.built_on(store, protocol_id, study, asked_for), now(), yes=how.yes)
        setup = with_digest(store, protocol_id, setup)
        if how.engine:
            setup = replace(setup, kernels=(how.engine,))
        # Asked for now: when all is done, the disk may be so full that SQLite cannot even read.
        words = ["report", *sweep_words(typed_name)[1:], *stored_words(read.protocols(store), protocol_id)]
        origin = {**provenance(sys.argv), "study": typed_name, "data": str(setup.data), "place": setup.device}
        experiment = Experiment(store, study, protocol_id, setup, now, origin)
        outcome = carried_out(experiment, runs, set(asked_for), how, keep_going=keep_going)
    report_failures(outcome)
    return Ran(path, protocol_id, study, asked_for, typed(words, path))


def carried_out(
    experiment: Experiment,
    runs: Sequence[RunKey],
    asked_for: set[RunKey],
    how: RunOptions,
    *,
    keep_going: bool,
) -> Outcome:
    """Run what is missing of these, with progress on the screen, until done or told to stop."""
    study = experiment.study
    done = plan.of_study(study, read.ended(experiment.store, experiment.protocol_id))
    missing = [run for run in runs if run not in done]
    if first := [named(run) for run in missing if run not in asked_for]:
        say.note(f"runs what is missing first: {', '.join(first[:4])}{' …' if len(first) > 4 else ''}")  # noqa: PLR2004
    if not missing:
        say.note("nothing to do: all of it is in the store (--force redoes it)")
        _name_gone_files(experiment, set(runs))
        return Outcome()
    with stop_signals() as stop:
        _make_again(experiment, missing, stop)
        with (
            workers.placed(experiment, len(missing), how, stop) as (placed, found),
            progress.shown(missing, plan.costs(study), "all") as watcher,
        ):
            execution = Execution(placed, missing, done, found, watcher, stop=stop, keep_going=keep_going)
            return execution.run()


def _make_again(experiment: Experiment, missing: Sequence[RunKey], stop: Callable[[], int]) -> None:
    """Make again what these runs start from and `db prune` has dropped."""
    with WorkerProcess() as worker:
        for key in Rebuilding(experiment, worker).sources(missing):
            say.note(f"made dropped weights again: {named(key)}")
            if stop():
                return


def _name_gone_files(experiment: Experiment, runs: set[RunKey]) -> None:
    """Say how the weights of finished runs come back, where they are not beside the store."""
    store, study = experiment.store, experiment.study
    rows = read.runs(store, experiment.protocol_id, alive=True)
    ours = (row for row in rows if RunKey(study.name_of(row.fingerprint) or "", row.seed) in runs)
    if gone := [row for row in ours if artifacts.gone(store.folder, row)]:
        settings = read.protocol(store, experiment.protocol_id).settings
        redo = all_again(gone, settings, store.path, force=True)
        say.warn(
            f"but weights of {len(gone)} of these runs are gone from {store.folder}; reports need none. "
            f"The seeds give the same again: {redo}"
        )


def located(choices: Choices, protocol: Protocol) -> Setup:
    """The protocol with its data set settled, and where the data lies; downloaded first where it is missing.

    Raises:
        UsageError: this machine has no such device.
        DataError: the data cannot be had.
    """
    if choices.device != "cpu":  # torch, which the question brings, is otherwise for workers alone
        from ltsm.core.engine import check_device

        check_device(choices.device)
    from ltsm.core.datasets import resolve_dataset

    resolved = resolve_dataset(protocol.dataset, choices.data, os.environ, say=say.note)
    if resolved.notice:
        say.warn(resolved.notice)
    return Setup(settled(protocol, resolved.name), resolved.folder.absolute(), device=choices.device)


def previewed(choices: Choices, protocol: Protocol) -> Setup:
    """The protocol as it would be run, and where its data would be looked for; nothing is downloaded."""
    from ltsm.core.datasets import SHARED_FOLDER, chosen_folder, missing

    # Without its content's digest data of one's own would look as if nothing were done yet.
    if is_own_data(protocol.dataset):
        return located(choices, protocol)
    folder = chosen_folder(choices.data, os.environ)
    if protocol.dataset == AUTO:
        protocol = settled(protocol, PAPER_PROTOCOL.dataset)
        folder = SHARED_FOLDER if missing(protocol.dataset, folder) else folder
    missing(protocol.dataset, folder)  # an unknown name is refused here as it would be later
    return Setup(protocol, folder.absolute(), device=choices.device)


def with_digest(store: Store, protocol_id: int, setup: Setup) -> Setup:
    """The setup with the SHA-256 of the data that the protocol's earlier runs used: a changed file must not mix in."""
    digests = read.data_digests(store, protocol_id)
    return replace(setup, digest=min(digests)) if digests else setup


def report_failures(outcome: Outcome) -> None:
    """Name the runs that failed.

    Raises:
        RunError: one did.
    """
    if outcome.failed:
        run, message = next(iter(outcome.failed.items()))
        more = f" (and {len(outcome.failed) - 1} more)" if len(outcome.failed) > 1 else ""
        raise RunError(
            f"{named(run)} failed: {message}{more}", "type the same command again to try them once more"
        )

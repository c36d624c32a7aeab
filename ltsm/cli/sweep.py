"""`sweep`: a whole study, for all seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal

from ltsm.cli import say
from ltsm.cli.choices import Choices, RunOptions, StudyOptions, with_choices
from ltsm.cli.options import STUDY, StudyName
from ltsm.cli.stores import reading
from ltsm.errors import DataError, UsageError
from ltsm.notation import duration, format_seeds, quoted
from ltsm.studies import all as studies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.cli.dropping import Dropped
    from ltsm.protocol import Protocol
    from ltsm.steps.training import Setup
    from ltsm.studies.study import RunKey, Study

HELP = """Examples:

[bold]ltsm sweep[/]                         the paper's evaluation: ten seeds, every step
[bold]ltsm sweep --smoke[/]                 all of it in small
[bold]ltsm sweep controls[/]                is it the mask, the signs or the values
[bold]ltsm sweep criteria[/]                what makes a good mask
[bold]ltsm sweep criteria --criterion movement --amounts 0.5,0.2 --train best[/]
[bold]ltsm sweep iterative[/]               lottery tickets by iterative pruning, twenty rounds
[bold]ltsm sweep iterative --rounds 10 --controls all --one-shot 7,10[/]
[bold]ltsm sweep learned[/]                 masks that are trained, and never a weight
[bold]ltsm sweep mine:study[/]              a study of your own: a function in mine.py
[bold]ltsm sweep --seeds 0-99 --keep-going[/]
[bold]ltsm sweep --workers dask://HOST:8786[/]       on the machines of a Dask cluster
[bold]ltsm sweep --device cuda[/]           all seeds side by side on a GPU
[bold]ltsm sweep controls --dry-run[/]      what it would run, how long, and the disk that it takes
[bold]ltsm sweep --protocol mine.toml --store mine/ltsm.db[/]

Run every recipe of a study for every seed, minus what the store has; `ltsm study list` names the studies.
Stop it with Ctrl-C; the same command goes on where it stopped, to the same bits.
"""

Seeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="SEEDS", help="The replicates, e.g. 0-9 \\[default: the protocol's]."),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="RECIPE", help="Only this recipe and what it needs; may be repeated."),
]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="After a failed run go on with those that do not need it.")
]
KeepWeights = Annotated[
    bool,
    typer.Option(
        "--keep-weights",
        help="Keep the trained weights of every round; else they go when the next one is done.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be run, and about how long.")]


@with_choices
def sweep(
    choices: Choices,
    own: StudyOptions,
    how: RunOptions,
    study: StudyName = STUDY,
    seeds: Seeds = None,
    only: Only = None,
    dry_run: DryRun = False,
    keep_going: KeepGoing = False,
    keep_weights: KeepWeights = False,
) -> None:
    """A whole study."""
    from ltsm.cli import running, workers
    from ltsm.steps.check import check

    study = own.named(study)
    protocol = choices.made_protocol(seeds, studies.protocol_of(study))
    early = studies.study(study, protocol)  # what cannot be is refused before any data is looked for
    check(early, protocol)
    _named(early, only)
    setup = (running.previewed if dry_run else running.located)(choices, protocol)
    chosen = _chosen(study, setup.protocol, keep_weights)
    names = _named(chosen, only)
    if dry_run:
        jobs = how.jobs or workers.default_jobs(choices.device)
        show_plan(choices, setup, chosen, names, jobs, how.force)
        return
    ran = running.run(choices, setup, chosen, names, how, study, keep_going=keep_going)
    say.note(f"{len(ran.asked_for)} of {len(ran.asked_for)} runs are in {ran.path}: {ran.report}")


def _chosen(name: str, protocol: Protocol, keep_weights: bool) -> Study:
    found = studies.study(name, protocol)
    return replace(found, passing=frozenset()) if keep_weights else found


def _named(study: Study, only: Sequence[str] | None) -> list[str]:
    """The recipes asked for, in the study's order.

    Raises:
        UsageError: the study has no such recipe.
    """
    if unknown := [name for name in only or () if name not in study.recipes]:
        raise UsageError(
            f"the study {study.name} has no recipe {quoted(unknown[0])}: there are {', '.join(study.recipes)}.",
            f"ltsm study show {study.name}",
        )
    return [name for name in study.recipes if not only or name in only]


def show_plan(
    choices: Choices, setup: Setup, study: Study, names: Sequence[str], jobs: int, force: bool = False
) -> None:
    """Print what a sweep would run, and drop first, without making or changing anything."""
    from ltsm.steps import plan

    protocol = setup.protocol
    runs = plan.keys(study.ancestors(*names), protocol.seeds)
    done, dropped = already(choices, protocol, study, plan.keys(names, protocol.seeds) if force else ())
    missing = [run for run in runs if run not in done]
    title = f"{study.name}, {protocol.name}: {protocol.dataset}"
    seeds = {
        name: tuple(run.seed for run in missing if run.recipe == name) for name in study.ancestors(*names)
    }
    rows = ((name, format_seeds(its) or "none", length_text(study, name)) for name, its in seeds.items())
    say.rows(rows, "recipe", "seeds to run", "iterations each", title=title, title_justify="left")
    say.data(f"{len(missing)} of {len(runs)} runs to do")
    if dropped.runs:
        say.data(f"--force first drops {dropped.text()}")
    if missing:
        say.data(estimated(setup, study, missing, jobs))


def estimated(setup: Setup, study: Study, runs: Sequence[RunKey], jobs: int) -> str:
    """How long these runs will take and how much disk, in words; the data may be missing."""
    from ltsm.steps.estimate import estimate

    try:
        found = estimate(setup, study, runs, jobs)
    except DataError as error:
        return f"no estimate of the time: {error.message}"
    workers = f"{jobs} workers" if jobs > 1 else "one worker"
    time = f"{duration(found.seconds)} on {workers} at the speed just measured"
    return f"estimated: {time}, {decimal(found.bytes)} of disk"


def length_text(study: Study, name: str) -> str:
    """How long a recipe trains, in words."""
    from ltsm.steps.plan import length

    recipe = study.recipes[name]
    if recipe.trains == "nothing":
        return "none"
    found = length(recipe)
    return "to the best" if found is None else f"{found:,}"


def already(
    choices: Choices, protocol: Protocol, study: Study, forced: Sequence[RunKey]
) -> tuple[set[RunKey], Dropped]:
    """What the store will have of this study under this protocol once the forced runs are dropped, and those.

    An absent store has nothing.
    """
    from ltsm.cli.dropping import Dropped, built_on
    from ltsm.steps.plan import of_study
    from ltsm.store import read
    from ltsm.store.engine import store_path

    path = store_path(choices.store)
    if not path.exists():
        return set(), Dropped()
    with reading(path) as store:
        same = [p.id for p in read.protocols(store) if p.fingerprint == protocol.fingerprint]
        if not same:
            return set(), Dropped()
        dropped = built_on(store, same[0], study, forced)
        gone = {(run.fingerprint, run.seed) for run in dropped.runs}
        return of_study(study, read.ended(store, same[0]) - gone), dropped

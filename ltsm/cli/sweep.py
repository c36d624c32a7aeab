"""`sweep`: the whole evaluation, for all seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ltsm.cli import say
from ltsm.cli.choices import Choices, with_choices
from ltsm.cli.steps import Force, Jobs, Wait
from ltsm.protocol import AUTO, PAPER, format_seeds, is_own_data, settled

if TYPE_CHECKING:
    from ltsm.protocol import Protocol
    from ltsm.steps.plan import Task

HELP = """Examples:

[bold]ltsm sweep[/]                         the paper's evaluation: ten seeds, every step
[bold]ltsm sweep --smoke[/]                 all of it in small
[bold]ltsm sweep --seeds 0-99 --keep-going[/]
[bold]ltsm sweep --device cuda[/]           all seeds side by side on a GPU
[bold]ltsm sweep --dry-run[/]               what it would run
[bold]ltsm sweep --protocol mine.toml --store mine/ltsm.db[/]

Run every step of the method and its comparison for every seed, minus what the store has.
Stop it with Ctrl-C; the same command goes on where it stopped, to the same bits.
"""

Seeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="SEEDS", help="The replicates, e.g. 0-9 \\[default: the protocol's]."),
]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="After a failed run go on with those that do not need it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be run.")]


@with_choices
def sweep(
    choices: Choices,
    seeds: Seeds = None,
    jobs: Jobs = None,
    dry_run: DryRun = False,
    keep_going: KeepGoing = False,
    force: Force = False,
    wait: Wait = False,
) -> None:
    """The whole evaluation."""
    from ltsm.cli import running  # noqa: PLC0415
    from ltsm.core.sources import source  # noqa: PLC0415 - numpy
    from ltsm.steps import plan  # noqa: PLC0415

    def everything(protocol: Protocol) -> list[Task]:
        return plan.everything(protocol, protocol.seeds)

    protocol = choices.made_protocol(seeds)
    if dry_run:
        # without its content's digest, data of one's own would look as if nothing were done yet
        protocol = running.located(choices, protocol).protocol if is_own_data(protocol.dataset) else protocol
        protocol = settled(protocol, PAPER.dataset) if protocol.dataset == AUTO else protocol
        source(protocol.dataset)  # refused here as it would be without --dry-run
        show_plan(choices, protocol, everything(protocol))
        return
    manner = running.Manner(jobs=jobs, force=force, keep_going=keep_going, wait=wait)
    ran = running.run(choices, protocol, everything, everything, manner)
    say.note(f"{len(ran.asked_for)} of {len(ran.asked_for)} steps are in {ran.path}: {ran.report}")


def show_plan(choices: Choices, protocol: Protocol, tasks: list[Task]) -> None:
    """Print what a sweep would run, without making or changing anything."""
    done = already(choices, protocol)
    table = Table(
        "step",
        "seeds to run",
        "iterations each",
        title=f"{protocol.name}: {protocol.dataset}",
        title_justify="left",
    )
    steps: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        steps.setdefault((task.step, str(task).partition(" ")[2].partition(" ")[2]), []).append(task)
    for (step, label), members in steps.items():
        missing = tuple(task.seed for task in members if task not in done)
        length = {"baseline": "to the best", "supermask": "none"}.get(
            step
        ) or f"{members[0].spec(protocol).iterations:,}"
        table.add_row(label, format_seeds(missing) or "none", length)
    say.table(table)
    missing_count = sum(task not in done for task in tasks)
    say.data(f"{missing_count} of {len(tasks)} steps to run")


def already(choices: Choices, protocol: Protocol) -> set[Task]:
    """What the store has of this protocol; an absent store has nothing."""
    from ltsm.cli.running import stored  # noqa: PLC0415
    from ltsm.store import read, schema  # noqa: PLC0415
    from ltsm.store.engine import store_path  # noqa: PLC0415

    path = store_path(choices.store)
    if not path.exists():
        return set()
    store = schema.open_for_reading(path)
    try:
        same = [p.id for p in read.protocols(store) if p.fingerprint == protocol.fingerprint]
        return stored(store, same[0]) if same else set()
    finally:
        store.close()

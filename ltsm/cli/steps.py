"""`train-baseline`, `find-supermask`, `train-ticket`, `train-hyperop`: one step of the method for some seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ltsm.cli import say
from ltsm.cli.choices import Choices, with_choices
from ltsm.protocol import parse_sizes
from ltsm.settings import check_layers
from ltsm.store.values import FINISHED, RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.cli.running import Manner
    from ltsm.protocol import Protocol
    from ltsm.steps.plan import Step, Task
    from ltsm.store.engine import Store

Seed = Annotated[
    str, typer.Option("--seed", "--seeds", metavar="SEEDS", help="The replicates: 3, or 0-9, or 0,2,5.")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Worker processes; default: one a core, or one for a GPU."),
]
Force = Annotated[bool, typer.Option("--force", help="Redo it, and drop what is built on it.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another command that writes to the store.")]

BASELINE_HELP = """Examples:

[bold]ltsm train-baseline --seed 3[/]
[bold]ltsm train-baseline --seeds 0-9 --jobs 2[/]
[bold]ltsm train-baseline --seed 3 --hidden 300,100 --lr 0.001[/]

Steps 1 and 2: save random values, train from them for 20,000 iterations, and retrain from the same
values to the iteration of minimal validation loss.
"""
SUPERMASK_HELP = """Examples:

[bold]ltsm find-supermask --seed 3[/]

Steps 3 and 4: for every threshold mask the initial values by what training made of them, evaluate the
untrained masked networks, and choose the most accurate one. Trains the baseline first where it is missing.
"""
TICKET_HELP = """Examples:

[bold]ltsm train-ticket --seed 3[/]

Steps 5 and 6: freeze the supermask's zeros and train what is left. Runs the steps before it where they are missing.
"""
HYPEROP_HELP = """Examples:

[bold]ltsm train-hyperop --seed 3[/]                       all ten dense networks
[bold]ltsm train-hyperop --seed 3 --sizes 100,15[/]        one of them

The comparison: dense networks with smaller layers, each from its own random values.
"""


@with_choices
def train_baseline(
    choices: Choices, seed: Seed = "0", jobs: Jobs = None, force: Force = False, wait: Wait = False
) -> None:
    """Steps 1 and 2."""
    _run_chain("baseline", choices, seed, _manner(jobs, force, wait))


@with_choices
def find_supermask(
    choices: Choices, seed: Seed = "0", jobs: Jobs = None, force: Force = False, wait: Wait = False
) -> None:
    """Steps 3 and 4."""
    _run_chain("supermask", choices, seed, _manner(jobs, force, wait))


@with_choices
def train_ticket(
    choices: Choices, seed: Seed = "0", jobs: Jobs = None, force: Force = False, wait: Wait = False
) -> None:
    """Steps 5 and 6."""
    _run_chain("ticket", choices, seed, _manner(jobs, force, wait))


@with_choices
def train_hyperop(
    choices: Choices,
    seed: Seed = "0",
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes", metavar="SIZES", help="Only this one, e.g. 100,15; default: all of the protocol's."
        ),
    ] = None,
    jobs: Jobs = None,
    force: Force = False,
    wait: Wait = False,
) -> None:
    """The dense comparison."""
    from ltsm.steps import plan  # noqa: PLC0415

    only = None if sizes is None else parse_sizes(sizes)
    if only is not None:
        check_layers("--sizes", only, "e.g. --sizes 100,15")

    def tasks(protocol: Protocol) -> list[Task]:
        chosen = protocol.hyperops if only is None else (only,)
        return [plan.Task("hyperop", s, hidden) for s in protocol.seeds for hidden in chosen]

    _run(choices, seed, tasks, tasks, _manner(jobs, force, wait))


def _run_chain(last: Step, choices: Choices, seed: str, manner: Manner) -> None:
    from ltsm.steps import plan  # noqa: PLC0415

    def everything(protocol: Protocol) -> list[Task]:
        return [task for s in protocol.seeds for task in plan.chain(protocol, s, last)]

    def asked_for(protocol: Protocol) -> list[Task]:
        steps = {"initial", "baseline"} if last == "baseline" else {last}
        return [task for task in everything(protocol) if task.step in steps]

    _run(choices, seed, everything, asked_for, manner)


def _manner(jobs: int | None, force: bool, wait: bool) -> Manner:
    from ltsm.cli.running import Manner  # noqa: PLC0415

    return Manner(jobs=jobs, force=force, wait=wait)


def _run(
    choices: Choices,
    seeds: str,
    everything: Callable[[Protocol], list[Task]],
    asked_for: Callable[[Protocol], list[Task]],
    manner: Manner,
) -> None:
    """Run the steps and print a line for each that was asked for."""
    from ltsm.cli import running  # noqa: PLC0415

    ran = running.run(choices, choices.made_protocol(seeds), everything, asked_for, manner)
    store = ran.open()
    for task in ran.asked_for:
        say.data(summary(store, ran.protocol_id, task))
    store.close()


def summary(store: Store, protocol_id: int, task: Task) -> str:
    """What came out of a task, in a line."""
    from ltsm.store import read  # noqa: PLC0415

    run = read.find_run(store, protocol_id, RunSpec(task.seed, task.kind, task.hidden))
    if run is None or run.state not in FINISHED:
        return f"{task}: {run.state if run else 'missing'}"
    if task.step == "supermask":
        mask = read.selected_mask(store, run.id)
        assert mask is not None  # noqa: S101 - the task is finished
        return (
            f"{task}: t = {mask.threshold:g} keeps {mask.relative_size:.1%};"
            f" untrained, it classifies {mask.val_accuracy:.1%} of the validation set"
        )
    last = read.metrics(store, [run.id])[run.id][-1]
    best = "" if run.best_iteration is None else f", minimal loss at iteration {run.best_iteration:,}"
    where = "" if run.final is None else f" → {store.folder / run.final.path}"
    return f"{task} {run.state}: validation loss {last.val_loss:.4f}, accuracy {last.val_accuracy:.4f}{best}{where}"

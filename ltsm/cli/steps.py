"""`train-baseline`, `find-supermask`, `train-ticket`, `train-hyperop`: one step of the method for some seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ltsm.cli import say
from ltsm.cli.choices import Choices, RunOptions, with_choices
from ltsm.cli.stores import reading
from ltsm.protocol import parse_sizes
from ltsm.settings import check_layers
from ltsm.store.values import FINISHED
from ltsm.studies import paper
from ltsm.studies.names import named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ltsm.cli.running import Ran
    from ltsm.store.engine import Store
    from ltsm.studies.study import RunKey

Seed = Annotated[
    str, typer.Option("--seed", "--seeds", metavar="SEEDS", help="The replicates: 3, or 0-9, or 0,2,5.")
]

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


def _step(*recipes: str) -> Callable[..., None]:
    """A command that runs these recipes of the paper, and what they need."""

    @with_choices
    def command(choices: Choices, how: RunOptions, seed: Seed = "0") -> None:
        _run(choices, seed, recipes, how)

    return command


train_baseline = _step(paper.INITIAL, paper.BASELINE)
find_supermask = _step(paper.SUPERMASK)
train_ticket = _step(paper.TICKET)


@with_choices
def train_hyperop(
    choices: Choices,
    how: RunOptions,
    seed: Seed = "0",
    sizes: Annotated[
        str | None,
        typer.Option(metavar="SIZES", help="Only this one, e.g. 100,15; default: all of the protocol's."),
    ] = None,
) -> None:
    """The dense comparison."""
    only = None if sizes is None else parse_sizes(sizes)
    if only is not None:
        check_layers("--sizes", only, "e.g. --sizes 100,15")
    recipes = None if only is None else (paper.hyperop(only),)
    _run(choices, seed, recipes, how, only)


def _run(
    choices: Choices,
    seeds: str,
    recipes: Sequence[str] | None,
    how: RunOptions,
    dense: tuple[int, ...] | None = None,
) -> None:
    """Run recipes of the paper, by default every dense network, and print a line for each that was asked for."""
    from ltsm.cli import running

    setup = running.located(choices, choices.made_protocol(seeds))
    study = paper.study(setup.protocol, () if dense is None else (dense,))
    names = recipes or [paper.hyperop(hidden) for hidden in setup.protocol.hyperops]
    ran = running.run(choices, setup, study, names, how)
    with reading(ran.path) as store:
        for key in ran.asked_for:
            say.data(summary(store, ran, key))


def summary(store: Store, ran: Ran, key: RunKey) -> str:
    """What came out of a run, in a line."""
    from ltsm.store import read

    run = read.find_run(store, ran.protocol_id, ran.study.fingerprints()[key.recipe], key.seed)
    if run is None or run.state not in FINISHED:
        return f"{named(key)}: {run.state if run else 'missing'}"
    if ran.study.recipes[key.recipe].trains == "nothing":
        mask = read.selected_mask(store, run.id)
        assert mask is not None  # noqa: S101 - the run is done
        return (
            f"{named(key)}: t = {mask.amount:g} keeps {mask.relative_size:.1%};"
            f" untrained, it classifies {mask.val_accuracy:.1%} of the validation set"
        )
    last = read.latest(store, [run.id])[run.id]
    best = "" if run.best_iteration is None else f", minimal loss at iteration {run.best_iteration:,}"
    where = "" if run.final is None else f" → {store.folder / run.final.path}"
    what = f"{named(key)} {run.state}: validation loss {last.val_loss:.4f}, accuracy {last.val_accuracy:.4f}"
    return f"{what}{best}{where}"

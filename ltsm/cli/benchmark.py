"""`benchmark`: how fast this machine trains, beside plain PyTorch."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ltsm.cli import say
from ltsm.cli.options import Data, Device, Json
from ltsm.errors import UsageError
from ltsm.notation import parse_sizes, quoted

if TYPE_CHECKING:
    from ltsm.bench.contestants import Contestant
    from ltsm.bench.measurement import Result, Spread
    from ltsm.steps.training import Setup
    from ltsm.studies.recipe import Learned

HELP = """Examples:

[bold]ltsm benchmark[/]                          about two and a half minutes
[bold]ltsm benchmark --seconds 1 --repeats 3[/]  a quick look
[bold]ltsm benchmark --hidden 300,100 --order shuffled[/]
[bold]ltsm benchmark --learn bernoulli[/]        masks of 784-300-100-10 trained in place of weights
[bold]ltsm benchmark --all-threads[/]            the PyTorch loops on all cores, too
[bold]ltsm benchmark --json | jq .ratios[/]
[bold]ltsm benchmark --scale[/]                  how time and memory grow, as Markdown; some three minutes

Train the paper's network by a plain PyTorch loop, by a careful one, in JAX where it is installed, and by every engine
of this program, in turns, one thread each. Figures are medians over the rounds, with the smallest and the largest.
Of the peak: what dense arithmetic would take, over what torch.mm reaches on one core; who skips zeros can pass 100 %.
A sweep: the paper's, on all cores at this pace, every network taken for the full-sized one.
"""
COLUMNS = (
    *("program", "threads", "an iteration", "an evaluation", "model-iterations a second", "of the peak"),
    "a sweep",
)
Seconds = Annotated[
    float, typer.Option("--seconds", min=0.01, metavar="S", help="Time for each program in each round.")
]
Repeats = Annotated[int, typer.Option("--repeats", min=1, metavar="N", help="Rounds.")]
AllThreads = Annotated[
    bool,
    typer.Option("--all-threads", help="The PyTorch loops on all cores, too; the better way counts."),
]
Scale = Annotated[
    bool, typer.Option("--scale", help="Seeds, widths, batch size and data, one at a time, instead.")
]
Name = Annotated[
    str, typer.Option("--dataset", metavar="NAME|PATH", help="As for `ltsm sweep`; auto: MNIST, else digits.")
]


Hidden = Annotated[str | None, typer.Option("--hidden", metavar="SIZES", help="Layer sizes, e.g. 300,100.")]
Order = Annotated[
    str, typer.Option("--order", metavar="ORDER", help="Of the images: file, or shuffled each epoch.")
]


Learn = Annotated[
    str | None,
    typer.Option("--learn", metavar="METHOD", help="Train masks instead: bernoulli or edge_popup."),
]


def benchmark(
    data: Data = None,
    dataset: Name = "auto",
    hidden: Hidden = None,
    order: Order = "file",
    seconds: Seconds = 5.0,
    repeats: Repeats = 5,
    device: Device = "cpu",
    all_threads: AllThreads = False,
    scale: Scale = False,
    learn: Learn = None,
    json: Json = False,
) -> None:
    """How fast this machine trains.

    Raises:
        LtsmError: the data cannot be had, or there is no such device.
    """
    from ltsm.bench.benchmark import benchmark as measure
    from ltsm.bench.measurement import Effort, as_json, machine
    from ltsm.core.datasets import resolve_dataset
    from ltsm.protocol import FRANKLE, PAPER
    from ltsm.steps.training import Setup

    resolved = resolve_dataset(dataset, data, os.environ, say=say.note)
    if resolved.notice:
        say.warn(resolved.notice)
    sizes: dict[str, Any] = {"hidden": parse_sizes(hidden)} if hidden else {}
    learned = how_learned(learn) if learn else None
    if learned:
        order, sizes = "shuffled", {"hidden": FRANKLE.hidden, **sizes, "batch_size": learned.batch_size}
    protocol = PAPER.changed(dataset=resolved.name, order=order, **sizes)
    setup = Setup(protocol, resolved.folder.absolute(), device=device)
    if scale:
        show_scale(setup, json)
        return
    effort = Effort(seconds=seconds, repeats=repeats, device=device, all_threads=all_threads)
    result = measure(setup, effort, say.note, learned)
    if json:
        say.as_json("ltsm-benchmark", 1, machine() | as_json(result))
    else:
        show(result)


def how_learned(method: str) -> Learned:
    """The method as the study of learned masks has it, without rescaling.

    Raises:
        UsageError: there is none such.
    """
    from ltsm.studies.learned import OF

    if method not in OF:
        raise UsageError(f"there is no method {quoted(method)}: there are {', '.join(OF)}.")
    return replace(OF[method], rescale=False)


def show(result: Result) -> None:
    """The table, then who is how many times as fast as whom; what to mind on stderr."""
    every = result.protocol.record_every
    table = Table(
        *COLUMNS[: -1 if result.learned else None],
        title=f"{result.protocol.dataset}, {'-'.join(map(str, result.network.sizes))}, batches of "
        f"{result.protocol.batch_size} in {result.protocol.order} order, an evaluation every {every} iterations, {result.effort.device}",
        title_justify="left",
    )  # fmt: skip
    for one in result.contestants:
        table.add_row(*cells(result, one))
    say.table(table)
    ours = result.best("ltsm").name
    for kind in result.rivals:
        ratio = result.ratio(kind)
        say.data(
            f"{ours} is {ratio.median:.1f} times ({ratio.low:.1f} to {ratio.high:.1f}) the {result.best(kind).name}"
        )
    from ltsm.bench.measurement import machine

    found = machine()
    say.data(f"{found['processor']}, {found['cores']} cores, torch {found['torch']}, {found['date']}")
    for name, why in result.left_out.items():
        say.note(f"{name} was left out. {why}")
    for warning in result.warnings:
        say.warn(warning)


def cells(result: Result, one: Contestant) -> list[str]:
    """A contestant's line of the table."""
    from ltsm.bench.measurement import spread

    timings = result.timings[one]
    found = [
        one.name if one.models == 1 else f"{one.name}, {one.models} side by side",
        str(one.threads),
        ranged(spread([t.iteration * 1e6 for t in timings]), "µs"),
        ranged(spread([t.evaluation * 1e3 for t in timings]), "ms"),
        ranged(spread(result.rates(one)), ""),
        f"{result.share_of_peak(one):.1%}",
    ]
    return found if result.learned else [*found, duration(result.sweep_seconds(one))]


def ranged(found: Spread, unit: str) -> str:
    """Median and range: 26.1 (25.9 to 27.0) ms."""
    digits = 0 if found.median >= 100 else 1  # noqa: PLR2004 - three digits say enough
    low, high = (f"{value:,.{digits}f}" for value in (found.low, found.high))
    return f"{found.median:,.{digits}f} ({low} to {high}) {unit}".rstrip()


def duration(seconds: float) -> str:
    """A time as one would say it."""
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004


def show_scale(setup: Setup, json: bool) -> None:
    """Measure and print how time and memory grow."""
    from ltsm.bench.measurement import machine
    from ltsm.bench.scale import as_json, scale, table
    from ltsm.core.sources import source

    images = len(source(setup.protocol.dataset).read(setup.data).train.labels)
    lines = scale(setup, images, say.note)
    if json:
        say.as_json("ltsm-benchmark-scale", 1, machine() | {"lines": as_json(lines)})
    else:
        say.data(table(lines))

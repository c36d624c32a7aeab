"""`prune`: the recipe on saved weights of one's own network."""

from __future__ import annotations

import math
import os
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ltsm.cli import learning, options, pruned, say
from ltsm.core.criteria import CRITERIA
from ltsm.errors import UsageError
from ltsm.protocol import PAPER

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.library.supermasks import Supermask
    from ltsm.library.tickets import Ticket
    from ltsm.protocol import Protocol

SIGN = "sign"
"""The paper's criterion, where none is named."""
HELP = """Examples:

[bold]ltsm prune --initial before.pt --trained after.pt --data mnist[/]
[bold]ltsm prune --initial a.safetensors --trained b.safetensors --data mine.npz --out pruned/ --train[/]
[bold]ltsm prune --initial a.pt --trained b.pt --data mine.npz --network model:make --only-linear[/]
[bold]ltsm prune --trained b.pt --data mine.npz --keep 0.2 --criterion large_final --mask weights[/]
[bold]ltsm prune --learn bernoulli --initial before.pt --data mnist --constants --rescale[/]

Steps 3 and 4 on saved weights of your own network: evaluate the initial values, masked by what training made of
them, at every threshold, and choose the most accurate. --keep searches for nothing and keeps that fraction of each
layer. --train adds steps 5 and 6. --learn needs no trained weights: it trains the mask of initial ones, and no weight.
docs/guide.md tells more, docs/choosing_a_mask.md about criteria.
"""


Network = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="MODULE:FUNCTION",
        help="Makes your network; this runs it. Without it, linear layers with --activation between are assumed.",
    ),
]


def prune(
    data: Annotated[
        str, typer.Option(metavar="FILE|NAME", help="FILE.npz, a ./FOLDER of images, mnist, digits …")
    ],
    trained: Annotated[Path | None, options.path("Weights after training; without --learn.")] = None,
    initial: Annotated[
        Path | None,
        options.path("Weights before training: .safetensors, .pt. Without them trained values are masked."),
    ] = None,
    network: Network = None,
    folder: Annotated[
        Path | None,
        options.path(
            "Where named data sets lie \\[env var: LTSM_DATA; default: data].", "--data-dir", metavar="DIR"
        ),
    ] = None,
    out: Annotated[
        Path | None, options.path("Write mask, weights, ticket and thresholds here.", metavar="DIR")
    ] = None,
    as_json: options.Json = False,
    train: Annotated[bool, typer.Option("--train", help="Train what is left, its zeros frozen.")] = False,
    activation: Annotated[str, typer.Option(metavar="NAME", help="relu, tanh or gelu.")] = PAPER.activation,
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="SCOPE",
            help=f"What it covers: all parameters, or weights; default: {PAPER.mask}, of --learn weights.",
        ),
    ] = None,
    only_linear: Annotated[
        bool, typer.Option("--only-linear", help="Leave layers that are not linear alone.")
    ] = False,
    pixels: Annotated[str, typer.Option(metavar="SCALE", help="raw, or standardised.")] = PAPER.pixels,
    criterion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|MODULE:FUNCTION",
            help=f"What scores a weight, the largest being kept: {', '.join(CRITERIA)}; or a function of yours;"
            f" default: {SIGN}.",
        ),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION", help="Keep this fraction, without a search; also of --learn edge_popup."
        ),
    ] = None,
    scope: Annotated[
        str | None, typer.Option(metavar="SCOPE", help="Of --keep: of each layer, or global; default: layer.")
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option(metavar="FROM:TO:STEP", help="Default: -0.1:0.4:0.01.")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(metavar="FROM:TO", help="Which may be chosen; default: 0:0.2, or all of --thresholds."),
    ] = None,
    iterations: Annotated[
        int, typer.Option(min=1, metavar="N", help="Length of --train.")
    ] = PAPER.iterations,
    lr: Annotated[float, typer.Option(metavar="RATE", help="Adam's, of --train.")] = PAPER.lr,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Of --train.")] = PAPER.batch_size,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="ORDER", help="file, or shuffled each epoch; default: shuffled for your own data."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the shuffling, and of what a criterion draws.")] = 0,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Under which key of both files the weights lie.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what --out has already.")] = False,
    learn: learning.Method = None,
    learn_iterations: learning.Length = None,
    learn_lr: learning.Rate = None,
    constants: learning.Constants = False,
    rescale: learning.Rescale = False,
) -> None:
    """Find or learn the supermask of saved weights, and with --train its ticket.

    Raises:
        UsageError: an option cannot be, or the weights are not of one network.
        StoreError: a file cannot be read or written.
        DataError: the data is missing, or does not fit the network.
    """
    if out is not None and not force:
        pruned.check_free(out)
    wanted = learning.wish(
        learn,
        {
            "--learn-iterations": learn_iterations,
            "--learn-lr": learn_lr,
            "--constants": constants,
            "--rescale": rescale,
        },
        {
            "--trained": trained,
            "--criterion": criterion,
            "--scope": scope,
            "--thresholds": thresholds,
            "--select": select,
        },
        keep,
    )
    amount = {} if wanted else _amount(keep, scope, thresholds or select)
    if wanted:  # as both papers have it
        mask, order = mask or "weights", order or "shuffled"
    settings = {"activation": activation, "mask": mask, "pixels": pixels, "lr": lr, "order": order}
    protocol = PAPER.changed(
        dataset=data,
        iterations=iterations,
        batch_size=batch_size,
        **_thresholds(thresholds, select),
        **{name: value for name, value in settings.items() if value is not None},
    )
    search = {"amounts": protocol.thresholds, "select": (protocol.select_min, protocol.select_max)}
    images, test = _data(protocol, folder)
    from torch import nn

    how: dict[str, Any] = {"mask": protocol.mask, "activation": protocol.activation, "seed": seed}
    how["only"] = nn.Linear if only_linear else None
    with their_code():
        if wanted:
            found: Supermask = learning.learned(wanted, (initial, key), images, network, protocol.order, how)
        else:
            found = _found((initial, trained, key), images, network, criterion or SIGN, amount or search, how)
        ticket = _ticket(found, images, protocol, seed, train=train)
        tested = None if test is None else _tested(found, ticket, images, test)
    if initial is not None and not wanted:
        pruned.compare_whole(found, images)
    pruned.note_left_alone(found, "initial" if initial or wanted else "trained")
    if train:
        shuffled = "reshuffled every epoch" if protocol.order == "shuffled" else "in file order"
        say.note(f"trained for {iterations:,} iterations, the images {shuffled}")
    if as_json:
        say.as_json("ltsm-prune", 1, pruned.as_json(found, ticket, images) | {"test": tested})
    else:
        pruned.show(found, ticket, images)
        pruned.show_tested(tested)
    if out is not None:
        pruned.write(found, ticket, images, out)


def _data(protocol: Protocol, folder: Path | None) -> tuple[Dataset, TestSet | None]:
    from ltsm.core.datasets import load_sets, resolve_dataset

    resolved = resolve_dataset(protocol.dataset, folder, os.environ, say=say.note)
    if resolved.notice:
        say.warn(resolved.notice)
    return load_sets(resolved.name, resolved.folder, pixels=protocol.pixels)


def _tested(found: Supermask, ticket: Ticket, images: Dataset, test: TestSet) -> dict[str, Any]:
    """What the network achieves on images that selected nothing, untrained and, where it was, trained."""
    from ltsm.library.ticket_evaluation import evaluate_test

    achieved = evaluate_test(ticket, images, test, found.model)
    accuracy = {w: a.val_accuracy for w, a in zip(("untrained", "trained"), achieved, strict=True) if a}
    return {"images": len(test.labels), "accuracy": accuracy}


def _found(
    weights: tuple[Path | None, Path | None, str | None],
    images: Dataset,
    network: str | None,
    criterion: str,
    amounts: dict[str, Any],
    how: dict[str, Any],
) -> Supermask:
    from ltsm.library.files import function_named, network_named, read_weights
    from ltsm.library.supermasks import find_supermask

    initial, trained, key = weights
    if trained is None:
        raise UsageError(
            "--trained FILE is missing: a mask by a rule is made by what training made of the weights.",
            "--trained FILE; or --learn bernoulli, which learns a mask without them",
        )
    return find_supermask(
        None if initial is None else read_weights(initial, key),
        read_weights(trained, key),
        images,
        model=None if network is None else network_named(network),
        criterion=function_named(criterion, "criterion") if ":" in criterion else criterion,
        **amounts,
        **how,
    )


def _ticket(found: Supermask, images: Dataset, protocol: Protocol, seed: int, *, train: bool) -> Ticket:
    """What is left, trained if asked for, with what `ltsm ticket evaluate` needs to find the same images again."""
    from ltsm.library.tickets import ticket_of
    from ltsm.library.training import train_ticket

    names = ("iterations", "lr", "batch_size", "order")
    plan = {name: getattr(protocol, name) for name in names}
    made = train_ticket(found, images, images, seed=seed, **plan) if train else ticket_of(found)
    data = {"dataset": images.name, "pixels": protocol.pixels, "sha256": images.digest}
    return replace(made, about={**made.about, "data": data})


def their_code() -> AbstractContextManager[Any]:
    """Around what runs the caller's code: what it prints is for people, and stdout for data."""
    return redirect_stdout(sys.stderr)


def _amount(keep: float | None, scope: str | None, search: str | None) -> dict[str, Any]:
    """The fraction that --keep asks for, as `find_supermask` takes it; nothing, where thresholds are searched.

    Raises:
        UsageError: an option of the one beside the other.
    """
    if keep is None:
        if scope is not None:
            raise UsageError("--scope says what --keep is a fraction of.", "--keep 0.2 --scope global")
        return {}
    if search:
        raise UsageError(
            "--keep searches for nothing: --thresholds and --select are for a search.", "leave one out"
        )
    return {"by": "fraction", "amounts": [keep], "scope": scope or "layer"}


def _thresholds(thresholds: str | None, select: str | None) -> dict[str, float]:
    """The settings that two options stand for; all thresholds of one's own may be chosen.

    Raises:
        UsageError: an option is no numbers.
    """
    changes: dict[str, float] = {}
    if thresholds is not None:
        low, high, step = _numbers(thresholds, 3, "--thresholds", "-0.1:0.4:0.01")
        changes |= {"threshold_min": low, "threshold_max": high, "threshold_step": step}
        changes |= {"select_min": low, "select_max": high}
    if select is not None:
        low, high = _numbers(select, 2, "--select", "0:0.2")
        changes |= {"select_min": low, "select_max": high}
    return changes


def _numbers(text: str, count: int, option: str, example: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{option} takes {count} numbers, not {text!r}.", f"{option}={example}")
    return numbers

"""`prune --learn`: a mask that is learned of untrained weights, its options, its progress, and what is said of it."""

from __future__ import annotations

import math
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ltsm.cli import say
from ltsm.core.learned import METHODS
from ltsm.errors import UsageError
from ltsm.protocol import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ltsm.core.datasets import Dataset
    from ltsm.library.learning import LearnedSupermask
    from ltsm.library.mask_learning import LearningRecord
    from ltsm.settings import Order

ROWS = 10
"""So many records are shown, at most."""

_option = partial(typer.Option, rich_help_panel="Learning a mask")
Method = Annotated[
    str | None,
    _option(
        "--learn",
        metavar="METHOD",
        help=f"Learn the mask of untrained weights, which stay as they are: {', '.join(METHODS)}.",
    ),
]
Length = Annotated[
    int | None,
    _option(
        "--learn-iterations",
        min=1,
        metavar="N",
        help=f"Batches to learn from; default: {PAPER.iterations:,}.",
    ),
]
Rate = Annotated[
    float | None,
    _option(
        "--learn-lr",
        metavar="RATE",
        help="Of the scores; default: 100 (bernoulli), 0.1 (edge_popup).",
    ),
]
Constants = Annotated[
    bool, _option("--constants", help="Kept weights become their sign times the deviation of their layer's.")
]
Rescale = Annotated[
    bool, _option("--rescale", help="Multiply kept weights by a factor of how many are kept.")
]


def wish(
    method: str | None,
    of_its_own: dict[str, Any],
    of_others: dict[str, Any],
    keep: float | None,
) -> dict[str, Any]:
    """How to learn, as `learn_supermask` takes it; nothing, where nothing is learned.

    Args:
        method: of --learn.
        of_its_own: what goes with --learn alone, by option.
        of_others: what a mask by a rule is made with, by option.
        keep: the fraction, which both know.

    Raises:
        UsageError: an option of the one without or beside the other.
    """
    given = [option for option, value in (of_others if method else of_its_own).items() if value]
    if given and method is None:
        raise UsageError(f"{given[0]} says how --learn learns.", f"--learn bernoulli {given[0]} …")
    if given:
        raise UsageError(
            f"--learn trains the mask and no weight: {given[0]} is for masks by a rule.", "leave one out"
        )
    if method is None:
        return {}
    return {
        "method": method,
        "iterations": of_its_own["--learn-iterations"] or PAPER.iterations,
        "lr": of_its_own["--learn-lr"],
        "kept": "signed_constant" if of_its_own["--constants"] else "initial",
        "rescale": of_its_own["--rescale"],
        "keep": keep,
    }


def learned(
    wanted: dict[str, Any],
    weights: tuple[Path | None, str | None],
    images: Dataset,
    network: str | None,
    order: Order,
    how: dict[str, Any],
) -> LearnedSupermask:
    """Learn it.

    Args:
        wanted: the method, and how.
        weights: the file of untrained weights, and the key in it; None: those that the network is made with.
        images: to learn from, and to be measured on.
        network: makes the network.
        order: of the images.
        how: what is masked, by which activation and seed: as `find_supermask` takes it, too.

    Raises:
        UsageError: there is neither a file nor a network, or an option cannot be.
    """
    from ltsm.core.ambient import own_state
    from ltsm.library.files import network_named, read_weights
    from ltsm.library.learning import learn_supermask

    path, key = weights
    if path is None and network is None:
        raise UsageError(
            "there are no weights to learn a mask for.", "--initial FILE, or --network module:function"
        )
    values = None if path is None else read_weights(path, key)
    with own_state(how["seed"]):
        model = None if network is None else network_named(network)
    given = values if model is None else model
    assert given is not None  # noqa: S101 - there is one of the two
    with watched(wanted["method"], wanted["iterations"]) as watch:
        return learn_supermask(
            given, images, images, initial=values, order=order, watch=watch, **wanted, **how
        )


@contextmanager
def watched(method: str, iterations: int) -> Iterator[Callable[[LearningRecord], None]]:
    """Show how far the learning is: a bar in a terminal, elsewhere a line each tenth."""
    if not say.words.is_terminal:
        yield _Lines(iterations)
        return
    parts = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[amount]}"))
    with Progress(
        *parts, TimeRemainingColumn(), TextColumn("[dim]left"), console=say.words, expand=True, transient=True
    ) as progress:
        bar = progress.add_task(method, total=iterations, amount="")

        def moved(record: LearningRecord) -> None:
            progress.update(bar, completed=record.iteration, amount=_amount(record))

        yield moved


class _Lines:
    """A line each tenth of the way, for logs."""

    def __init__(self, iterations: int) -> None:
        self._iterations, self._tenth = iterations, 0

    def __call__(self, record: LearningRecord) -> None:
        """Say how the mask does, where that is worth a line."""
        if (tenth := 10 * record.iteration // self._iterations) > self._tenth:
            self._tenth = tenth
            say.note(f"iteration {record.iteration:,} of {self._iterations:,}: {_amount(record)}")


def _amount(record: LearningRecord) -> str:
    return f"keeps {record.density:.1%}, accuracy {record.val_accuracy:.2%}"


def show(found: LearnedSupermask, images: Dataset) -> None:
    """A table of some of the records, and the mask that was learned, in a sentence."""
    step = max(1, math.ceil((len(found.records) - 1) / ROWS))
    last = len(found.records) - 1
    rows = (
        (f"{r.iteration:,}", f"{r.density:.1%}", f"{r.val_accuracy:.2%}", f"{r.val_loss:.4f}")
        for r in found.records[last % step :: step]
    )
    say.rows(rows, "iteration", "kept of what is covered", "accuracy, untrained", "loss, untrained")
    best = found.selected
    say.data(
        f"{found.learned.method} learned in {found.records[-1].iteration:,} iterations a mask that keeps"
        f" {best.relative_size:.1%} of the parameters; untrained, they classify {best.val_accuracy:.2%} of the"
        f" {len(images.validation_labels):,} validation images of {images.name}, without it {found.initial_accuracy:.2%}"
    )
    if math.isfinite(found.sampled_accuracy):
        say.data(f"masks that are drawn of its probabilities: {found.sampled_accuracy:.2%}")

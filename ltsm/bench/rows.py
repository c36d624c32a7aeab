"""`python -m ltsm.bench.rows`: which CPU engine is the fastest on rows that are not MNIST, as a table in Markdown."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ltsm.bench.contestants import Ours
from ltsm.core.datasets import Dataset
from ltsm.core.engine import ENGINES, choose_engine
from ltsm.core.network import Network
from ltsm.core.streams import uniform
from ltsm.protocol import PAPER
from ltsm.steps.machine import seconds_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.core.engine import Engine
    from ltsm.protocol import Order, Protocol


@dataclass(frozen=True, slots=True)
class Rows:
    """Made-up rows: how many values each has, and which share of these is not 0."""

    name: str
    inputs: int
    share: float


KINDS = (
    Rows("MNIST", 784, 0.19),
    Rows("Fashion-MNIST", 784, 0.5),
    Rows("784 values, none 0", 784, 1.0),
    Rows("CIFAR-10, none 0", 3_072, 1.0),
    Rows("digits, 64 inputs", 64, 0.5),
    Rows("64 inputs, none 0", 64, 1.0),
)
CASES: tuple[tuple[Order, tuple[int, ...]], ...] = (
    ("file", (200, 30)),
    ("shuffled", (200, 30)),
    ("shuffled", (50, 15)),
)
IMAGES, VALIDATION, CLASSES = 6_000, 1_000, 10
"""Fewer than the real sets have: a step's time does not depend on how many there are, an evaluation's is in proportion."""


def made_up(rows: Rows) -> Dataset:
    """Rows without anything to learn: time does not depend on it."""
    values = torch.from_numpy(uniform(0, "rows", count=(IMAGES + VALIDATION) * rows.inputs))
    images = torch.where(values < rows.share, values.add(0.1), 0.0).view(-1, rows.inputs)
    labels = torch.arange(len(images)) % CLASSES
    return Dataset(
        name=rows.name,
        train_images=images[:IMAGES],
        train_labels=labels[:IMAGES],
        validation_images=images[IMAGES:],
        validation_labels=labels[IMAGES:],
        classes=CLASSES,
        image_shape=(rows.inputs,),
        digest="",
    )


def lines(protocol: Protocol, seconds: float, rounds: int) -> Iterator[str]:
    """The table's lines, one for each kind of rows, order and width."""
    yield (
        "| rows | order | network | chosen | "
        + " | ".join(f"{kind.name}, µs a step" for kind in _engines())
        + " |"
    )
    yield "|---|---|---|---|" + "---:|" * len(_engines())
    for rows in KINDS:
        data = made_up(rows)
        for order, hidden in CASES:
            yield _line(rows, replace(protocol, order=order, hidden=hidden), data, seconds, rounds)


def _engines() -> list[type[Engine]]:
    """Those that run on CPUs, whether or not they would refuse the case."""
    return [kind for kind in ENGINES if kind.name != "cuda"]


def _line(rows: Rows, protocol: Protocol, data: Dataset, seconds: float, rounds: int) -> str:
    net = Network((rows.inputs, *protocol.hidden, CLASSES))
    epoch = -(-IMAGES // protocol.batch_size)
    ours = [Ours(kind(data, net, protocol, "cpu"), net, 1, epoch) for kind in _engines()]
    turns = [[seconds_each(one.train, seconds) for one in ours] for _ in range(rounds)]
    best = [min(found) for found in zip(*turns, strict=True)]
    times = " | ".join(f"{value * 1e6:,.0f}" for value in best)
    chosen = choose_engine(data, net, protocol).name
    return f"| {rows.name} | {protocol.order} | {'-'.join(map(str, net.sizes))} | {chosen} | {times} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m ltsm.bench.rows", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=0.3, metavar="S", help="for each engine in each round"
    )
    parser.add_argument("--rounds", type=int, default=60, metavar="N", help="the fastest of them counts")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for line in lines(PAPER, options.seconds, options.rounds):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

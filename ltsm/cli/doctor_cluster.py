"""`doctor --workers`: what a cluster has."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ltsm.cli.doctor import Finding
from ltsm.errors import LtsmError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ltsm.steps.slots import Worker


def findings(address: str, folder: Path) -> list[Finding]:
    """Its size, workers that are no good, its kernels, and where the data lies."""
    from ltsm.protocol import PAPER
    from ltsm.steps import cluster
    from ltsm.steps.training import Setup

    try:
        with cluster.connected(address, Setup(PAPER, folder.absolute())) as found:
            answers = found.ask()
            errors = {name: error for name, asked in answers.items() if (error := asked.exception())}
            fine = [asked.result() for name, asked in answers.items() if name not in errors]
            return [
                Finding("cluster", "ok" if fine else "note", found.describe()),
                *(Finding("worker", "wrong", str(error)) for error in errors.values()),
                *([_kernels(fine), _sent(fine)] if fine else []),
            ]
    except LtsmError as error:
        return [Finding("cluster", "wrong", error.message, error.hint)]


def _kernels(workers: Sequence[Worker]) -> Finding:
    best = Counter(worker.kernels[-1] for worker in workers)
    text = ", ".join(f"{name} on {count} workers" for name, count in best.items())
    if len(best) == 1:
        return Finding("kernels", "ok", text)
    return Finding("kernels", "note", text, "runs are computed with the best that all have, or by --engine")


def _sent(workers: Sequence[Worker]) -> Finding:
    there = sum(worker.has_data for worker in workers)
    return Finding("data there", "ok", f"MNIST lies on {there} of {len(workers)} workers; others are sent it")

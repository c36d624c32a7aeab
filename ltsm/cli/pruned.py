"""What `prune` says of a supermask and its ticket, and the files that it writes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ltsm.cli import learning, say
from ltsm.errors import UsageError
from ltsm.notation import plain

if TYPE_CHECKING:
    from pathlib import Path

    from ltsm.core.datasets import Dataset
    from ltsm.library.supermasks import AmountResult, Supermask
    from ltsm.library.tickets import Ticket

FILES = (
    "mask.safetensors",
    "supermask.safetensors",
    "thresholds.json",
    "network.ticket",
    "ticket.safetensors",
)
"""What --out gets, the last one with --train."""


def test_sentence(which: str, accuracy: float, n: int) -> str:
    """What a network achieves on `n` images that selected nothing."""
    return f"{which}: {round(accuracy * n):,} of {n:,} test images ({accuracy:.2%})"


def show_tested(tested: dict[str, Any] | None) -> None:
    """The same of all that was tested, if anything was."""
    if tested is not None:
        for which, accuracy in tested["accuracy"].items():
            say.data(test_sentence(which, accuracy, tested["images"]))


def note_left_alone(found: Supermask, values: str) -> None:
    """Say which parameters the mask does not cover, and what values they keep."""
    if found.left_alone:
        say.note(f"left alone, with their {values} values: {', '.join(found.left_alone)}")


def check_free(out: Path) -> None:
    """Refuse to write over an earlier result, which may be a trained ticket.

    Raises:
        UsageError: there is one.
    """
    if there := [out / name for name in FILES if (out / name).exists()]:
        raise UsageError(
            f"{there[0]} is there already.",
            "another --out DIR, or --force, which writes over all that it holds",
        )


def compare_whole(found: Supermask, images: Dataset) -> None:
    """Say what the whole network does before and after training: a wrong option, or files in a wrong place, show here."""
    before, after = found.initial_accuracy, found.trained_accuracy
    whose = f"the {len(images.validation_labels):,} validation images of {images.name}"
    say.note(
        f"the trained network classifies {after:.2%} of {whose}; before training, it classified {before:.2%}"
    )
    if before > after:
        say.warn("the initial network is the better one: are --initial and --trained swapped?")


def as_json(found: Supermask, ticket: Ticket, images: Dataset) -> dict[str, Any]:
    """The amounts, the selected one, and the learning and the training where there was one, as JSON values."""
    from ltsm.library.learning import LearnedSupermask

    result: dict[str, Any] = {
        "dataset": images.name,
        "data_sha256": images.digest,
        "validation_images": len(images.validation_labels),
        "evaluated_by": found.through,
        "initial_accuracy": plain(found.initial_accuracy),
        "trained_accuracy": plain(found.trained_accuracy),
        "left_alone": list(found.left_alone),
        f"{found.ranking.by}s": [_amount(r, found) for r in found.results],
        "selected": _amount(found.selected, found),
    }
    if isinstance(found, LearnedSupermask):
        result["learning"] = {
            **asdict(found.learned),
            "sampled_accuracy": plain(found.sampled_accuracy),
            "records": plain(found.records),
        }
    if ticket.trained is not None:
        result["training"] = plain(ticket.records)
    return result


def _amount(result: AmountResult, found: Supermask) -> dict[str, Any]:
    return {
        found.ranking.by: result.amount,
        "relative_size": result.relative_size,
        "kept": result.kept,
        "val_loss": plain(result.val_loss),
        "val_accuracy": result.val_accuracy,
    }


def show(found: Supermask, ticket: Ticket, images: Dataset) -> None:
    """A table, what was chosen or learned, in a sentence, and what came of its training."""
    from ltsm.library.learning import LearnedSupermask

    if isinstance(found, LearnedSupermask):
        learning.show(found, images)
    else:
        _show_search(found, images)
    if ticket.records:
        last = ticket.records[-1]
        say.data(
            f"trained for {last.iteration:,} iterations with the rest at 0: validation loss {last.val_loss:.4f},"
            f" accuracy {last.val_accuracy:.2%}"
        )


def _show_search(found: Supermask, images: Dataset) -> None:
    fraction = found.ranking.by == "fraction"
    heading = "fraction kept" if fraction else "threshold t"
    table = Table(heading, "relative size", "accuracy, untrained", "loss, untrained", "")
    best = found.selected
    for r in found.results:
        numbers = f"{r.amount:g}", f"{r.relative_size:.1%}", f"{r.val_accuracy:.2%}", f"{r.val_loss:.4f}"
        table.add_row(*numbers, "← selected" if r is best else "")
    say.table(table)
    say.data(
        f"{'a fraction of' if fraction else 't ='} {best.amount:g} keeps {best.relative_size:.1%} of the parameters;"
        f" untrained, they classify"
        f" {best.val_accuracy:.2%} of the {len(images.validation_labels):,} validation images of {images.name}"
    )


def write(found: Supermask, ticket: Ticket, images: Dataset, out: Path) -> None:
    """The mask, the weights, the numbers and the ticket, each file whole.

    Raises:
        StoreError: one cannot be written.
    """
    from ltsm.library.files import state_bytes
    from ltsm.library.ticket_file import ELSEWHERE, ticket_bytes
    from ltsm.store import artifacts

    trained = () if ticket.trained is None else (state_bytes(ticket.trained),)
    contents = (
        state_bytes(found.mask),
        state_bytes(ticket.initial),
        (json.dumps(as_json(found, ticket, images), indent=2) + "\n").encode(),
        ticket_bytes(ticket),
        *trained,
    )
    for name, content in zip(FILES, contents, strict=False):
        artifacts.save(out / name, content, ELSEWHERE)
        say.note(f"wrote {out / name}")

"""`ltsm ticket`: a ticket as one file, from which the exact network comes back."""

from __future__ import annotations

import io
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ltsm.cli import options, say
from ltsm.cli.prune import Network, their_code
from ltsm.cli.pruned import test_sentence
from ltsm.errors import DataError, StoreError, UsageError
from ltsm.notation import plain
from ltsm.paths import read_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.library.ticket_evaluation import Achieved
    from ltsm.library.tickets import Ticket
    from ltsm.library.weights import State

EXPORT_HELP = """Examples:

[bold]ltsm ticket export --seed 3[/]                      seed-3.ticket: mask, seed and protocol
[bold]ltsm ticket export --seed 3 --trained[/]            and the trained weights
[bold]ltsm ticket export 27 --out ticket.onnx[/]          of the run with that id, as ONNX
[bold]ltsm ticket export pruned/network.ticket -o t.pt[/]     a ticket file as a PyTorch state dict

Write a ticket. The suffix says how: .ticket, .safetensors or .pt (a state dict), .onnx.
Of a ticket file --out must name another file.
"""
SHOW_HELP = """Examples:

[bold]ltsm ticket show seed-3.ticket[/]

Check a ticket file, and say what is in it.
"""
EVALUATE_HELP = """Examples:

[bold]ltsm ticket evaluate seed-3.ticket[/]
[bold]ltsm ticket evaluate own.ticket --data mine.npz --network model:make[/]

Evaluate a ticket on its validation set, and compare with what was recorded when it was made.
"""
HELP = """Examples:

[bold]ltsm ticket export --seed 3[/]           seed-3.ticket, about 20 kB
[bold]ltsm ticket evaluate seed-3.ticket[/]    elsewhere: the same accuracy?

A ticket as one file: export, show, evaluate.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")
File = Annotated[Path, typer.Argument(parser=read_path, metavar="FILE", help="A ticket file.")]


@app.command(help=EXPORT_HELP, short_help="Write a seed's ticket; also as a state dict or ONNX.")
def export(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN|FILE]", help="The id of a ticket's run, or a ticket file.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The ticket of this seed.")] = None,
    out: Annotated[
        Path | None,
        options.path("Default: seed-N.ticket; must be named for a FILE.", "--out", "-o"),
    ] = None,
    trained: Annotated[
        bool | None,
        typer.Option(
            "--trained/--untrained",
            help="With the trained weights, or the initial ones; default: .ticket without them, else with them.",
        ),
    ] = None,
    store: options.Store = options.STORE,
    protocol: options.StoredProtocol = None,
) -> None:
    """Write a ticket and print its path.

    Raises:
        UsageError: no run is named, the format cannot be, or a ticket file would be written over itself.
        StoreError: there is no such run, it has no mask yet, or a file cannot be read or written.
    """
    from ltsm.library.ticket_file import ELSEWHERE, load_ticket
    from ltsm.store import artifacts

    if (run is None) == (seed is None):
        raise UsageError("name one run: its id, a ticket file, or --seed.", "ltsm ticket export --seed 0")
    if run is not None and (file := read_path(run)).is_file():
        _kept(file, out)
        ticket = load_ticket(file)
    else:
        from ltsm.cli.stored_tickets import stored_ticket

        ticket = stored_ticket(store, protocol, run, seed)
    path = out or Path(f"seed-{ticket.about.get('seed', 0)}.ticket")
    content = _format(path)(ticket, trained)
    artifacts.save(path, content, ELSEWHERE)
    say.note(f"{len(content):,} bytes; {_inside(ticket, path, trained)}")
    say.data(str(path))


def _kept(file: Path, out: Path | None) -> None:
    """Refuse what would write over the ticket that is exported, without its trained weights perhaps."""
    hint = shlex.join(["ltsm", "ticket", "export", str(file), "--out", str(file.with_suffix(".safetensors"))])
    if out is None:
        raise UsageError(f"{file} is a ticket file already: --out says what to make of it.", hint)
    if out.exists() and out.samefile(file):
        raise UsageError(f"--out names {file} itself, which would be written over.", hint)


@app.command(help=SHOW_HELP, short_help="Check a ticket file, and say what is in it.")
def show(file: File, as_json: options.Json = False) -> None:
    """Print what a ticket file holds.

    Raises:
        StoreError: it is damaged, of another version, or something else.
    """
    from ltsm.library.ticket_file import load_ticket

    facts = _facts(load_ticket(file), file)
    if as_json:
        say.as_json("ltsm-ticket", 1, facts)
        return
    rows = ((name.replace("_", " "), _text(value)) for name, value in facts.items() if name != "protocol")
    say.rows(rows, show_header=False, box=None)


@app.command(help=EVALUATE_HELP, short_help="Evaluate it, and compare with what was recorded.")
def evaluate(
    file: File,
    data: Annotated[
        str | None, typer.Option(metavar="FILE|NAME", help="Default: the data it was made with.")
    ] = None,
    folder: Annotated[
        Path | None,
        options.path(
            "Where data sets lie \\[env var: LTSM_DATA; default: data].", "--data-dir", metavar="DIR"
        ),
    ] = None,
    network: Network = None,
    as_json: options.Json = False,
) -> None:
    """Evaluate a ticket, and say whether it achieves what was recorded.

    Raises:
        StoreError: the file is damaged.
        UsageError: the ticket is of another network, or needs one that is not named.
        DataError: the data is missing, or does not fit.
    """
    from ltsm.library.files import network_named
    from ltsm.library.ticket_evaluation import evaluate_test, evaluate_ticket
    from ltsm.library.ticket_file import load_ticket

    ticket = load_ticket(file)
    images, test = _images(ticket, data, folder)
    with their_code():
        module = network_named(network) if network else None
        untrained, trained = evaluate_ticket(ticket, images, module)
        tested = None if test is None else evaluate_test(ticket, images, test, module)
    found = [_compared(ticket, images, "untrained", untrained, "")]
    if trained is not None:
        found.append(_compared(ticket, images, "trained", trained, "trained_"))
    for i, row in enumerate(found):
        row["test_accuracy"] = None if tested is None else tested[i].val_accuracy  # type: ignore[union-attr]  # as many as found
    if as_json:
        value = {"dataset": images.name, "images": len(images.validation_labels), "networks": found}
        value["test_images"] = 0 if test is None else len(test.labels)
        say.as_json("ltsm-ticket-evaluation", 1, value)
        return
    for row in found:
        say.data(_sentence(row, images))
        if test is not None:
            say.data(test_sentence(row["network"], row["test_accuracy"], len(test.labels)))


def _format(path: Path) -> Callable[[Ticket, bool | None], bytes]:
    formats = {".ticket": _as_ticket, ".safetensors": _as_safetensors, ".pt": _as_pytorch, ".onnx": _as_onnx}
    if path.suffix not in formats:
        raise UsageError(f"{path} has none of the suffixes {', '.join(formats)}.", "--out FILE.ticket")
    return formats[path.suffix]


def _as_ticket(ticket: Ticket, trained: bool | None) -> bytes:
    from dataclasses import replace

    from ltsm.library.ticket_file import ticket_bytes

    if trained:
        _state(ticket, trained)
    return ticket_bytes(ticket if trained else replace(ticket, trained=None, records=()))


def _as_safetensors(ticket: Ticket, trained: bool | None) -> bytes:
    from ltsm.library.files import state_bytes

    return state_bytes(_state(ticket, trained))


def _as_pytorch(ticket: Ticket, trained: bool | None) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(_state(ticket, trained), buffer)
    return buffer.getvalue()


def _as_onnx(ticket: Ticket, trained: bool | None) -> bytes:
    from ltsm.library.onnx_file import onnx_bytes

    return onnx_bytes(ticket, _state(ticket, trained))


def _state(ticket: Ticket, trained: bool | None) -> State:
    """The values to write: those asked for, else the trained ones where there are any."""
    if trained and ticket.trained is None:
        raise StoreError("this ticket has not been trained yet.", "ltsm train-ticket, or --untrained")
    return ticket.initial if trained is False else ticket.state


def _inside(ticket: Ticket, path: Path, trained: bool | None) -> str:
    with_weights = (
        trained if path.suffix == ".ticket" else trained is not False and ticket.trained is not None
    )
    what = "with the trained weights" if with_weights else "untrained"
    return f"{ticket.kept:,} of {ticket.covered:,} parameters, {what}"


def _facts(ticket: Ticket, file: Path) -> dict[str, Any]:
    from ltsm.library.ticket_file import FORMAT

    network = ticket.chain and ticket.chain.network
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "version": FORMAT,
        "network": "-".join(map(str, network.sizes)) if network else "one's own",
        "activation": network.activation if network else None,
        "parameters": {name: f"{int(flags.sum())} of {flags.numel()}" for name, flags in ticket.mask.items()},
        "kept": ticket.kept,
        "covered": ticket.covered,
        "initial_values": "from the seed" if ticket.recipe else "in the file",
        "trained_weights": "in the file" if ticket.trained is not None else "none",
        **ticket.about,
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(v)}" for name, v in value.items() if v is not None)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _images(ticket: Ticket, name: str | None, folder: Path | None) -> tuple[Dataset, TestSet | None]:
    """The data set that the ticket was made with, or another by name; and its test set.

    Raises:
        DataError: it is not what the ticket was made with, and no other was named.
    """
    from ltsm.core.datasets import load_sets, resolve_dataset

    made = ticket.about.get("data", {})
    chosen = name or made.get("dataset")
    if chosen is None:
        raise UsageError("this ticket does not say what data it was made with.", "--data FILE|NAME")
    resolved = resolve_dataset(chosen, folder, os.environ, say=say.note)
    names = ("train_size", "validation_size", "held_out") if name is None else ()
    sizes = {size: made.get(size) for size in names}
    images, test = load_sets(resolved.name, resolved.folder, pixels=made.get("pixels", "raw"), **sizes)
    if name is None and made.get("sha256", images.digest) != images.digest:
        raise DataError(
            f"{images.name} here is not the data that this ticket was made with.", "--data-dir DIR"
        )
    return images, test


def _compared(ticket: Ticket, images: Dataset, which: str, found: Achieved, prefix: str) -> dict[str, Any]:
    """What a network achieves, and whether it is what was recorded; None where that was on other data."""
    recorded = ticket.about.get(f"{prefix}val_accuracy")
    same_data = ticket.about.get("data", {}).get("sha256") == images.digest
    return {
        "network": which,
        **plain(found),
        "correct": round(found.val_accuracy * len(images.validation_labels)),
        "recorded_accuracy": recorded if same_data else None,
        "as_recorded": found.val_accuracy == recorded if same_data and recorded is not None else None,
    }


def _sentence(row: dict[str, Any], images: Dataset) -> str:
    loss = "no finite loss" if row["val_loss"] is None else f"loss {row['val_loss']:.4f}"
    words = {True: "; as recorded, to the last image", None: ""}
    verdict = words.get(row["as_recorded"], f"; recorded was {row['recorded_accuracy']}")
    return (
        f"{row['network']}: {row['correct']:,} of {len(images.validation_labels):,} validation images"
        f" of {images.name} ({row['val_accuracy']:.2%}), {loss}{verdict}"
    )

"""`ltsm data`: get a data set, or check the one that is there."""

import dataclasses
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ltsm.cli import completions, options, say
from ltsm.cli.options import Data, Json
from ltsm.errors import DataError, UsageError
from ltsm.protocol import is_own_data

if TYPE_CHECKING:
    from ltsm.core.idx import Finding

GET_HELP = """Examples:

[bold]ltsm data get[/]                            MNIST into data/
[bold]ltsm data get fashion-mnist[/]              or kmnist, emnist, cifar10
[bold]ltsm data get --from /media/stick[/]        from files that you have, .gz or not
[bold]ltsm data get --mirror http://my.host/mnist[/]
[bold]ltsm data get --data /scratch/data[/]       to another folder, which is printed

Get a data set. Files that are there and good stay, damaged ones are replaced;
each is checked against its published MD5 before it takes its place.
"""

CHECK_HELP = """Examples:

[bold]ltsm data check[/]
[bold]ltsm data check --data /scratch/data --json[/]
[bold]ltsm data check mine.npz[/]                 your own data: what it holds, or what is wrong

Compare each file of a data set with its published size and MD5.
Exit code 0: all are fine; 3: some are missing or damaged.
"""

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="mnist, fashion-mnist, kmnist, emnist, cifar10; or digits, which needs no files.",
        autocompletion=completions.datasets,
    ),
]

HELP = """Examples:

[bold]ltsm data get[/]              MNIST into data/
[bold]ltsm data check mine.npz[/]   is it what a sweep can use?

Get a data set, or check the one that is there.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")


@app.command(help=GET_HELP, short_help="Download or copy a data set.")
def get(
    name: Name = "mnist",
    data: Data = None,
    source: Annotated[
        Path | None, options.path("Copy from this folder; no network is needed.", "--from", metavar="DIR")
    ] = None,
    mirrors: Annotated[
        list[str] | None,
        typer.Option(
            "--mirror",
            metavar="URL",
            help="Download from here; may be repeated \\[env var: LTSM_MIRROR; default: torchvision's].",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Download good files again, too.")] = False,
    minutes: Annotated[
        float, typer.Option(metavar="N", min=0.01, help="Give a file up that takes longer.")
    ] = 60,
) -> None:
    """Download or copy a data set and print its folder.

    Raises:
        UsageError: there is no such data set, or --from meets --mirror.
        DataError: no source has a good copy, or the folder cannot be written.
    """
    from ltsm.core import datasets, download
    from ltsm.core.sources import source as known

    _check_name(name)
    folder, files = datasets.chosen_folder(data, os.environ), known(name).files
    if source is None:
        addresses = mirrors or datasets.mirrors_from(os.environ)
        download.download(files, folder, addresses, force=force, minutes=minutes, say=say.note)
    elif mirrors:
        raise UsageError("--from and --mirror exclude each other.", "ltsm data get --from DIR")
    else:
        download.copy(files, source, folder)
    if is_own_data(name):
        raise UsageError(
            f"{name} is data of your own: there is nowhere to get it from.", f"ltsm data check {name}"
        )
    say.note(f"{name} is complete" if files.files else NO_FILES.format(name))
    say.data(str(folder))


@app.command(help=CHECK_HELP, short_help="Compare files with their checksums; read your own data.")
def check(name: Name = "mnist", data: Data = None, as_json: Json = False) -> None:
    """Print what there is to say about each file of a data set.

    Raises:
        UsageError: there is no such data set.
        DataError: a file is missing, damaged or unreadable.
    """
    from ltsm.core import datasets, idx, sources

    _check_name(name)
    folder = datasets.chosen_folder(data, os.environ)
    if is_own_data(name):
        _check_own(name, folder, as_json)
        return
    findings = idx.check_files(sources.source(name).files, folder)
    bad = [finding.name for finding in findings if finding.state != "fine"]
    if as_json:
        files = [dataclasses.asdict(finding) for finding in findings]
        value = {"dataset": name, "folder": str(folder), "fine": not bad, "files": files}
        say.as_json("ltsm-data", 1, value)
    else:
        say.data("\n".join(map(_line, findings)) or NO_FILES.format(name))
    if bad:
        hint = f"ltsm data get {name} --data {shlex.quote(str(folder))}"
        raise DataError(f"{name} is not whole in {folder}: {', '.join(bad)}.", hint)


def _check_own(name: str, folder: Path, as_json: bool) -> None:
    """Read data of one's own whole, and print what it holds."""
    from ltsm.core import own

    path = own.located(name, folder)
    raw = own.read(name, path)
    dataset, contents = own.named(raw, name, path), own.contents(raw)
    if as_json:
        say.as_json("ltsm-own-data", 1, {"dataset": dataset, "path": str(path), **contents})
        return
    shape = " × ".join(map(str, raw.train.images.shape[1:]))
    say.data(
        f"fine     {path}: {len(raw.train.labels):,} training and {len(raw.validation.labels):,}"
        f" validation images of {shape}, {raw.classes} classes; a protocol calls it {dataset}"
    )
    say.table(_contents(contents))
    if doubt := own.doubt(raw):
        say.warn(doubt)


def _contents(contents: dict[str, Any]) -> Table:
    """What was taken as what, class by class, and what was left out."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for what in ("training_set", "validation_set", "test_set"):
        table.add_row(what.replace("_", " "), contents[what] or "none")
    for number, row in enumerate(contents["images_of_classes"]):
        counts = ", ".join(f"{count:,} {what}" for what, count in row.items() if what != "name")
        table.add_row(f"label {number}", f"{row['name']}: {counts} images")
    low, high = contents["pixels"]
    table.add_row("pixels", f"{low:g} … {high:g}")
    for reason, count in contents["left_out"].items():
        table.add_row("left out", f"{count:,} {reason}")
    return table


def _check_name(name: str) -> None:
    """Refuse a name that no data set has: `auto`, too, of which a sweep alone makes one.

    Raises:
        UsageError: with a hint for these commands, which have no --dataset.
    """
    from ltsm.core import sources

    try:
        sources.source(name)
    except UsageError as error:
        raise UsageError(
            error.message, "name one of these; for data of your own: ltsm data check FILE.npz, or ./FOLDER"
        ) from error


NO_FILES = "{} comes with scikit-learn and needs no files"


def _line(finding: "Finding") -> str:
    """One line for a file that is fine or missing; for a damaged one also what it is and should be."""
    line = f"{finding.state:8} {finding.path or finding.name}"
    if finding.state != "damaged":
        return line
    found = f"{finding.size:,} bytes" + (f", MD5 {finding.md5}" if finding.md5 else "")
    size = "" if finding.expected_size is None else f"{finding.expected_size:,} bytes, "
    published = f"{size}MD5 {finding.expected_md5}"
    return f"{line}\n         found {found}\n         not   {published}"

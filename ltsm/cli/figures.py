"""`figures`: the paper's Figures 1 to 6, and two beyond it, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ltsm.cli import say
from ltsm.cli.options import STORE, Store, StoredProtocol
from ltsm.errors import UsageError
from ltsm.paths import read_path

HELP = """Examples:

[bold]ltsm figures[/]                              all eight into figures/
[bold]ltsm figures 4 5 7 --format pdf[/]           three of them, for LaTeX
[bold]ltsm figures --out paper/img --format svg[/]

Draw the figures from the store: 1 initial training, 2 retraining, 3 size and 4 accuracy against threshold,
5 losses and 6 sizes of tickets and hyperops, 7 loss against size, 8 what is left of the network.
The captions go to captions.md beside them. The same store gives the same bytes.
"""

ALL = tuple(range(1, 9))


def figures(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[N]…", help="Which figures; without any: all.")
    ] = None,
    store: Store = STORE,
    protocol: StoredProtocol = None,
    out: Annotated[
        Path, typer.Option("--out", parser=read_path, metavar="DIR", help="The folder for the files.")
    ] = Path("figures"),
    form: Annotated[
        Literal["png", "svg", "pdf"], typer.Option("--format", help="Fonts are embedded in svg and pdf.")
    ] = "png",
) -> None:
    """Draw figures and print the files' paths.

    Raises:
        UsageError: there is no figure of that number.
        StoreError: no store, no such protocol, or the folder cannot be written.
    """
    wanted = sorted(set(numbers or ALL))
    if unknown := [n for n in wanted if n not in ALL]:
        raise UsageError(f"there is no figure {unknown[0]}: there are 1 to {ALL[-1]}.", "ltsm figures")

    from ltsm.report import document  # noqa: PLC0415
    from ltsm.report.evaluation import load  # noqa: PLC0415
    from ltsm.report.figures import all as collection  # noqa: PLC0415
    from ltsm.report.figures.draw import draw  # noqa: PLC0415
    from ltsm.store import schema  # noqa: PLC0415
    from ltsm.store.engine import store_path  # noqa: PLC0415

    opened = schema.open_for_reading(store_path(store))
    try:
        evaluation = load(opened, protocol, records=True, bits=8 in wanted)  # noqa: PLR2004 - the pixel map
    finally:
        opened.close()
    found = collection.figures(evaluation, wanted)
    for figure in found:
        path = out / f"figure_{figure.number}.{form}"
        document.save(path, draw(figure, form))
        say.data(str(path))
    document.save(out / "captions.md", document.captions(found).encode("utf-8", "backslashreplace"))

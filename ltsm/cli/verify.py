"""`verify`: does this store reproduce the paper?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ltsm.cli import say
from ltsm.cli.options import STORE, STUDY, Json, Store, StoredProtocol, StudyName

HELP = """Examples:

[bold]ltsm verify[/]
[bold]ltsm verify paper --protocol smoke[/]
[bold]ltsm verify criteria[/]                 the claims of the work that this study is of
[bold]ltsm verify iterative[/]                so for iterative pruning
[bold]ltsm verify learned[/]                  and by how much shorter masks were learned here
[bold]ltsm verify && echo reproduced[/]
[bold]ltsm verify --json | jq '.lines\\[] | select(.verdict == "differs")'[/]

Compare every published number with this store: Welch's t-test for means, Shoemaker's robust F test for
spreads (±), Holm's correction over all of them. `reproduced` means not found to differ: with ten seeds a
difference below two standard deviations may go unseen, and rounded values hide small ones.
Of another study's claims: values by 95 % intervals, bounds by one-sided tests, orderings paired by seed.
Exit code 0: everything is reproduced; 4: a number differs, or there are not seeds enough to tell;
5: nothing is compared, as the results are on other data than MNIST, or the study has no published numbers.
"""

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation

NOT_REPRODUCED, NOT_COMPARED = 4, 5


def verify(
    study: StudyName = STUDY, store: Store = STORE, protocol: StoredProtocol = None, json: Json = False
) -> None:
    """Compare with the paper, number by number.

    Raises:
        UsageError: there is no such study.
        StoreError: no store, or no such protocol.
        typer.Exit: with code 4, unless all is reproduced; with 5 where nothing is compared.
    """
    from ltsm.report.all import VERIFY
    from ltsm.report.evaluation import load
    from ltsm.store import schema
    from ltsm.store.engine import store_path

    opened = schema.open_for_reading(store_path(store))
    try:
        evaluation = load(opened, protocol, study, records=True)
    finally:
        opened.close()
    judge = _claims if evaluation.study.name in VERIFY else _paper
    compared, reproduced = judge(evaluation, json=json)
    if not compared:
        raise typer.Exit(NOT_COMPARED)
    if not reproduced:
        raise typer.Exit(NOT_REPRODUCED)


def _paper(evaluation: Evaluation, *, json: bool) -> tuple[bool, bool]:
    """Print the paper's numbers beside ours; whether something was compared, and all is reproduced."""
    from ltsm.report import terminal
    from ltsm.report.paper.verify import as_json, verify

    found = verify(evaluation)
    say.as_json("ltsm-verify", 1, as_json(found)) if json else say.table(terminal.verification(found))
    return found.compared, found.reproduced


def _claims(evaluation: Evaluation, *, json: bool) -> tuple[bool, bool]:
    """The same of another study's claims."""
    from ltsm.report import terminal
    from ltsm.report.all import VERIFY
    from ltsm.report.published_claims import as_json

    found = VERIFY[evaluation.study.name](evaluation)
    say.as_json("ltsm-verify-claims", 1, as_json(found)) if json else say.table(terminal.claims(found))
    return found.compared, found.reproduced

"""Where nothing is finished yet: one sentence and the command that goes on, in place of a page of dashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltsm.cli import say
from ltsm.errors import StoreError
from ltsm.grammar import protocol_words, sweep_words, typed
from ltsm.store.values import FINISHED

if TYPE_CHECKING:
    from ltsm.report.evaluation import Evaluation
    from ltsm.store.engine import Store


def check(store: Store, evaluation: Evaluation, study: str, *, program: bool = False) -> None:
    """Say it where no run of the study is finished; to a program beside its document, for it may read again later.

    Raises:
        StoreError: none is, and a person asks.
    """
    if any(run.state in FINISHED for run in evaluation.runs):
        return
    has = f": the store has runs of {', '.join(evaluation.others)}" if evaluation.others else ""
    why = f"no run of the study {study} is finished yet under {evaluation.protocol.name}{has}"
    if not program:
        raise StoreError(f"{why}.", _sweep(store, evaluation, study))
    say.note(f"{why}: {_sweep(store, evaluation, study)}")


def _sweep(store: Store, evaluation: Evaluation, study: str) -> str:
    """The command that goes on; the store knows the protocol by its number."""
    from ltsm.store import read

    fingerprint = evaluation.protocol.fingerprint
    known = [p.id for p in read.protocols(store) if p.fingerprint == fingerprint]
    words = protocol_words(known[0], evaluation.protocol.dataset, evaluation.runs) if known else []
    return typed([*sweep_words(study), *words], store.path)

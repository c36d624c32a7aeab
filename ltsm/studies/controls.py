"""What of the ticket's advantage is the mask, what the signs, what the values: one thing changed at a time.

The controls are those of Frankle and Carbin (2019), section 2, and Zhou et al. (2019), section 4, on the paper's
own supermask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ltsm.studies import paper
from ltsm.studies.recipe import Mask, Recipe, Weights
from ltsm.studies.study import Group, Study

if TYPE_CHECKING:
    from ltsm.protocol import Protocol

NAME = "controls"
TICKET = paper.TICKET
REDRAWN, SAME_SIGNS, SHUFFLED = "redrawn", "redrawn, same signs", "shuffled"
CONSTANTS, RANDOM_MASK, INVERTED = "signed constants", "random mask", "inverted mask"
FINE_TUNED, DENSE = "fine-tuned", "dense"


def study(protocol: Protocol) -> Study:
    """The ticket, and what becomes of it when its values, their signs or its mask are others."""
    chain = paper.chain(protocol)
    ticket = chain[TICKET]
    changed = {
        REDRAWN: replace(ticket, kept="reinitialised"),
        SAME_SIGNS: replace(ticket, kept="reinitialised_same_sign"),
        SHUFFLED: replace(ticket, kept="shuffled"),
        CONSTANTS: replace(ticket, kept="signed_constant"),
        RANDOM_MASK: replace(ticket, mask=Mask(paper.SUPERMASK, "random")),
        INVERTED: replace(ticket, mask=Mask(paper.SUPERMASK, "inverted")),
        FINE_TUNED: replace(ticket, start=Weights(paper.BASELINE)),
    }
    dense, its_group = _dense(protocol, chain[paper.INITIAL])
    return Study(
        name=NAME,
        title="is it the mask, the signs or the values",
        recipes=chain | changed | dense,
        groups=(*(Group(name, (name,)) for name in (TICKET, *changed)), its_group),
    )


def _dense(protocol: Protocol, initial: Recipe) -> tuple[dict[str, Recipe], Group]:
    """The dense network from the same values: the beginning of the initial training, if that has a record there."""
    length = protocol.iterations
    if length <= protocol.initial_iterations and length % protocol.record_every == 0:
        return {}, Group(DENSE, (paper.INITIAL,), until=length)
    return {DENSE: replace(initial, start=Weights(paper.INITIAL, "initial"), iterations=length)}, Group(
        DENSE, (DENSE,)
    )

"""Masks that are learned, and never a weight: from the paper's rule to the accuracy of a trained network.

Zhou et al. (2019), section 5, and Ramanujan et al. (2020), with the settings of their programs but for the length
and the initial values, which are the protocol's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ltsm.errors import UsageError
from ltsm.notation import quoted
from ltsm.studies import criteria, paper
from ltsm.studies.recipe import Learned, Random, Recipe
from ltsm.studies.study import Group, Study

if TYPE_CHECKING:
    from ltsm.protocol import Protocol

NAME = "learned"
PROTOCOL = "frankle"
"""Under which it is run unless another one is named."""
BERNOULLI, EDGE_POPUP = "bernoulli", "edge_popup"
CONSTANTS, RESCALED = "bernoulli, constants", "bernoulli, constants, rescaled"
DENSE = "dense, trained"
KEEP = "0.3,0.5,0.7"
SAME_SIGN = f"{criteria.SAME_SIGN}, {criteria.CONSTANT}"
OF_BERNOULLI = Learned(method=BERNOULLI, lr=100.0, batch_size=250)
"""Scores from 0, so that every probability is a half; their program's momentum, rate and batch."""
OF_EDGE_POPUP = Learned(method=EDGE_POPUP, lr=0.1, batch_size=64, decay=5e-4, schedule="cosine", rescale=True)
"""As their program for MNIST has it; with rescaling their scaled constants, where initial values are by Kaiming."""

OF = {BERNOULLI: OF_BERNOULLI, EDGE_POPUP: OF_EDGE_POPUP}
"""How each method is trained, by its name."""


def study(protocol: Protocol, *, method: str = "", keep: str = "", length: str = "") -> Study:
    """The study with its options as they are typed, lists with commas between.

    Args:
        protocol: its network, data and initial values.
        method: bernoulli, edge_popup; default: both.
        keep: the shares that edge-popup keeps of each layer.
        length: iterations that a mask is trained for; default: the protocol's.

    Raises:
        UsageError: an option cannot be.
    """
    masks = _bernoulli() if _has(method, BERNOULLI) else {}
    masks |= _edge_popup(keep or KEEP) if _has(method, EDGE_POPUP) else {}
    iterations = _length(length) if length else protocol.iterations
    base = Recipe(hidden=protocol.hidden, start=Random(("initial",)), trains="mask", iterations=iterations)
    learned = {name: replace(base, mask=mask, kept=kept) for name, (mask, kept) in masks.items()}
    chain = paper.chain(protocol)
    ruled = criteria.study(
        protocol, criterion=criteria.SAME_SIGN, kept=criteria.CONSTANT, by="fraction", covers="weights"
    )
    beside = {name: chain[name] for name in (paper.INITIAL, paper.BASELINE, paper.SUPERMASK)}
    groups = [Group(name, (name,)) for name in (*learned, paper.SUPERMASK, SAME_SIGN)]
    return Study(
        name=NAME,
        title="masks that are learned, and never a weight",
        recipes=learned | beside | {SAME_SIGN: ruled.recipes[SAME_SIGN]},
        groups=(*groups, Group(DENSE, (paper.INITIAL,))),
    )


def _bernoulli() -> dict[str, tuple[Learned, str]]:
    """The masks by name, and what becomes of the weights that they keep."""
    return {
        BERNOULLI: (OF_BERNOULLI, criteria.INITIAL),
        CONSTANTS: (OF_BERNOULLI, criteria.CONSTANT),
        RESCALED: (replace(OF_BERNOULLI, rescale=True), criteria.CONSTANT),
    }


def _edge_popup(typed: str) -> dict[str, tuple[Learned, str]]:
    """The same for each share that is kept."""
    return {
        f"edge-popup {share}": (replace(OF_EDGE_POPUP, keep=_share(share)), criteria.CONSTANT)
        for share in typed.split(",")
    }


def _has(typed: str, method: str) -> bool:
    """Whether a method is among those typed, or none is."""
    chosen = typed.split(",") if typed else list(OF)
    if unknown := [name for name in chosen if name not in OF]:
        raise UsageError(f"there is no method {quoted(unknown[0])}: there are {', '.join(OF)}.")
    return method in chosen


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise UsageError(f"{quoted(text)} is no share of a layer.", "--keep 0.3,0.5")
    return share


def _length(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**9:
        raise UsageError(f"{quoted(text)} is no number of iterations.", "--length 44000")
    return int(text)

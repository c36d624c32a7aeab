"""Masks by parameter name: scores from initial and trained values, masks from scores, masked state dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ltsm.core.masking import mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltsm.library.weights import State


def scores_of(initial: State, trained: State, names: Iterable[str]) -> State:
    """sign(initial)·trained, in the trained values' own type: to that one a threshold is rounded (section 2.1)."""
    return {name: initial[name].sign().to(trained[name].dtype) * trained[name] for name in names}


def mask_of(scores: State, threshold: float) -> State:
    """True where a score is at least t: `ltsm.core.masking.mask`, of values with the sign already in them."""
    return {name: mask(torch.ones_like(score), score, threshold) for name, score in scores.items()}


def masked_state(state: State, mask: State) -> State:
    """The state dict with 0 where the mask says so."""
    return {name: torch.where(mask[name], t, 0.0) if name in mask else t.clone() for name, t in state.items()}

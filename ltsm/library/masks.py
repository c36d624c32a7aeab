"""Masks by parameter name: masked state dicts, and masks of anyone's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ltsm.errors import LtsmError, UsageError
from ltsm.library.weights import plain_tensor
from ltsm.notation import quoted

if TYPE_CHECKING:
    from ltsm.library.weights import State


def masked_state(state: State, mask: State) -> State:
    """The state dict with 0 where the mask says so."""
    return {name: torch.where(mask[name], t, 0.0) if name in mask else t.clone() for name, t in state.items()}


def checked_mask(mask: Any, shapes: Mapping[str, torch.Size]) -> State:
    """A mask of anyone's as bool on the CPU: tensors or arrays of True and False, or of 1 and 0 in any type.

    Args:
        mask: by parameter name.
        shapes: of the parameters that there are.

    Raises:
        UsageError: it is of another network, or holds other values.
    """
    if not isinstance(mask, Mapping):
        raise UsageError(f"a mask is tensors by parameter name, not {type(mask).__name__}.", "supermask.mask")
    return {name: _flags(name, values, shapes) for name, values in mask.items()}


def _flags(name: Any, values: Any, shapes: Mapping[str, torch.Size]) -> torch.Tensor:
    try:
        flags = plain_tensor(f"the mask of {quoted(name)}", values).detach().cpu()
    except LtsmError as error:
        raise UsageError(error.message, "True for what is kept") from error
    if not isinstance(name, str) or shapes.get(name) != flags.shape:
        raise UsageError(
            f"the mask is of another network: here is no {quoted(name)} of {tuple(flags.shape)}."
        )
    if not ((flags == 0) | (flags == 1)).all():
        raise UsageError(f"the mask of {name!r} holds other values than 0 and 1.", "scores >= threshold")
    return flags.bool()

"""What a caller hands over: weights as modules or state dicts, and what can be said of a pair of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from ltsm.errors import UsageError
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

State: TypeAlias = dict[str, Tensor]
"""Parameters and buffers by name, as `nn.Module.state_dict` gives them."""
Weights: TypeAlias = nn.Module | Mapping[str, Tensor]


def state_of(weights: Weights) -> State:
    """Copies of the tensors, on the CPU: what is done with them changes nothing of the caller's.

    Raises:
        UsageError: these are no weights, or not dense ones.
    """
    named = weights.state_dict() if isinstance(weights, nn.Module) else weights
    if not isinstance(named, Mapping):
        raise UsageError(
            f"weights are a module or a state dict, not {type(weights).__name__}.", "model.state_dict()"
        )
    tensors = {str(k): v for k, v in named.items() if isinstance(v, Tensor)}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided:
            layout = str(tensor.layout).removeprefix("torch.")
            raise UsageError(f"{quoted(name)} is a {layout} tensor, not a dense one.", "tensor.to_dense()")
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def as_computed(state: State, model: nn.Module | None) -> State:
    """The state dict with its floats in the types that the network computes in: the module's, or float32 without one."""
    own = {} if model is None else model.state_dict()
    types = {name: t.dtype for name, t in own.items() if isinstance(t, Tensor) and t.is_floating_point()}

    def computed(name: str, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        return tensor.to(torch.float32 if model is None else types.get(name, tensor.dtype))

    return {name: computed(name, tensor) for name, tensor in state.items()}


def under_all_names(what: str, state: State, shared: Mapping[str, str]) -> State:
    """The state dict with each shared parameter under all its names; a file often has it under one of them.

    Args:
        what: which weights these are, in words.
        state: the state dict.
        shared: further names of parameters, each with the parameter's first name.

    Raises:
        UsageError: a parameter has two values.
    """
    filled = dict(state)
    for name, first in shared.items():
        if name in state:
            filled.setdefault(first, state[name])
    for name, first in shared.items():
        if first in filled and not _same(filled.setdefault(name, filled[first].clone()), filled[first]):
            raise UsageError(
                f"{name!r} and {first!r} are one parameter of the module, and the {what} weights have two values for it.",
                "a state dict of that very module",
            )
    return filled


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether the values are the same; NaN is as good as NaN."""
    return a.shape == b.shape and torch.allclose(a, b.to(a.dtype), rtol=0, atol=0, equal_nan=True)


def check_pair(initial: State, trained: State, names: Iterable[str]) -> None:
    """Refuse initial and trained weights that cannot be those of one network.

    Args:
        initial: values before training.
        trained: values after it.
        names: the parameters that a mask covers.

    Raises:
        UsageError: a parameter is missing from one, has two shapes, or none has changed; or a value is no finite float.
    """
    names = list(names)
    for name in names:
        for what, state in (("initial", initial), ("trained", trained)):
            if name not in state:
                raise UsageError(f"the {what} weights lack {name!r}.", "both are state dicts of one network")
        before, after = initial[name], trained[name]
        if before.shape != after.shape:
            shapes = f"{tuple(before.shape)} before training and {tuple(after.shape)} after it"
            raise UsageError(f"{name!r} has the shape {shapes}.", "both are state dicts of one network")
        if not (before.is_floating_point() and after.is_floating_point()):
            raise UsageError(f"{name!r} holds {before.dtype} and {after.dtype}, not floats.")
        for what, values in (("initial", before), ("trained", after)):
            if not values.isfinite().all():  # no threshold is met by NaN: it would pass for pruned
                raise UsageError(
                    f"{name!r} of the {what} weights holds values that are no numbers.",
                    "the training diverged?",
                )
    if all(torch.equal(initial[name], trained[name].to(initial[name].dtype)) for name in names):
        raise UsageError(
            "the initial weights are the trained ones.",
            "copy.deepcopy(model.state_dict()) before training keeps them; state_dict() alone changes with the model",
        )

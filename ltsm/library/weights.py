"""What a caller hands over: weights as modules or state dicts, masks, and what can be said of a pair of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ltsm.errors import LtsmError, UsageError
from ltsm.library.arguments import instance
from ltsm.library.foreign import theirs
from ltsm.library.wrappers import refuse_hidden, unwrapped
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
    if isinstance(weights, nn.Module):
        module = unwrapped(weights)
        with theirs("the network's state_dict()"):
            named: Any = module.state_dict()
    else:
        named = weights
    if not isinstance(named, Mapping):
        raise UsageError(
            f"weights are a module or a state dict, not {type(weights).__name__}.", "model.state_dict()"
        )
    values = {str(k): v for k, v in named.items() if isinstance(v, Tensor | np.ndarray)}
    refuse_hidden(values.keys())
    return {name: plain_tensor(quoted(name), value).detach().cpu().clone() for name, value in values.items()}


def plain_tensor(what: str, value: Any) -> Tensor:
    """The value as a tensor with one place in memory for each of its numbers; an array's strides may be any.

    Args:
        what: what it is of, for a sentence.
        value: a tensor, or an array of NumPy's.

    Raises:
        UsageError: it is neither, or of a kind that holds no plain numbers.
    """
    if not isinstance(value, Tensor):
        return _from_array(what, value)
    if value.layout != torch.strided or value.is_nested:
        layout = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
        raise UsageError(f"{what} is a {layout} tensor, not a dense one.", "tensor.to_dense()")
    if value.is_meta:
        raise UsageError(f"{what} is on the device meta, which keeps shapes and no values.", _LOAD)
    if isinstance(value, nn.UninitializedParameter | nn.UninitializedBuffer):
        raise UsageError(
            f"{what} belongs to a lazy layer, which has no values yet.", "run one batch through it"
        )
    if value.is_quantized or value.dtype in _QUANTISED:
        raise UsageError(f"{what} is quantised: the method is for real numbers.", "tensor.dequantize()")
    if value.is_floating_point() and value.dtype.itemsize < torch.float16.itemsize:
        raise UsageError(f"{what} holds {value.dtype}, which cannot be computed with.", "tensor.float()")
    return value


def _from_array(what: str, value: Any) -> Tensor:
    if not isinstance(value, np.ndarray | np.generic):
        raise UsageError(f"{what} must be a tensor or an array, not {type(value).__name__}.")
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise UsageError(f"{what} holds {array.dtype.name}, not numbers.")
    try:
        # a copy of its own: torch knows neither negative strides nor the other order of bytes, nor what may not be written
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))
    except TypeError as error:
        raise UsageError(f"{what} holds {array.dtype.name}, which torch does not know.") from error


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


def check_pair(initial: State, trained: State, names: Iterable[str], *, one: bool = False) -> None:
    """Refuse initial and trained weights that cannot be those of one network.

    Args:
        initial: values before training.
        trained: values after it.
        names: the parameters that a mask covers.
        one: they are of one and the same moment, as nobody kept the values before training.

    Raises:
        UsageError: a parameter is missing from one, has two shapes, or none has changed; or a value is no finite float.
    """
    names = list(names)
    for name in names:
        for what, state in (("initial", initial), ("trained", trained)):
            if name not in state:
                raise UsageError(f"the {what} weights lack {name!r}{_instead(name, state)}.", _PAIR)
        before, after = initial[name], trained[name]
        if before.shape != after.shape:
            shapes = f"{tuple(before.shape)} before training and {tuple(after.shape)} after it"
            raise UsageError(f"{name!r} has the shape {shapes}.", _PAIR)
        if not (before.is_floating_point() and after.is_floating_point()):
            raise UsageError(f"{name!r} holds {before.dtype} and {after.dtype}, not floats.")
        for what, values in (("initial", before), ("trained", after)):
            if not values.isfinite().all():  # no threshold is met by NaN: it would pass for pruned
                raise UsageError(
                    f"{name!r} of the {what} weights holds values that are no numbers.",
                    "the training diverged?",
                )
    if not one and all(torch.equal(initial[name], trained[name].to(initial[name].dtype)) for name in names):
        raise UsageError(
            "the initial weights are the trained ones.",
            "copy.deepcopy(model.state_dict()) before training keeps them; state_dict() alone changes with the model",
        )


def check_whole(initial: State, model: nn.Module | None) -> None:
    """Refuse initial weights that leave a value of the module's to whatever it happens to have.

    Raises:
        UsageError: naming the first that they lack, or have in another shape.
    """
    for name, own in ({} if model is None else model.state_dict()).items():
        if not isinstance(own, Tensor) or not own.is_floating_point():
            continue
        if name not in initial:
            raise UsageError(f"the initial weights lack {name!r}{_instead(name, initial)}.", _PAIR)
        if initial[name].shape != own.shape:
            shapes = f"{tuple(initial[name].shape)}, and in the module {tuple(own.shape)}"
            raise UsageError(f"{name!r} has the shape {shapes}.", _PAIR)


def _instead(name: str, state: State) -> str:
    """What the state dict has in place of a name, where the two differ by what stands in front."""
    near = next((k for k in state if k.endswith(f".{name}") or name.endswith(f".{k}")), None)
    return f", and have {near!r}" if near else ""


def load_exactly(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict whose names and shapes have to be the module's.

    Raises:
        UsageError: they are not.
    """
    module, state = unwrapped(instance("module", module, nn.Module, "a torch.nn.Module")), state_of(state)
    own = module.state_dict()
    tensors = {name: t for name, t in own.items() if isinstance(t, torch.Tensor)}
    if differing := sorted(tensors.keys() ^ state.keys()):
        what = "lacks" if differing[0] in tensors else "has"
        raise UsageError(f"this is a ticket of another network: it {what} {differing[0]!r}.", _ANOTHER)
    for name, values in state.items():
        if values.shape != tensors[name].shape:
            shapes = f"{tuple(values.shape)}, not {tuple(tensors[name].shape)}"
            raise UsageError(f"this is a ticket of another network: its {name!r} is {shapes}.", _ANOTHER)
    module.load_state_dict({**own, **state})


_ANOTHER = "ltsm ticket show FILE says which network it is of"
_PAIR = "both are state dicts of one network"
_LOAD = "load the values first: load_state_dict(…, assign=True), or to_empty(device='cpu') and load"
_QUANTISED = {torch.qint8, torch.quint8, torch.qint32, torch.quint4x2, torch.quint2x4}


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

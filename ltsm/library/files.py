"""Weights files and networks named on a command line."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import nn

from ltsm import regular
from ltsm.errors import RunError, StoreError, UsageError
from ltsm.library.foreign import theirs
from ltsm.library.weights import State, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

_INSIDE = ("state_dict", "model_state_dict", "model")
"""Under which names checkpoints commonly hold their state dict."""
DEEPEST = 3
"""How many levels of a checkpoint are looked through."""


def read_weights(path: Path, key: str | None = None) -> State:
    """The state dict in a safetensors file, or in a PyTorch file, which is read with weights_only=True.

    Args:
        path: the file.
        key: where in a checkpoint the weights lie, with a dot between levels; None: where they commonly do.

    Raises:
        StoreError: the file is missing, damaged, no file, longer than half of the memory, or holds more than weights.
        UsageError: a tensor is not dense, or there is nothing under the key.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = load(regular.read(path))
        else:
            with regular.opened(path) as file:
                regular.refuse_size(os.fstat(file.fileno()).st_size)
                content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        hint = "torch.save(model.state_dict(), FILE), not torch.save(model, FILE)"
        raise StoreError(f"{path} is damaged, or holds more than weights.", hint) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:  # on other bytes torch's unpickler raises whatever it stumbles over
        raise StoreError(f"{path} is no file of weights, or only a part of one.") from error
    try:
        return state_of(_state_dict(path, content, key))
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", error.hint) from error


def _state_dict(path: Path, content: Any, key: str | None) -> Mapping[str, torch.Tensor]:
    """The one that the key names, else the file's own, else one in a usual place, else the only one."""
    found = _state_dicts(content)
    if key is not None:
        if key not in found:
            raise UsageError(f"there are no weights under {key!r}.", _keys(found))
        return found[key]
    if not found:
        raise StoreError(f"{path} holds no state dict.", "torch.save(model.state_dict(), FILE)")
    usual = next((name for name in ("", *_INSIDE) if name in found), None)
    networks = [name for name in found if not name.startswith("optim")]
    if usual is None and len(networks) == 1:
        usual = networks[0]
        log.warning("the weights of %s lie under %r", path, usual)
    if usual is None:
        raise StoreError(f"{path} holds no state dict where one commonly lies.", _keys(found))
    return found[usual]


def _state_dicts(content: Any, depth: int = DEEPEST) -> dict[str, Mapping[str, torch.Tensor]]:
    """Every mapping that holds tensors, by its key; the file's own by an empty one."""
    if not isinstance(content, Mapping) or depth < 0:
        return {}
    found = {"": content} if any(isinstance(v, torch.Tensor | np.ndarray) for v in content.values()) else {}
    for name, value in content.items():
        inner = _state_dicts(value, depth - 1)
        found |= {f"{name}.{key}" if key else str(name): state for key, state in inner.items()}
    return found


def _keys(found: Mapping[str, Any]) -> str:
    names = [name for name in found if name]
    listed = f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}"  # noqa: PLR2004
    return f"--key names one of: {listed}" if names else "leave out --key: the file is a state dict"


def state_bytes(state: Mapping[str, torch.Tensor]) -> bytes:
    """A safetensors file that `load_state_dict` takes."""
    return save({name: tensor.contiguous() for name, tensor in state.items()})


def network_named(name: str) -> nn.Module:
    """The module that `module:function` makes; the current folder is looked in first. It runs that code.

    Raises:
        UsageError: there is no such function, or it makes something else.
        RunError: it fails.
    """
    function = function_named(name, "network")
    with theirs(f"the network {name}"), _no_exit(f"the network {name}"):
        made: Any = function()
    if not isinstance(made, nn.Module):
        raise UsageError(f"{name} gives {type(made).__name__}, not a torch.nn.Module.")
    return made


def function_named(name: str, option: str) -> Callable[..., Any]:
    """The function `module:function`; importing it runs its module's code.

    Args:
        name: what it is called.
        option: of the command line, which is also what it is.

    Raises:
        UsageError: there is no such function.
        RunError: its module fails.
    """
    module_name, _, function = name.partition(":")
    example = f"e.g. --{option} model:make"
    if not (module_name and function):
        raise UsageError(f"a {option} is named as module:function, not {name!r}.", example)
    sys.path.insert(0, here := str(Path.cwd()))
    try:
        with theirs(f"the {option} {name}"), _no_exit(f"the {option} {name}"):
            module = importlib.import_module(module_name)
    except RunError as error:
        cause = error.__cause__
        if not isinstance(cause, ModuleNotFoundError) or cause.name != module_name.partition(".")[0]:
            raise
        hint = f"--{option} module:function; the current folder is looked in"
        raise UsageError(f"{cause}.", hint) from error
    finally:
        if here in sys.path:
            sys.path.remove(here)
    found: Any = getattr(module, function, None)
    if not callable(found):
        raise UsageError(
            f"there is no function {function!r} in {module_name}.", f"--{option} module:function"
        )
    return found  # type: ignore[no-any-return]  # a person's own function


@contextmanager
def _no_exit(what: str) -> Iterator[None]:
    try:
        yield
    except SystemExit as error:
        raise RunError(f"{what} ends the program ({error}).", 'if __name__ == "__main__": …') from error

"""Weights files and networks named on a command line."""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import nn

from ltsm import regular
from ltsm.errors import StoreError, UsageError
from ltsm.library.weights import State, state_of

_INSIDE = ("state_dict", "model_state_dict", "model")
"""Under which names checkpoints commonly hold their state dict."""


def read_weights(path: Path) -> State:
    """The state dict in a safetensors file, or in a PyTorch file, which is read with weights_only=True.

    Raises:
        StoreError: the file is missing, damaged, no file, longer than half of the memory, or holds more than weights.
        UsageError: a tensor is not dense.
    """
    try:
        if path.suffix == ".safetensors":
            return state_of(load(regular.read(path)))
        with regular.opened(path) as file:
            regular.refuse_size(os.fstat(file.fileno()).st_size)
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        hint = "torch.save(model.state_dict(), FILE), not torch.save(model, FILE)"
        raise StoreError(f"{path} is damaged, or holds more than weights.", hint) from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}.") from None
    except Exception:  # noqa: BLE001 - on other bytes torch's unpickler raises whatever it stumbles over
        raise StoreError(f"{path} is no file of weights, or only a part of one.") from None
    try:
        return state_of(_state_dict(path, content))
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", error.hint) from None


def _state_dict(path: Path, content: Any) -> Mapping[str, torch.Tensor]:
    if isinstance(content, Mapping):
        inside = next((content[n] for n in _INSIDE if isinstance(content.get(n), Mapping)), content)
        if any(isinstance(value, torch.Tensor) for value in inside.values()):
            return inside
    raise StoreError(f"{path} holds no state dict.", "torch.save(model.state_dict(), FILE)")


def state_bytes(state: Mapping[str, torch.Tensor]) -> bytes:
    """A safetensors file that `load_state_dict` takes."""
    return save({name: tensor.contiguous() for name, tensor in state.items()})


def network_named(name: str) -> nn.Module:
    """The module that `module:function` makes; the current folder is looked in first. It runs that code.

    Raises:
        UsageError: there is no such function, it fails, or it makes something else.
    """
    module_name, _, function = name.partition(":")
    if not (module_name and function):
        raise UsageError(f"a network is named as module:function, not {name!r}.", "e.g. --network model:make")
    sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(importlib.import_module(module_name), function)()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UsageError(f"{name} makes no network: {reason}", "it is called without arguments") from error
    finally:
        sys.path.pop(0)
    if not isinstance(made, nn.Module):
        raise UsageError(f"{name} gives {type(made).__name__}, not a torch.nn.Module.")
    return made

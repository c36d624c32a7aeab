"""TrainState: all that training is a function of, and its form in bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import safetensors
import torch
from safetensors.torch import load, save

from ltsm.core.network import ACTIVATIONS, Network
from ltsm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

State = TypeVar("State")

FORMAT = 1
"""Version of the bytes that `pack` gives."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainState:
    """Networks of one shape, at one iteration of their training; everything recorded is a function of it.

    Attributes:
        seeds: one per model; where order is "shuffled", it decides the order of the images.
        iteration: how many batches have been trained on.
        parameters: (models, P), float32, as are first_moment and second_moment (Adam's).
        masks: (models, P), bool, True for what is kept, or None: nothing is pruned. Pruned parameters
            stay exactly what they are, which is mostly 0.
    """

    network: Network
    seeds: tuple[int, ...]
    iteration: int
    parameters: Tensor
    first_moment: Tensor
    second_moment: Tensor
    masks: Tensor | None = None


def fresh_state(
    network: Network,
    seeds: tuple[int, ...],
    initial: Tensor,
    masks: Tensor | None = None,
    frozen: Tensor | float = 0.0,
) -> TrainState:
    """The state before the first iteration, from initial values (models, P), pruned by masks (models, P).

    What is pruned is `frozen`: at 0, or at values (models, P).
    """
    pruned = initial.clone() if masks is None else torch.where(masks, initial, frozen)
    return TrainState(
        network=network,
        seeds=seeds,
        iteration=0,
        parameters=pruned,
        first_moment=torch.zeros_like(pruned),
        second_moment=torch.zeros_like(pruned),
        masks=None if masks is None else masks.clone(),
    )


def later(state: TrainState, iteration: int, tensors: Sequence[Tensor]) -> TrainState:
    """The state at a later iteration, with parameters, first and second moments (models, P) as an engine has them.

    Where an infinite second moment stands for the mask, what is pruned is as it was before, and its moments are 0.
    """
    parameters, first, second = tensors
    if (kept := state.masks) is not None:
        parameters = torch.where(kept, parameters, state.parameters)
        first, second = (torch.where(kept, moment, 0.0) for moment in (first, second))
    return replace(
        state, iteration=iteration, parameters=parameters, first_moment=first, second_moment=second
    )


def side_by_side(states: Sequence[TrainState]) -> TrainState:
    """The models of several states in one, in this order; `apart` is its inverse.

    Raises:
        ValueError: they differ in shape or iteration, or only some are pruned.
    """
    first = states[0]
    kinds = {(state.network, state.iteration, state.masks is None) for state in states}
    if len(kinds) > 1:
        raise ValueError(kinds)

    joined: dict[str, Any] = {name: torch.cat([getattr(s, name) for s in states]) for name in _held(first)}
    return replace(first, seeds=tuple(seed for state in states for seed in state.seeds), **joined)


def apart(state: TrainState) -> list[TrainState]:
    """Each of the state's models as a state of its own; the tensors are views."""
    names = ("seeds", *_held(state))
    return [
        replace(state, **{name: getattr(state, name)[model : model + 1] for name in names})
        for model in range(len(state.seeds))
    ]


def pack(state: TrainState) -> bytes:
    """The state as the bytes of a safetensors file, the same bytes for the same state."""
    about = {
        "sizes": state.network.sizes,
        "activation": state.network.activation,
        "seeds": state.seeds,
        "iteration": state.iteration,
    }
    return packed(about, {name: getattr(state, name).contiguous() for name in _held(state)})


def packed(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """A description and contiguous tensors as the bytes of a safetensors file.

    The description is one JSON text, since safetensors keeps several in no particular order, and holds
    a SHA-256 over itself and all values, since safetensors would not notice a flipped bit.
    """
    whole = {"format": FORMAT, **about}
    whole["sha256"] = digest(whole, tensors)
    return save(dict(tensors), {"ltsm": json.dumps(whole, sort_keys=True)})


def unpack(data: bytes) -> TrainState:
    """The state that `pack` made into these bytes.

    Raises:
        StoreError: the bytes are damaged, incomplete, or something else.
    """
    return unpacked(data, _state)


def unpacked(data: bytes, state: Callable[[dict[str, Any], dict[str, Tensor]], State]) -> State:
    """What `state` makes of the description and the tensors that `packed` was given.

    Raises:
        StoreError: the bytes are damaged, incomplete, or something else.
    """
    try:
        about = json.loads(metadata(data)["ltsm"])
        tensors = load(data)
        expected = about.pop("sha256")
        if about["format"] != FORMAT:
            raise StoreError(f"this is a checkpoint of format {about['format']}, not {FORMAT}.", _HINT)
        if digest(about, tensors) != expected:
            raise StoreError("the checkpoint's contents differ from its own SHA-256.", _HINT)
        return state(about, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, safetensors.SafetensorError) as error:
        raise StoreError("these bytes are no checkpoint, or only a part of one.", _HINT) from error


_HINT = "remove the file: the run then starts from the checkpoint before it, or anew"


def _held(state: TrainState) -> list[str]:
    """The names of the tensors that the state has."""
    names = ("parameters", "first_moment", "second_moment", "masks")
    return [name for name in names if getattr(state, name) is not None]


def digest(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the description without its own digest, and every tensor's name, shape, type and values."""
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def metadata(data: bytes) -> dict[str, Any]:
    """A safetensors file's own description: eight bytes say how long its JSON header is."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, Any] = json.loads(data[8 : 8 + length])["__metadata__"]
    return found


def _state(about: dict[str, Any], tensors: dict[str, Tensor]) -> TrainState:
    """The state of a description whose digest was right; ValueError where its parts do not fit together."""
    network, seeds = network_of(about), tuple(about["seeds"])
    shape = (len(seeds), network.parameters)
    if any(tensor.shape != shape for tensor in tensors.values()):
        raise ValueError(about)
    return TrainState(network=network, seeds=seeds, iteration=about["iteration"], **tensors)


def network_of(about: Mapping[str, Any]) -> Network:
    """The network of a checkpoint's description; ValueError where there is none such, or its iteration is none."""
    network = Network(tuple(about["sizes"]), about["activation"])
    if network.activation not in ACTIVATIONS or about["iteration"] < 0:
        raise ValueError(about)
    return network

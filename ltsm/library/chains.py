"""Networks that `ltsm.core` can compute: linear layers with one activation between them, whatever they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from ltsm.core.network import Network, named_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from ltsm.library.weights import State

_ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.GELU: "gelu"}


@dataclass(frozen=True, slots=True)
class Chain:
    """A network, and the name that each of its layers has in the state dict that it came from."""

    network: Network
    layers: tuple[str, ...]

    def views(self, flat: Tensor) -> State:
        """Views of parameters (P,) under the state dict's names."""
        return named_tensors(self.network, flat, self.layers)

    def shapes(self) -> dict[str, torch.Size]:
        """The parameters' shapes under the state dict's names."""
        flat = torch.empty(self.network.parameters, device="meta")
        return {name: view.shape for name, view in self.views(flat).items()}

    def flat(self, state: Mapping[str, Tensor]) -> Tensor:
        """(P,) the state dict's values as float32, which is all that our engines take."""
        flat = torch.empty(self.network.parameters, dtype=torch.float32, device="cpu")
        for name, place in self.views(flat).items():
            place.copy_(state[name])
        return flat


def chain_of_module(module: nn.Module) -> Chain | None:
    """The module as a chain, where it is certain that its forward pass is one; else None.

    Certain are nn.Sequential's of nn.Linear and nn.ReLU, nn.Tanh or nn.GELU, after at most an nn.Flatten, in
    float32 and without hooks, in which no two layers share a parameter. A forward pass of one's own cannot be
    looked into.
    """
    parts = list(_leaves("", module))
    if parts and isinstance(flat := parts[0][1], nn.Flatten) and (flat.start_dim, flat.end_dim) == (1, -1):
        parts = parts[1:]
    linear, between = parts[::2], {_activation(part) for _, part in parts[1::2]}
    plain = all(_is_plain_linear(part) for _, part in linear) and not any(
        _altered(m) for m in module.modules()
    )
    if len(parts) % 2 == 0 or not plain or len(between) > 1 or "" in between:
        return None
    layers = [(name, part) for name, part in linear if isinstance(part, nn.Linear)]
    if any(a.out_features != b.in_features for (_, a), (_, b) in pairwise(layers)):
        return None
    if len({id(tensor) for _, part in layers for tensor in (part.weight, part.bias)}) < 2 * len(layers):
        return None
    sizes = (layers[0][1].in_features, *(part.out_features for _, part in layers))
    return Chain(Network(sizes, between.pop() if between else "relu"), tuple(name for name, _ in layers))


def chain_of_state(state: Mapping[str, Tensor], activation: str) -> Chain | None:
    """The chain that a state dict's shapes allow, if its names are in the layers' order, or numbered so; else None."""
    names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    if not names or {f"{n}.{part}" for n in names for part in ("weight", "bias")} != state.keys():
        return None
    for order in (names, sorted(names, key=_natural)):
        if sizes := _chained(state, order):
            return Chain(Network(sizes, activation), tuple(order))
    return None


def obstacle(state: Mapping[str, Tensor]) -> str:
    """Why `chain_of_state` finds no chain, in words."""
    names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    if lacking := [f"{name}.bias" for name in names if f"{name}.bias" not in state]:
        return f"there is no {lacking[0]!r}"
    known = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    if others := [name for name in state if name not in known]:
        return f"{others[0]!r} is no weight or bias of theirs"
    return "their sizes do not follow from each other"


def _chained(state: Mapping[str, Tensor], names: Sequence[str]) -> tuple[int, ...]:
    """The sizes from input to output, or nothing where one layer's outputs are not the next one's inputs."""
    shapes = [(state[f"{n}.weight"].shape, state[f"{n}.bias"].shape) for n in names]
    if any(len(weight) != 2 or bias != weight[:1] for weight, bias in shapes):  # noqa: PLR2004 - a matrix
        return ()
    if any(state[f"{n}.{part}"].dtype != torch.float32 for n in names for part in ("weight", "bias")):
        return ()
    if any(a[0] != b[1] for (a, _), (b, _) in pairwise(shapes)):
        return ()
    return (shapes[0][0][1], *(weight[0] for weight, _ in shapes))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts "2" before "10"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _leaves(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """What nn.Sequential's inside each other call one after the other; anything else as it is."""
    if type(module) is nn.Sequential:
        # not named_children(), which leaves out an object that comes a second time; forward() does not
        for child, part in module._modules.items():  # noqa: SLF001
            if part is not None:
                yield from _leaves(f"{name}.{child}" if name else child, part)
    else:
        yield name, module


def _is_plain_linear(part: nn.Module) -> bool:
    return type(part) is nn.Linear and part.bias is not None and part.weight.dtype == torch.float32


def _activation(part: nn.Module) -> str:
    if isinstance(part, nn.GELU) and part.approximate != "none":
        return ""
    return _ACTIVATIONS.get(type(part), "")


def _altered(module: nn.Module) -> bool:
    """Whether more, or something else, happens in a forward pass than the module's type says."""
    hooked = module._forward_hooks or module._forward_pre_hooks  # noqa: SLF001 - torch has no other way to ask
    return bool(hooked) or "forward" in vars(module)

"""Masks as `torch.nn.utils.prune` knows them: applied, read back, made permanent, counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from ltsm.errors import UsageError
from ltsm.library.arguments import instance
from ltsm.library.weights import checked_mask, plain_tensor
from ltsm.library.wrappers import inside
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

_MASK, _ORIGINAL = "_mask", "_orig"


class Count(NamedTuple):
    """How many parameters are not zeroed, of how many."""

    kept: int
    total: int


def apply_mask(module: nn.Module, mask: Mapping[str, Tensor]) -> nn.Module:
    """Prune the module itself by torch's `custom_from_mask`, as its own pruning methods would; the module comes back.

    Afterwards a parameter `fc.weight` is `fc.weight_orig`, times the buffer `fc.weight_mask` in every forward pass.

    Args:
        module: the network, which changes.
        mask: by parameter name, True, or 1, for what is kept.

    Raises:
        UsageError: the mask is of another network, or holds other values; nothing has changed then.
    """
    network = inside(instance("module", module, nn.Module, "a torch.nn.Module"))
    places = {name: _owner(network, name) for name in mask} if isinstance(mask, Mapping) else {}
    checked = checked_mask(mask, {name: getattr(*place).shape for name, place in places.items()})
    # once for each place: a layer that is used twice has two names, and one mask
    for (owner, attribute), kept in {places[name]: kept for name, kept in checked.items()}.items():
        prune.custom_from_mask(owner, attribute, kept.to(getattr(owner, attribute).device))  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return module


def read_mask(module: nn.Module) -> dict[str, Tensor]:
    """The mask of a module pruned by torch, by parameter name: True for what is kept; empty where nothing is pruned."""
    return {
        name: getattr(owner, attribute + _MASK).bool().cpu() for name, owner, attribute in _pruned(module)
    }


def make_permanent(module: nn.Module) -> nn.Module:
    """Turn torch's pruning into plain zeros, in the module itself, which comes back."""
    for owner, attribute in dict.fromkeys((owner, attribute) for _, owner, attribute in _pruned(module)):
        prune.remove(owner, attribute)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return module


def count_parameters(module: nn.Module) -> Count:
    """What is left: parameters that are neither pruned by torch nor 0, of all."""
    masks = {f"{name}{_ORIGINAL}": mask for name, mask in read_mask(module).items()}
    kept = total = 0
    for name, parameter in module.named_parameters():
        values = plain_tensor(quoted(name), parameter).detach().cpu() != 0
        kept += int((values & masks[name] if name in masks else values).sum())
        total += parameter.numel()
    return Count(kept, total)


def _owner(module: nn.Module, name: Any) -> tuple[nn.Module, str]:
    """The layer that a name's parameter belongs to, and what it is called there; torch may prune it already.

    Raises:
        UsageError: there is none.
    """
    place, _, attribute = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    owner = dict(module.named_modules(remove_duplicate=False)).get(place)
    known = dict(owner.named_parameters(recurse=False, remove_duplicate=False)) if owner is not None else {}
    parameter = known.get(attribute, known.get(attribute + _ORIGINAL))
    if owner is None or parameter is None:
        raise UsageError(f"the mask is of another network: here is no {quoted(name)}.")
    plain_tensor(quoted(name), parameter)
    return owner, attribute


def _pruned(module: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Name, owner and attribute of every parameter that torch prunes, under all names that it has."""
    instance("module", module, nn.Module, "a torch.nn.Module")
    for place, owner in module.named_modules(remove_duplicate=False):
        for buffer, _ in owner.named_buffers(recurse=False):
            attribute = buffer.removesuffix(_MASK)
            if attribute != buffer and isinstance(
                getattr(owner, attribute + _ORIGINAL, None), torch.nn.Parameter
            ):
                yield (f"{place}.{attribute}" if place else attribute), owner, attribute

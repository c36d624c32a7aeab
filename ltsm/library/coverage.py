"""What a mask covers in a network of one's own, and what it leaves alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torch import nn

from ltsm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltsm.library.weights import State
    from ltsm.protocol import MaskScope

Kinds: TypeAlias = type[nn.Module] | tuple[type[nn.Module], ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Names of parameters.

    Attributes:
        masked: those that a mask covers, in the network's order.
        left_alone: those that keep their initial values whatever the threshold.
        total: how many single parameters there are in all, each once.
    """

    masked: tuple[str, ...]
    left_alone: tuple[str, ...]
    total: int


def coverage(module: nn.Module, only: Kinds | None, scope: MaskScope) -> Coverage:
    """Which parameters a mask covers: those of `only`'s layers; without it all, which have to be nn.Linear's.

    Raises:
        UsageError: the recipe covers nothing here; or there are other layers, and `only` does not say so.
    """
    masked: list[str] = []
    left: list[str] = []
    others: list[str] = []
    for place, layer in module.named_modules():
        for name, _ in layer.named_parameters(prefix=place, recurse=False):
            covered = isinstance(layer, nn.Linear if only is None else only)
            if not covered:
                others.append(f"{name} ({type(layer).__name__})")
            (masked if covered and _in_scope(name, scope) else left).append(name)
    if others and only is None:
        raise UsageError(
            f"the recipe does not cover {others[0]}: it is for fully connected layers.",
            "only=nn.Linear (on the command line --only-linear) leaves other layers alone, with their initial values",
        )
    known = dict(module.named_parameters())
    return _coverage(
        [n for n in masked if n in known],
        [n for n in left if n in known],
        sum(p.numel() for p in known.values()),
    )


def coverage_of_state(state: State, scope: MaskScope) -> Coverage:
    """The same for a state dict of nothing but linear layers."""
    masked = [name for name in state if _in_scope(name, scope)]
    return _coverage(masked, [n for n in state if n not in masked], sum(t.numel() for t in state.values()))


def _coverage(masked: Iterable[str], left: Iterable[str], total: int) -> Coverage:
    found = Coverage(tuple(masked), tuple(left), total)
    if not found.masked:
        raise UsageError(
            "this network has no layer that the recipe covers.", "only= names the kinds of layers"
        )
    return found


def _in_scope(name: str, scope: MaskScope) -> bool:
    return scope == "all" or name.rpartition(".")[2] != "bias"

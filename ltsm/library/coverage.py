"""What a mask covers in a network of one's own, and what it leaves alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import nn

from ltsm.errors import UsageError
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltsm.library.weights import State
    from ltsm.protocol import MaskScope

Kinds: TypeAlias = type[nn.Module] | tuple[type[nn.Module], ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Names of parameters; one that has several is there under all of them.

    Attributes:
        masked: those that a mask covers, in the network's order.
        left_alone: those that keep their initial values whatever the threshold.
        total: how many single parameters there are in all, each once.
        shared: the further names of parameters that have several, each with the first, under which it counts.
    """

    masked: tuple[str, ...]
    left_alone: tuple[str, ...]
    total: int
    shared: dict[str, str]


def check_kinds(only: Any) -> None:
    """Nothing, for a kind of layer, several, or None.

    Raises:
        UsageError: it is something else.
    """
    for kind in only if isinstance(only, tuple) else () if only is None else (only,):
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise UsageError(
                f"only must be a kind of layer or several, not {quoted(kind)}.", "only=nn.Linear"
            )


def coverage(module: nn.Module, only: Kinds | None, scope: MaskScope) -> Coverage:
    """Which parameters a mask covers: those of `only`'s layers; without it all, which have to be nn.Linear's.

    One that a layer of another kind has, too, is left alone.

    Raises:
        UsageError: the recipe covers nothing here; or there are other layers, and `only` does not say so.
    """
    owned: list[tuple[str, nn.Parameter]] = []
    spared: set[nn.Parameter] = set()
    others: list[str] = []
    for place, layer in module.named_modules(remove_duplicate=False):
        covered = isinstance(layer, nn.Linear if only is None else only)
        for name, parameter in layer.named_parameters(place, recurse=False, remove_duplicate=False):
            owned.append((name, parameter))
            if not covered:
                others.append(f"{name} ({type(layer).__name__})")
            if not covered or not _in_scope(name, scope):
                spared.add(parameter)
    if others and only is None:
        raise UsageError(
            f"the recipe does not cover {others[0]}: it is for fully connected layers.",
            "only=nn.Linear (on the command line --only-linear) leaves other layers alone, with their initial values",
        )
    first = {parameter: name for name, parameter in module.named_parameters()}
    return _coverage(
        [name for name, parameter in owned if parameter not in spared],
        [name for name, parameter in owned if parameter in spared],
        sum(parameter.numel() for parameter in first),
        {name: first[parameter] for name, parameter in owned if first[parameter] != name},
    )


def coverage_of_state(state: State, scope: MaskScope) -> Coverage:
    """The same for a state dict of nothing but linear layers."""
    masked = [name for name in state if _in_scope(name, scope)]
    left = [name for name in state if name not in masked]
    return _coverage(masked, left, sum(t.numel() for t in state.values()), {})


def _coverage(masked: Iterable[str], left: Iterable[str], total: int, shared: dict[str, str]) -> Coverage:
    found = Coverage(tuple(masked), tuple(left), total, shared)
    if not found.masked:
        raise UsageError(
            "this network has no layer that the recipe covers.", "only= names the kinds of layers"
        )
    return found


def _in_scope(name: str, scope: MaskScope) -> bool:
    return scope == "all" or name.rpartition(".")[2] != "bias"

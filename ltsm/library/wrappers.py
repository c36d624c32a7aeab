"""Networks and names as other tools leave them: wrappers taken off, prefixes left out, and refused what hides the values."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from ltsm.errors import UsageError
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

T = TypeVar("T")

log = logging.getLogger(__name__)

COMPILED = "_orig_mod."
"""What torch.compile puts in front of the names of what it compiled, at any depth."""
WRAPPED = "module."
"""What stands before all names in weights that were saved from inside another wrapper."""
_INSIDE: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.DataParallel, "module"),
    (nn.parallel.DistributedDataParallel, "module"),
    (torch.optim.swa_utils.AveragedModel, "module"),
    (torch._dynamo.eval_frame.OptimizedModule, "_orig_mod"),  # noqa: SLF001 - torch.compile's has no public name
)


def inside(module: nn.Module) -> nn.Module:
    """The network inside DataParallel, DistributedDataParallel, AveragedModel and torch.compile."""
    while attribute := next((name for kind, name in _INSIDE if isinstance(module, kind)), ""):
        module = getattr(module, attribute)
    return module


def unwrapped(module: nn.Module) -> nn.Module:
    """The same, where its values are those that it computes with.

    Raises:
        UsageError: TorchScript stands between its names and its layers, or torch.nn.utils between those and the values.
    """
    module = inside(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            "this is a module of TorchScript, which cannot be looked into.",
            "the nn.Module that it was made of, with load_state_dict",
        )
    named = [*module.named_parameters(), *module.named_buffers()]
    refuse_hidden([name for name, _ in named])
    return module


def refuse_hidden(names: Collection[str]) -> None:
    """Refuse what torch.nn.utils has put in the place of the values that layers compute with.

    Raises:
        UsageError: naming the call that brings them back.
    """
    for name in names:
        if call := _hiding(name, names):
            raise UsageError(
                f"{quoted(name)} is not what a layer computes with, but what that is made of.", call
            )


def _hiding(name: str, names: Collection[str]) -> str:
    """The call that turns this value back into a plain one; empty where it is one."""
    if ".parametrizations." in f".{name}":
        return "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')"
    base = name.removesuffix("_orig")
    if base != name and f"{base}_mask" in names:
        return "ltsm.make_permanent(model) turns the masks of torch.nn.utils.prune into zeros"
    if base != name and f"{base}_u" in names:
        return "torch.nn.utils.remove_spectral_norm(layer)"
    if name.endswith("_g") and f"{name.removesuffix('_g')}_v" in names:
        return "torch.nn.utils.remove_weight_norm(layer)"
    return ""


def aligned(what: str, state: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    """The state dict under a network's own names, without what a wrapper, a trainer or torch.compile put in front.

    Args:
        what: which weights these are, in words.
        state: values by name.
        names: the network's; empty where nobody knows them: then wrappers' prefixes alone are left out.

    Raises:
        UsageError: several prefixes would do.
    """
    if names and all(name in state for name in names):
        return dict(state)
    ours, theirs = _without_compiled(names), _without_compiled(state)
    prefixes = _prefixes(theirs, ours) if ours else [_wrapped(theirs)]
    if len(prefixes) > 1:
        raise UsageError(
            f"the {what} weights hold several networks, under {' and '.join(map(repr, prefixes))}.",
            "hand over one: {k.removeprefix(P): v for k, v in state.items() if k.startswith(P)}",
        )
    if not prefixes or len(theirs) < len(state):
        return dict(state)
    short = {k.removeprefix(prefixes[0]): old for k, old in theirs.items() if k.startswith(prefixes[0])}
    taken = {ours.get(name, name): old for name, old in short.items()}
    if renamed := next((new for new, old in taken.items() if new != old), ""):
        log.warning("%r of the %s weights is taken as %r", taken[renamed], what, renamed)
    return {new: state[old] for new, old in taken.items()}


def _without_compiled(names: Iterable[str]) -> dict[str, str]:
    """Each name by what torch.compile had before it put its own into it."""
    return {name.replace(COMPILED, ""): name for name in names}


def _prefixes(state: Collection[str], names: Collection[str]) -> list[str]:
    """Which prefixes make all of a network's names names of the state dict."""
    one = min(names)
    candidates = [k.removesuffix(one) for k in state if k.endswith(one)]
    return [p for p in candidates if (p == "" or p.endswith(".")) and all(p + n in state for n in names)]


def _wrapped(names: Collection[str]) -> str:
    """The wrappers' prefixes that all names begin with, one inside the other; what torch.compile put is gone already."""
    prefix = ""
    while names and all(name.startswith(f"{prefix}{WRAPPED}") for name in names):
        prefix += WRAPPED
    return prefix

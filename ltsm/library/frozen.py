"""Zeros that stay zeros, whoever trains."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ltsm.errors import UsageError
from ltsm.library.arguments import instance
from ltsm.library.masks import checked_mask
from ltsm.library.weights import plain_tensor, state_of
from ltsm.library.wrappers import unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

    from ltsm.library.weights import State


@contextmanager
def frozen_zeros(
    module: nn.Module,
    mask: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    *,
    at: Mapping[str, Tensor] | None = None,
) -> Iterator[None]:
    """For a training loop of one's own: what the mask prunes is exactly 0 in here, whatever the optimiser does.

    The parameters are set to 0 on entry, or to the values that they shall be frozen at. Their gradients are 0, so that
    momentum and norms know nothing of them, and
    before and after every step, and at the end, they are set so again, so that neither weight decay, nor momentum from
    before, nor a forward pass that writes to them can move them. A parameter that is replaced meanwhile is followed.

    Args:
        module: the network; its pruned parameters change.
        mask: by parameter name, True, or 1, for what is kept.
        optimiser: whose steps are followed; it has to be over some of the module's parameters.
        at: values by parameter name that are frozen in place of 0, as in a `Pruned`'s `state`.

    Raises:
        UsageError: the mask is not this network's, or the optimiser is over other parameters.
    """
    zeros = _Zeros(unwrapped(instance("module", module, nn.Module, "a torch.nn.Module")), mask, at or {})
    instance("optimiser", optimiser, torch.optim.Optimizer, "a torch.optim.Optimizer")
    own = {id(p) for p in module.parameters()}
    if not any(id(p) in own for group in optimiser.param_groups for p in group["params"]):
        raise UsageError(
            "the optimiser is over none of the module's parameters.", "SGD(module.parameters(), …)"
        )
    zeros.set()
    hooks = [
        register(zeros.set)
        for register in (optimiser.register_step_pre_hook, optimiser.register_step_post_hook)
    ]
    try:
        yield
        zeros.set()
    finally:
        for hook in hooks:
            hook.remove()
        zeros.release()


class _Zeros:
    """Parameters by name, as the module has them at the time, with hooks on their gradients.

    Args:
        module: whose.
        mask: what is kept of them.
        at: what the others are, where that is not 0.
    """

    def __init__(self, module: nn.Module, mask: Mapping[str, Tensor], at: Mapping[str, Tensor]) -> None:
        self._module = module
        known = {name: plain_tensor(name, p).shape for name, p in self._parameters().items()}
        self._at = {name: t.detach().clone() for name, t in state_of(at).items() if name in known}
        self._kept: State = checked_mask(mask, known)
        self._hooked: dict[str, tuple[nn.Parameter, RemovableHandle | None]] = {}

    def set(self, *_: Any) -> None:
        """Set what is pruned to 0; also a hook of the optimiser.

        Raises:
            UsageError: a parameter is gone, or has another shape now.
        """
        parameters = self._parameters()
        for name, flags in self._kept.items():
            parameter = parameters.get(name)
            if parameter is None or parameter.shape != flags.shape:
                raise UsageError(f"the mask is of another network: {name!r} has gone, or has another shape.")
            if name not in self._hooked or self._hooked[name][0] is not parameter:
                self._follow(name, parameter)
            with torch.no_grad():
                # not a product, which would leave -0.0, and NaN where training diverges
                kept, frozen = self._kept[name], self._at.get(name, 0.0)
                parameter.copy_(torch.where(kept, parameter, frozen))

    def release(self) -> None:
        """Leave the gradients alone again."""
        for _, hook in self._hooked.values():
            if hook is not None:
                hook.remove()
        self._hooked.clear()

    def _follow(self, name: str, parameter: nn.Parameter) -> None:
        """From now on this one's gradient is 0 where it is pruned."""
        self._kept[name] = self._kept[name].to(parameter.device)
        if name in self._at:
            self._at[name] = self._at[name].to(parameter.device, parameter.dtype)
        if (before := self._hooked.get(name, (None, None))[1]) is not None:
            before.remove()
        hook = None
        if parameter.requires_grad:
            hook = parameter.register_hook(_gradient(self._kept[name]))  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._hooked[name] = (parameter, hook)

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self._module.named_parameters(remove_duplicate=False))


def _gradient(flags: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: torch.where(flags, gradient, 0.0)

"""Zeros that stay zeros, whoever trains."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import unserializable_hook

from ltsm.errors import UsageError
from ltsm.library.arguments import instance
from ltsm.library.weights import checked_mask, plain_tensor, state_of
from ltsm.library.wrappers import unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

    from ltsm.library.weights import State


@contextmanager
def frozen_zeros(
    module: nn.Module,
    mask: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer | None = None,
    *,
    at: Mapping[str, Tensor] | None = None,
) -> Iterator[None]:
    """For a training loop of one's own: what the mask prunes is exactly 0 in here, whatever the optimiser does.

    The parameters are set to 0 on entry, or to the values that they shall be frozen at. Their gradients are 0, so that
    momentum and norms know nothing of them, and before and after every step, before every call of the module, and at
    the end, they are set so again, so that neither weight decay, nor momentum from before, nor who writes to them can
    move them. A parameter that is replaced meanwhile is followed from the next step or call of the module on.

    Args:
        module: the network; its pruned parameters change.
        mask: by parameter name, True, or 1, for what is kept.
        optimiser: whose steps are followed; it has to be over some of the module's parameters. None: every one that is,
            also one that is made in here.
        at: values by parameter name that are frozen in place of 0, as in a `Pruned`'s `state`.

    Raises:
        UsageError: the mask is not this network's, or the optimiser is over other parameters.
    """
    network = unwrapped(instance("module", module, nn.Module, "a torch.nn.Module"))
    zeros = _Zeros(network, mask, at or {})
    instance("optimiser", optimiser, torch.optim.Optimizer | None, "a torch.optim.Optimizer")
    if optimiser is not None and not is_over(optimiser, network):
        raise UsageError(
            "the optimiser is over none of the module's parameters.", "SGD(module.parameters(), …)"
        )
    hooks: list[RemovableHandle] = []
    try:
        zeros.set()
        hooks += _around_steps(zeros, network, optimiser)
        hooks.append(module.register_forward_pre_hook(_BeforeForward(zeros)))
        yield
        zeros.set()
    except BaseException:
        with suppress(Exception):  # what went wrong comes out, whatever has become of the network
            zeros.set()
        raise
    finally:
        for hook in hooks:
            hook.remove()
        zeros.release()


def _recording() -> bool:
    """Whether a compiler or a CUDA graph is listening: neither can branch on a value, and the zeros wait for the step."""
    capturing = torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return torch.compiler.is_compiling() or capturing


def is_over(optimiser: torch.optim.Optimizer, network: nn.Module) -> bool:
    """Whether the optimiser moves any of the network's parameters."""
    own = {id(p) for p in network.parameters()}
    return any(id(p) in own for group in optimiser.param_groups for p in group["params"])


def _around_steps(
    zeros: _Zeros, network: nn.Module, optimiser: torch.optim.Optimizer | None
) -> list[RemovableHandle]:
    """Hooks before and after the steps of one optimiser, or of whichever is over the network."""

    def own(one: torch.optim.Optimizer, *_: Any) -> None:
        if is_over(one, network):
            zeros.set()

    if optimiser is None:
        return [register_optimizer_step_pre_hook(own), register_optimizer_step_post_hook(own)]
    return [optimiser.register_step_pre_hook(zeros.set), optimiser.register_step_post_hook(zeros.set)]


class _BeforeForward:
    """Mends zeros before a forward pass. A copy of the module, and a file of it, has one that does nothing."""

    def __init__(self, zeros: _Zeros | None = None) -> None:
        self._zeros = zeros

    def __call__(self, *_: Any) -> None:
        if self._zeros is not None and not _recording():
            self._zeros.mend()

    def __reduce__(self) -> tuple[type[_BeforeForward], tuple[()]]:
        return _BeforeForward, ()


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
        self._pruned: State = {name: ~kept for name, kept in checked_mask(mask, known).items()}
        self._hooked: dict[str, tuple[nn.Parameter, RemovableHandle | None]] = {}
        self._bits: dict[str, tuple[tuple[torch.device, torch.dtype], Tensor, Tensor]] = {}

    def set(self, *_: Any) -> None:
        """Set what is pruned to 0; also a hook of the optimiser. Raises as `_followed`."""
        for name, parameter in self._followed():
            self._write(name, parameter)

    def mend(self) -> None:
        """Set to 0 again what has been written to; nothing else is touched, as autograd may still need it unchanged."""
        for name, parameter in self._followed():
            kept, frozen = self._as_bits(name, parameter)
            if not torch.equal(parameter.detach().view(kept.dtype) & ~kept, frozen):
                self._write(name, parameter)

    def _followed(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters as the module has them now, their gradients 0 from now on; none that a functional call lends it.

        Raises:
            UsageError: a parameter is gone, or has another shape now.
        """
        parameters = self._parameters()
        for name, pruned in self._pruned.items():
            parameter = parameters.get(name)
            if parameter is None or parameter.shape != pruned.shape:
                raise UsageError(f"the mask is of another network: {name!r} has gone, or has another shape.")
            if isinstance(parameter, nn.Parameter):
                self._follow(name, parameter)
                yield name, parameter

    def release(self) -> None:
        """Leave the gradients alone again."""
        for _, hook in self._hooked.values():
            if hook is not None:
                hook.remove()
        self._hooked.clear()

    @torch.no_grad()
    def _write(self, name: str, parameter: nn.Parameter) -> None:
        kept, frozen = self._as_bits(name, parameter)
        parameter.view(kept.dtype).bitwise_and_(kept).bitwise_or_(frozen)

    def _as_bits(self, name: str, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Which bits of a parameter stay, all or none of a number's, and the others: integers, where the tensor is now.

        Bits, as a product would leave -0.0, and NaN where training diverges, and to fill by a mask takes twenty times as
        long on a CPU.
        """
        place = tensor.device, tensor.dtype
        if name not in self._bits or self._bits[name][0] != place:
            kept = self._pruned[name].to(tensor.device, _INTEGERS[min(tensor.itemsize, 8)]) - 1
            if tensor.itemsize > kept.itemsize:  # complex128: two integers a number
                kept = kept.repeat_interleave(2, -1)
            frozen = torch.zeros_like(kept)
            if name in self._at:
                frozen = self._at[name].to(*place).view(kept.dtype) & ~kept
            self._bits[name] = place, kept, frozen
        return self._bits[name][1:]

    def _follow(self, name: str, parameter: nn.Parameter) -> None:
        """From now on this one's gradient is 0 where it is pruned."""
        followed, before = self._hooked.get(name, (None, None))
        if followed is parameter and (before is not None or not parameter.requires_grad):
            return
        if before is not None:
            before.remove()

        @unserializable_hook  # type: ignore[untyped-decorator]  # torch's own; a person may save the whole module meanwhile
        def pruned_is_zero(gradient: Tensor) -> Tensor:
            if gradient.layout != torch.strided:
                raise UsageError(f"{name!r} gets sparse gradients; what is frozen needs dense ones.")
            if gradient.requires_grad:  # it is differentiated in its turn, as bits cannot be
                return gradient.masked_fill(self._pruned[name].to(gradient.device), 0.0)
            kept, _ = self._as_bits(name, gradient)
            return (gradient.view(kept.dtype) & kept).view(gradient.dtype)

        hook = parameter.register_hook(pruned_is_zero) if parameter.requires_grad else None  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._hooked[name] = (parameter, hook)

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self._module.named_parameters(remove_duplicate=False))


_INTEGERS = {t.itemsize: t for t in (torch.int8, torch.int16, torch.int32, torch.int64)}

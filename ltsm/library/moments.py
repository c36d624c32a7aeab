"""What a network is at a moment of a training loop that is not ours, and how it goes back there."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ltsm.errors import UsageError
from ltsm.library.frozen import is_over
from ltsm.library.weights import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from ltsm.library.weights import State

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A network's values and modes; none of them shares memory with it.

    Attributes:
        tensors: parameters and buffers, also those that no state dict has, on the CPU.
        trainable: which parameters have requires_grad.
        training: which of its modules are in training mode.
    """

    tensors: State
    trainable: dict[str, bool]
    training: dict[str, bool]

    def restore(self, network: nn.Module) -> None:
        """Bring the network back, in place, without gradients: what an optimiser is over stays what it is over.

        Raises:
            UsageError: it has other parameters or buffers now.
        """
        own = _tensors(network)
        for name in [*self.tensors, *own]:
            if name not in own or name not in self.tensors or own[name].shape != self.tensors[name].shape:
                raise UsageError(
                    f"{name!r} is not what it was when the training loop began: the network has changed.",
                    "make all parameters and buffers before, by one forward pass where they are made in it",
                )
        with torch.no_grad():
            for name, values in self.tensors.items():
                own[name].copy_(values)
        for name, parameter in network.named_parameters(remove_duplicate=False):
            parameter.grad = None
            parameter.requires_grad_(self.trainable[name])
        for name, module in network.named_modules(remove_duplicate=False):
            module.training = self.training.get(name, module.training)


def moment_of(network: nn.Module) -> Moment:
    """What the network is now."""
    return Moment(
        {name: tensor.detach().cpu().clone() for name, tensor in _tensors(network).items()},
        {name: p.requires_grad for name, p in network.named_parameters(remove_duplicate=False)},
        {name: module.training for name, module in network.named_modules(remove_duplicate=False)},
    )


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    parameters = network.named_parameters(remove_duplicate=False)
    return {**dict(parameters), **dict(network.named_buffers(remove_duplicate=False))}


@dataclass(slots=True, eq=False)
class Steps:
    """The steps that optimisers make over a network in one round, and what it was after some of them.

    Attributes:
        network: whose.
        made: how many each parameter has had, by its id, counted on from the step that the round begins at.
        rewind_to: the step that is kept whole.
        keep: the steps of which weights are kept.
        moment: the network after step `rewind_to`, once that is made.
        weights: its state dict after each step of `keep` that is made.
    """

    network: nn.Module
    made: Counter[int]
    rewind_to: int
    keep: frozenset[int]
    moment: Moment | None = None
    weights: dict[int, State] = field(default_factory=dict)

    def note(self, optimiser: torch.optim.Optimizer, *_: Any) -> None:
        """Take note of a step; a hook of all optimisers.

        Two optimisers over a part of the network each make an iteration together: the later one's step is what is kept.
        """
        if not is_over(optimiser, self.network):
            return
        moved = {id(p) for group in optimiser.param_groups for p in group["params"]}
        self.made.update(moved & {id(p) for p in self.network.parameters()})
        step = max(self.made[p] for p in moved)
        if step == self.rewind_to:
            self.moment = moment_of(self.network)
        if step in self.keep:
            self.weights[step] = state_of(self.network)

    def rewound(self) -> Moment:
        """The network after step `rewind_to`.

        Raises:
            UsageError: that was not made.
        """
        if self.moment is None:
            raise UsageError(
                f"step {self.rewind_to} is to be gone back to, and torch's optimisers have made"
                f" {max(self.made.values())} over this network.",
                "rewind_to= an earlier step",
            )
        return self.moment


class Watch:
    """Follows a loop of somebody's own over its rounds, by hooks on all optimisers.

    Args:
        network: that it trains.
        rewind_to: see `Steps`.
        keep: see `Steps`.
    """

    def __init__(self, network: nn.Module, rewind_to: int, keep: frozenset[int]) -> None:
        self._network = network
        self._rewind_to = rewind_to
        self._keep = keep
        self._before: WeakSet[torch.optim.Optimizer] = WeakSet()

    @contextmanager
    def round(self, first: int) -> Iterator[Steps]:
        """A round in which steps count on from `first`; the hooks are gone afterwards, whatever happens."""
        begun = Counter({id(p): first for p in self._network.parameters()})
        steps = Steps(self._network, begun, self._rewind_to, self._keep)
        now: WeakSet[torch.optim.Optimizer] = WeakSet()

        def begins(optimiser: torch.optim.Optimizer, *_: Any) -> None:
            if optimiser not in now and is_over(optimiser, self._network):
                self._check(optimiser)
                now.add(optimiser)

        hooks = [register_optimizer_step_pre_hook(begins), register_optimizer_step_post_hook(steps.note)]
        try:
            yield steps
        finally:
            for hook in hooks:
                hook.remove()
            self._before |= now

    def _check(self, optimiser: torch.optim.Optimizer) -> None:
        """Say so where an optimiser brings moments of the round before; who rewinds to a step may have loaded that one's."""
        if optimiser in self._before and not self._rewind_to and any(map(len, optimiser.state.values())):
            log.warning(
                "%s still has the moments of the round before: make the optimiser inside the training loop",
                type(optimiser).__name__,
            )

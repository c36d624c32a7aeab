"""A network whose values are masked by scores: masks out of scores, gradients straight through to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call

from ltsm.core.learned import METHODS
from ltsm.core.mask_training import MASK, SAMPLE, SCORES
from ltsm.core.streams import uniform
from ltsm.library.evaluation import device_of
from ltsm.library.ranking import pooled, split
from ltsm.library.weights import state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ltsm.core.streams import Purpose
    from ltsm.library.masked import Making
    from ltsm.library.weights import State
    from ltsm.studies.recipe import Learned


class Scored(nn.Module):
    """A copy of the caller's network under a mask that its scores make anew at every step.

    Its only parameter is the vector of the scores (n,), layer by layer; no value of the network ever moves.

    Args:
        network: the copy, whose forward pass and buffers are used.
        making: what the mask covers, and what kept values become.
        learned: the method and its settings.
        seed: of the first scores, and of what is drawn.
    """

    def __init__(self, network: nn.Module, making: Making, learned: Learned, seed: int) -> None:
        super().__init__()
        self.iteration = 0
        # In a list it is no part of this module: scores are all that can be trained.
        self._network = [network]
        self._making, self._learned, self._seed = making, learned, seed
        self._method = METHODS[learned.method]
        self._names, self._layers = making.layout()
        dense, device = making.dense(), device_of(network)
        self._values = [dense[name].to(device) for name in self._names]
        drawn = self._draws(SCORES)
        first = [self._method.first(drawn[part.parameters], part.inputs) for part in self._layers]
        self.scores = nn.Parameter(torch.cat(first).to(device))

    @property
    def sampled(self) -> bool:
        """Whether masks are drawn."""
        return self._method.sampled

    @property
    def network(self) -> nn.Module:
        """The copy."""
        return self._network[0]

    def forward(self, images: Tensor) -> Any:
        """The network's outputs under this step's mask."""
        flags = self._flags(MASK, self.iteration)
        mask: Tensor = _Straight.apply(flags, self.scores, self._method.slope)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return functional_call(self.network, self._rest() | self._masked(mask), (images,))

    def scores_by_name(self) -> State:
        """Scores (…) of each covered parameter, on the CPU, under all its names."""
        return self._by_name(self.scores.detach().cpu())

    def density(self) -> float:
        """The share of the covered parameters that the mask keeps."""
        return float(self._flags().float().mean())

    def state(self, sample: int | None = None) -> State:
        """Copies of all that the network computes with, under the mask that is learned so far, or under one drawn of it."""
        flags = self._flags() if sample is None else self._flags(SAMPLE, self.iteration, sample)
        buffers = {name: t.clone() for name, t in self.network.named_buffers()}
        return buffers | self._rest() | self._masked(flags.float())

    def whole_state(self) -> State:
        """The state dict on the CPU under the mask that is learned so far, each parameter under all its names."""
        flags = self._flags()
        masked = pooled(self._masked(flags.float()).values()).where(flags, 0.0)  # a product leaves -0.0
        now = state_of(self.network)
        buffers = {name: now[name] for name, _ in self.network.named_buffers() if name in now}
        return self._making.start | buffers | self._by_name(masked.cpu())

    def _flags(self, *purpose: Purpose) -> Tensor:
        """(n,) bool: what is kept by a draw of that name; without one, or where none is drawn, by the scores alone."""
        scores = self.scores.detach()
        drawn = self._draws(*purpose).to(scores.device) if purpose and self._method.sampled else None
        found = torch.empty_like(scores, dtype=torch.bool)
        for part in self._layers:
            own = part.parameters
            found[own] = self._method.mask(
                scores[own], self._learned.keep, None if drawn is None else drawn[own]
            )
        return found

    def _masked(self, mask: Tensor) -> State:
        """Covered values by their first names under a mask (n,) of 0 and 1."""
        scaled = mask
        if self._learned.rescale:
            scaled = mask.clone()
            for part in self._layers:
                scaled[part.weight] = mask[part.weight] * self._factor(mask[part.weight])
        parts = split(scaled, self._values)
        return {
            name: values * part.to(values.dtype)
            for name, values, part in zip(self._names, self._values, parts, strict=True)
        }

    def _factor(self, mask: Tensor) -> Tensor:
        """By which a layer's kept weights are multiplied; a layer that keeps nothing counts as keeping one."""
        share = mask.sum().clamp(min=1) / max(1, len(mask))
        return (share if self._method.through else share.detach()) ** self._method.power

    def _rest(self) -> State:
        """Copies of the values that no mask covers, which a forward pass may write to."""
        own = self.network.named_parameters()
        return {name: p.detach().clone() for name, p in own if name not in self._names}

    def _draws(self, *purpose: Purpose) -> Tensor:
        return torch.from_numpy(uniform(self._seed, *purpose, count=sum(t.numel() for t in self._values)))

    def _by_name(self, flat: Tensor) -> State:
        covered = self._making.covered
        found = dict(zip(self._names, split(flat, self._values), strict=True))
        return {name: found[covered.shared.get(name, name)].clone() for name in covered.masked}


class _Straight(torch.autograd.Function):
    """A mask of 0 and 1, exactly, whose gradient goes straight through to scores, times a slope (Bengio et al., 2013)."""

    @staticmethod
    def forward(ctx: Any, flags: Tensor, scores: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(scores)
        ctx.slope = slope
        return flags.float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        (scores,) = ctx.saved_tensors
        return None, gradient * ctx.slope(scores), None

"""What `ltsm benchmark --learn` compares: a loop that trains masks as people write it in PyTorch, and our engines."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ltsm.bench.contestants import CarefulLoop
from ltsm.core.learned import kept_of
from ltsm.core.mask_state import fresh_mask_state
from ltsm.core.mask_training import first_scores, mask_of, masked
from ltsm.core.network import initial_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ltsm.bench.contestants import Kind
    from ltsm.core.datasets import Dataset
    from ltsm.core.engine import Engine
    from ltsm.core.mask_engine import MaskEngine
    from ltsm.core.mask_training import Course
    from ltsm.core.network import Network
    from ltsm.core.records import Evaluation
    from ltsm.studies.recipe import Learned


class _Through(torch.autograd.Function):
    """A mask whose gradient goes straight through to what it is made of."""

    @staticmethod
    def forward(_context: Any, soft: Tensor, hard: Tensor) -> Tensor:
        return hard.to(soft.dtype)

    @staticmethod
    def backward(_context: Any, *gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[0], None


def _drawn(scores: Tensor, _keep: float) -> tuple[Tensor, Tensor]:
    soft = scores.sigmoid()
    return soft, torch.rand_like(soft) < soft


def _ranked(scores: Tensor, keep: float) -> tuple[Tensor, Tensor]:
    """By the threshold that leaves so many: several times as fast as the authors' sorting."""
    soft = scores.abs()
    flat = soft.detach().flatten()
    return soft, soft >= flat.kthvalue(1 + len(flat) - kept_of(len(flat), keep)).values


_MASKS: dict[str, Callable[[Tensor, float], tuple[Tensor, Tensor]]] = {
    "bernoulli": _drawn,
    "edge_popup": _ranked,
}


class MaskedLinear(nn.Linear):
    """A layer whose weight stays as it is, and whose mask is trained."""

    def __init__(self, inputs: int, outputs: int, learned: Learned, device: str) -> None:
        super().__init__(inputs, outputs, device=device)
        self._learned = learned
        drawn = torch.rand_like(self.weight) * 2 - 1
        first = torch.zeros_like(drawn) if learned.method == "bernoulli" else drawn / math.sqrt(inputs)
        self.scores = nn.Parameter(first)
        for fixed in (self.weight, self.bias):
            fixed.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """What the layer makes of images with a mask of its own."""
        soft, hard = _MASKS[self._learned.method](self.scores, self._learned.keep)
        mask = _Through.apply(soft, hard)  # type: ignore[no-untyped-call]  # torch's
        return nn.functional.linear(images, self.weight * mask, self.bias)


class CarefulMaskLoop(CarefulLoop):
    """The careful loop, with masked layers and the fused SGD, in shuffled order; it evaluates a mask that is drawn.

    Args:
        data: is put on the device whole.
        network: what to mask; without rescaling.
        learned: the method and its settings.
        device: where to compute.
    """

    def __init__(self, data: Dataset, network: Network, learned: Learned, device: str) -> None:
        layers = [MaskedLinear(one.inputs, one.outputs, learned, device) for one in network.layers]
        made = nn.Sequential(*list(chain.from_iterable((one, nn.ReLU()) for one in layers))[:-1])
        sgd = torch.optim.SGD(
            [one.scores for one in layers],
            lr=learned.lr,
            momentum=learned.momentum,
            weight_decay=learned.decay,
            fused=True,
        )
        self._begin(data, device, 1, learned.batch_size, "shuffled", made, sgd)


class OurMasks:
    """One of this program's engines for masks.

    Args:
        engine: not loaded yet.
        judge: evaluates networks.
        network: what to mask.
        course: the method and its settings.
    """

    kind: Kind = "ltsm"
    threads = models = 1

    def __init__(self, engine: MaskEngine, judge: Engine, network: Network, course: Course) -> None:
        self.name = f"ltsm {engine.name}"
        self._engine, self._judge, self._learned, self._iteration = engine, judge, course.learned, 0
        scores = first_scores(network, course.learned, 0)
        engine.load(fresh_mask_state(network, 0, initial_values(network, 0, "benchmark"), scores))

    def train(self, iterations: int) -> None:
        """Go on by so many iterations."""
        self._iteration += iterations
        self._engine.train(self._iteration)

    def evaluate(self) -> Evaluation:
        """Loss and accuracy on the validation set, of the mask that stands for all that could be drawn."""
        state = self._engine.state()
        mask = mask_of(state.network, self._learned, state.scores)
        return self._judge.evaluate_parameters(masked(state.network, self._learned, state.values, mask)[None])

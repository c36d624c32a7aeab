"""The engine that trains masks of every network, on every device: PyTorch's own operators, no autograd."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ltsm.core.backprop import Backprop
from ltsm.core.draws import draws
from ltsm.core.mask_training import factors, mask_of, rescaled, scored
from ltsm.core.torch_engine import denormals_as_zero, resident

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.datasets import Dataset
    from ltsm.core.mask_state import MaskState
    from ltsm.core.mask_training import Course
    from ltsm.core.network import Layer, Network


class TorchMaskEngine:
    """See `ltsm.core.mask_engine.MaskEngine`."""

    name: str = "torch-mask"

    def __init__(self, data: Dataset, network: Network, course: Course, device: str) -> None:
        self._data, self._network, self._course = resident(data, device), network, course
        self._device = torch.device(device)
        self._effective = torch.zeros(network.parameters, device=device)
        self._gradient = torch.zeros(network.parameters, device=device)
        self._passes: dict[int, Backprop] = {}
        self._order: tuple[tuple[int, int], Tensor] | None = None

    @classmethod
    def refusal(cls, data: Dataset, network: Network, course: Course, device: str) -> str:
        """Empty: it serves everything."""
        del data, network, course, device
        return ""

    def load(self, state: MaskState) -> None:
        """Take over copies of the state's tensors."""
        self._loaded, self._iteration = state, state.iteration
        tensors = (state.values, state.scores, state.momentum)
        self._values, self._scores, self._momentum = (t.to(self._device, copy=True) for t in tensors)

    @torch.no_grad()
    def train(self, until: int) -> float:
        """Go on to iteration `until`; the mean training loss of the iterations made, each of the mask it was made with."""
        first, total = self._iteration, torch.zeros((), dtype=torch.float64, device=self._device)
        with denormals_as_zero():
            while self._iteration < until:
                total += self._step()
                self._iteration += 1
        return float(total) / (until - first) if until > first else float("nan")

    def state(self) -> MaskState:
        """The state as it is, in memory of its own, on the CPU."""
        scores, momentum = (t.to("cpu", copy=True) for t in (self._scores, self._momentum))
        return replace(self._loaded, iteration=self._iteration, scores=scores, momentum=momentum)

    def _step(self) -> Tensor:
        """One step; the loss before it."""
        learned = self._course.learned
        mask = mask_of(self._network, learned, self._scores, self._drawn())
        by = factors(self._network, learned, mask)
        self._effective.copy_(rescaled(self._network, self._values.where(mask, 0.0), by))
        images, labels = self._batch()
        size = len(images)
        if size not in self._passes:
            self._passes[size] = Backprop(self._network, self._effective, self._gradient, size)
        loss = self._passes[size].loss(images, labels)
        rescaled(self._network, self._gradient.mul_(self._values), by)  # now it is by the mask
        for layer in self._network.layers:
            self._change(layer, mask)
        return loss

    def _drawn(self) -> Tensor | None:
        if not self._course.method.sampled:
            return None
        key = self._course.key(self._loaded.seed, self._iteration)
        return draws(self._network, key).to(self._device)

    def _change(self, layer: Layer, mask: Tensor) -> None:
        """SGD's step on a layer's scores: the gradient by its mask, straight through to the scores."""
        learned, method, part = self._course.learned, self._course.method, scored(layer, self._course.learned)
        if learned.rescale and method.through:
            weight, kept = self._gradient[layer.weight], mask[layer.weight]
            weight += weight[kept].sum() * (method.power / max(1, int(kept.sum())))
        scores, momentum = self._scores[part], self._momentum[part]
        step = self._gradient[part] * method.slope(scores) + learned.decay * scores
        momentum.mul_(learned.momentum).add_(step)
        scores.sub_(momentum, alpha=self._course.rate(self._iteration))

    def _batch(self) -> tuple[Tensor, Tensor]:
        """This iteration's images (batch, inputs) and labels (batch, 1)."""
        batches = self._course.batches
        chosen: slice | Tensor = batches.places(self._iteration)
        if self._course.order != "file":
            chosen = self._shuffled(batches.epoch(self._iteration))[chosen]
        return self._data.train_images[chosen], self._data.train_labels[chosen].unsqueeze(-1)

    def _shuffled(self, epoch: int) -> Tensor:
        """(images,) the epoch's order."""
        which = self._loaded.seed, epoch
        if self._order is None or self._order[0] != which:
            order = self._course.batches.epoch_order(*which)
            self._order = which, torch.as_tensor(order, device=self._device)
        return self._order[1]

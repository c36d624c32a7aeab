"""Which images make up which batch: a function of the iteration, and of the seed where order is shuffled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ltsm.core.streams import permutation

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ltsm.core.datasets import Dataset
    from ltsm.protocol import Order


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of a training set; an epoch's last one is smaller where they do not come out even.

    Iterations count from 0 here: the batch of iteration i is the one that takes training from i to i + 1.
    """

    images: int
    batch_size: int
    order: Order

    @property
    def per_epoch(self) -> int:
        """How many batches see every image once."""
        return -(-self.images // self.batch_size)

    def epoch(self, iteration: int) -> int:
        """The epoch, from 0, that an iteration belongs to."""
        return iteration // self.per_epoch

    def places(self, iteration: int) -> slice:
        """The batch's places in its epoch's order: with order "file", the images themselves."""
        start = iteration % self.per_epoch * self.batch_size
        return slice(start, min(start + self.batch_size, self.images))

    def epoch_order(self, seed: int, epoch: int) -> NDArray[np.int64] | None:
        """(images,) which image stands at each place of a shuffled epoch; None: file order."""
        return None if self.order == "file" else permutation(seed, "order", epoch, count=self.images)


class DeviceBatches:
    """The batches of models that are trained side by side.

    Every tensor that `next` and `last` read stays where it is, so that they can be part of a CUDA graph.

    Args:
        data: on the device already.
        batches: which images make up which batch.
        seeds: one per model.
        iteration: the one to begin with.

    Attributes:
        whole: how many batches of an epoch have the full size.
        rest: how many images the epoch's last batch has beside those; 0 where they come out even.
    """

    def __init__(self, data: Dataset, batches: Batches, seeds: tuple[int, ...], iteration: int) -> None:
        self.whole, self.rest = divmod(batches.images, batches.batch_size)
        self._data, self._batches, self._seeds = data, batches, seeds
        device, even = data.train_images.device, self.whole * batches.batch_size
        place = iteration % batches.per_epoch
        self._next = torch.full((1,), place if place < self.whole else 0, device=device)
        self._epoch = -1
        self._thread = ThreadPoolExecutor(1)
        self._coming: Future[Tensor] | None = None
        self._order = torch.arange(batches.images, device=device).repeat(
            1 if batches.order == "file" else len(seeds), 1
        )
        self._even = self._order[:, :even].view(len(self._order), self.whole, batches.batch_size)

    def prepare(self, iteration: int) -> None:
        """Bring the order of this iteration's epoch to the device, unless it is there or is the file's.

        That of the epoch after it is worked out meanwhile: a hundred orders take as long as half an epoch.
        """
        epoch = self._batches.epoch(iteration)
        if self._batches.order == "file" or epoch == self._epoch:
            return
        orders = (
            self._coming
            if self._coming and self._epoch == epoch - 1
            else self._thread.submit(self._orders, epoch)
        )
        self._order.copy_(orders.result())
        self._epoch, self._coming = epoch, self._thread.submit(self._orders, epoch + 1)

    def _orders(self, epoch: int) -> Tensor:
        """(models, images): each model's own order."""
        return torch.stack([torch.from_numpy(self._batches.epoch_order(seed, epoch)) for seed in self._seeds])

    def next(self) -> tuple[Tensor, Tensor]:
        """Images (models, batch, inputs) and labels (models, batch, 1) of the next whole batch; round and round."""
        chosen = self._even.index_select(1, self._next).squeeze(1)
        self._next.add_(1).remainder_(self.whole)
        return self._of(chosen)

    def last(self) -> tuple[Tensor, Tensor]:
        """The same of the epoch's last batch, which is smaller."""
        return self._of(self._order[:, self._order.shape[1] - self.rest :])

    def _of(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """The chosen (models or 1, batch) images and labels; one choice serves all models."""
        models = len(self._seeds)
        images, labels = self._data.train_images[chosen], self._data.train_labels[chosen].unsqueeze(-1)
        return images.expand(models, -1, -1), labels.expand(models, -1, -1)

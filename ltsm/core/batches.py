"""Which images make up which batch: a function of the iteration, and of the seed where order is shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.core.streams import permutation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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

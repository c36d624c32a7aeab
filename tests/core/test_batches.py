"""Which images are trained on when."""

from __future__ import annotations

import numpy as np
import pytest

from ltsm.core.batches import Batches


def test_in_file_order_batch_k_is_the_same_images_in_every_epoch() -> None:
    batches = Batches(60_000, 60, "file")
    assert batches.per_epoch == 1_000
    assert batches.places(0) == batches.places(19_000) == slice(0, 60)
    assert batches.places(7) == batches.places(1_007) == slice(420, 480)
    assert batches.epoch_order(3, 5) is None


def test_an_epochs_last_batch_is_smaller_where_they_do_not_come_out_even() -> None:
    batches = Batches(250, 60, "file")
    assert [batches.places(i) for i in (3, 4, 5)] == [slice(180, 240), slice(240, 250), slice(0, 60)]
    assert [batches.epoch(i) for i in (0, 4, 5, 9, 10)] == [0, 0, 1, 1, 2]


def test_a_batch_holds_no_more_images_than_there_are() -> None:
    assert [Batches(10, 60, "file").places(i) for i in range(2)] == [slice(0, 10)] * 2


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_a_shuffled_epoch_covers_each_image_once(epoch: int) -> None:
    batches = Batches(250, 60, "shuffled")
    order = batches.epoch_order(4, epoch)
    assert order is not None
    iterations = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
    seen = np.concatenate([order[batches.places(i)] for i in iterations])
    assert np.array_equal(np.sort(seen), np.arange(250))


def test_shuffled_orders_differ_by_seed_and_epoch() -> None:
    """(0, 1) is not (1, 0), as it is where the epoch is added to the seed."""
    assert Batches(8, 3, "shuffled").epoch_order(3, 7).tolist() == [5, 2, 6, 3, 4, 7, 0, 1], "as ever"
    batches = Batches(250, 60, "shuffled")
    orders = [batches.epoch_order(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert len({order.tobytes() for order in orders if order is not None}) == 9

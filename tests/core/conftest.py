from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ltsm.core import engine, sparse_library
from ltsm.core.datasets import Dataset
from ltsm.core.network import Network, initial_values
from ltsm.core.sparse_engine import SparseEngine, unavailable_reason
from ltsm.core.state import TrainState, fresh_state
from ltsm.core.streams import uniform
from ltsm.core.torch_engine import TorchEngine
from ltsm.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as every worker has: sums are then worked out in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def usual_kernel() -> None:
    """A command that another test has run in this process may have chosen one."""
    sparse_library.use(())


@pytest.fixture(params=["sparse", "torch"])
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both engines in turn; without this, data as sparse as the tests' would go to one alone."""
    if request.param == "sparse" and unavailable_reason():
        pytest.skip(unavailable_reason())
    engines = (SparseEngine, TorchEngine) if request.param == "sparse" else (TorchEngine,)
    monkeypatch.setattr(engine, "ENGINES", engines)


def invented_images(seed: int, count: int, features: int) -> torch.Tensor:
    """(count, features): like digits, most of a pixel's values are 0."""
    inked = uniform(seed, "pixels", count=count * features)
    images = np.maximum(0.0, 4 * inked - 3).astype(np.float32)
    return torch.from_numpy(images).view(count, features)


@pytest.fixture
def invented() -> Callable[[int, int, int], torch.Tensor]:
    """`invented_images`, for tests that want others than those of `data`."""
    return invented_images


@pytest.fixture
def data() -> Dataset:
    """250 images of 20 pixels in four classes that can be learned: the brightest quarter of the image."""
    images = invented_images(0, 250, 20)
    validation = invented_images(1, 90, 20)
    return Dataset(
        name="invented",
        train_images=images,
        train_labels=images.view(-1, 4, 5).sum(-1).argmax(-1),
        validation_images=validation,
        validation_labels=validation.view(-1, 4, 5).sum(-1).argmax(-1),
        classes=4,
        image_shape=(4, 5),
        digest="0" * 64,
    )


@pytest.fixture
def network() -> Network:
    return Network((20, 12, 7, 4))


@pytest.fixture
def protocol() -> Protocol:
    """Batches of 60 do not divide 250 images: every epoch's fifth batch is smaller."""
    return Protocol(name="test", hidden=(12, 7), batch_size=60, record_every=10)


@pytest.fixture
def state(network: Network) -> TrainState:
    """Three networks of seeds 0, 1 and 2; of their parameters two fifths, chosen at random, are kept."""
    initial = torch.stack([initial_values(network, seed, "test") for seed in range(3)])
    kept = [uniform(seed, "kept", count=network.parameters) < 0.4 for seed in range(3)]
    return fresh_state(network, (0, 1, 2), initial, torch.from_numpy(np.stack(kept)))

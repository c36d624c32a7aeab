"""What a worker does for a run: advance it by a segment. Bytes in, bytes out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ltsm.errors import DataError
from ltsm.store.values import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.core.engine import Engine
    from ltsm.core.images import RawData
    from ltsm.core.network import Network
    from ltsm.core.records import Record
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol
    from ltsm.store.values import MaskRow


RECORDS_PER_SEGMENT = 30
"""A segment lasts half a second to two, which a kill may cost and Ctrl-C may take. Ten made the driving process,
which flushes two files a segment, as busy as the workers: they waited for it a third of the time."""
RECORDS_PER_SEGMENT_ON_A_GPU = 100
"""For a lane of the paper's ten seeds; an estimate, not a measurement."""
SHORT_S = 0.25
"""A segment that took less is followed by one of twice as many records: those of the smallest networks, or of a record
at every iteration, take a tenth of the time in which their checkpoint is written. Where segments end changes no bits."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every call needs: the protocol, where its data lies, what the data must be, and where to compute.

    `digest` is the SHA-256 of the data that the protocol's other runs used; empty if there are none. `kernels` are
    variants of the CPU's kernel, of which the first is used that the processor runs; none of them: its best one.
    Segments that took less than `short` seconds are followed by longer ones.
    """

    protocol: Protocol
    data: Path
    digest: str = ""
    device: str = "cpu"
    kernels: tuple[str, ...] = ()
    short: float = SHORT_S

    @property
    def records_per_segment(self) -> int:
        """How many records a segment has."""
        return RECORDS_PER_SEGMENT if self.device == "cpu" else RECORDS_PER_SEGMENT_ON_A_GPU


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a segment, and which engine computed it.

    `weights` are the bytes of the weights file after it, where the run has ended or they are kept for others; `masks`
    and `relative_size` what a run has trained that trains its mask and has ended.
    """

    iteration: int
    metrics: tuple[Metric, ...]
    state: bytes
    weights: bytes
    ended: bool
    seconds: float
    engine: str
    masks: tuple[MaskRow, ...] = ()
    relative_size: float | None = None


def dataset(setup: Setup) -> Dataset:
    """The data, loaded once per process.

    Raises:
        DataError: it is missing, damaged, or not what the protocol's other runs used.
    """
    data, _ = _loaded(setup.protocol, setup.data)
    _check_digest(setup, data.digest)
    return data


def read_raw(setup: Setup) -> tuple[RawData, str]:
    """The data as published, which `hand_over` takes elsewhere, and its digest. Raises as `dataset`."""
    from ltsm.core import datasets

    protocol = setup.protocol
    sizes = {name: getattr(protocol, name) for name in ("train_size", "validation_size")}
    raw, digest = datasets.read_raw(protocol.dataset, setup.data, **sizes)
    _check_digest(setup, digest)
    return raw, digest


def _check_digest(setup: Setup, digest: str) -> None:
    if setup.digest not in {"", digest}:
        hint = "bring back the old data, or keep the new results apart with --store FILE"
        name = setup.protocol.dataset
        raise DataError(
            f"the data set {name} in {setup.data} is not the one that this store's runs used.", hint
        )


def test_set(setup: Setup) -> TestSet | None:
    """The images that select nothing, loaded with the others; None: there are none."""
    return _loaded(setup.protocol, setup.data)[1]


def hand_over(setup: Setup, raw: RawData) -> None:
    """Give this process the data, in place of what lies in the setup's folder. Raises as `dataset`."""
    _loaded.cache_clear()
    _handed_over.append(raw)
    dataset(setup)


_handed_over: list[RawData] = []


@lru_cache(maxsize=1)
def _loaded(protocol: Protocol, folder: Path) -> tuple[Dataset, TestSet | None]:
    import torch

    from ltsm.core.datasets import load_sets

    torch.set_num_threads(1)
    raw = _handed_over.pop() if _handed_over else None
    sizes = {name: getattr(protocol, name) for name in ("train_size", "validation_size", "held_out")}
    return load_sets(protocol.dataset, folder, raw=raw, pixels=protocol.pixels, **sizes)


def network(setup: Setup, hidden: tuple[int, ...]) -> Network:
    """The network with these hidden layers for the data at hand."""
    from ltsm.core.network import Network

    data = dataset(setup)
    return Network((data.train_images.shape[1], *hidden, data.classes), setup.protocol.activation)


def engine(setup: Setup, net: Network) -> Engine:
    """What trains and evaluates this network on the data at hand.

    Raises:
        UsageError: this machine has no such device.
    """
    from ltsm.core import sparse_library
    from ltsm.core.engine import choose_engine

    sparse_library.use(setup.kernels)
    return choose_engine(dataset(setup), net, setup.protocol, setup.device)


def train(setup: Setup, state: bytes, until: int, end: int, keep: bool = False) -> Trained:
    """Advance a run by a segment, to iteration `until`, with its records on the way; `end` is its last iteration.

    The record at iteration 0 belongs to the first segment. `keep` asks for the weights there.
    """
    from ltsm.core.state import unpack

    return train_together(setup, [unpack(state)], until, [end], keep=keep)[0]


def train_together(
    setup: Setup, states: Sequence[TrainState], until: int, ends: Sequence[int], *, keep: bool = False
) -> list[Trained]:
    """Advance runs of one shape, all at the same iteration, side by side; each is given its share of the time."""
    from ltsm.core.state import apart, side_by_side
    from ltsm.core.training import advance_by

    dataset(setup)  # loading is no training
    every, began = setup.protocol.record_every, time.perf_counter()
    chosen = engine(setup, states[0].network)
    after, records = advance_by(chosen, side_by_side(states), until, every, test_set(setup))
    how = ((time.perf_counter() - began) / len(states), chosen.name)
    return [
        _trained(alone, [_metric(record, model) for record in records], ends[model], keep, how)
        for model, alone in enumerate(apart(after))
    ]


def _trained(
    after: TrainState, metrics: Sequence[Metric], end: int, keep: bool, how: tuple[float, str]
) -> Trained:
    from ltsm.core.state import pack

    ended = after.iteration == end or not finite(metrics)
    weights = weights_file(after.network, after.parameters[0]) if ended or keep else b""
    return Trained(after.iteration, tuple(metrics), pack(after), weights, ended, *how)


def _metric(record: Record, model: int) -> Metric:
    tested = [values[model] for values in (record.test_loss, record.test_accuracy) if values]
    return Metric(
        record.iteration,
        record.train_loss[model],
        record.val_loss[model],
        record.val_accuracy[model],
        *tested,
    )


def finite(metrics: Sequence[Metric]) -> bool:
    """Whether the last record's loss is a number: once it is not, no later one will be."""
    return not metrics or metrics[-1].val_loss < float("inf")


def weights_file(net: Network, parameters: Tensor) -> bytes:
    """The bytes of a safetensors file that torch.nn.Sequential loads as its state dictionary."""
    from safetensors.torch import save

    from ltsm.core.network import named_tensors

    return save({name: tensor.contiguous() for name, tensor in named_tensors(net, parameters).items()})


def read_weights(net: Network, content: bytes) -> Tensor:
    """The flat parameters (parameters,) that `weights_file` wrote.

    Raises:
        StoreError: they are not this network's.
    """
    from safetensors.torch import load

    from ltsm.core.network import flat_parameters

    return flat_parameters(net, load(content))

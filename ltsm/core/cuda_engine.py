"""The engine for GPUs: all models side by side, all data on the device, and iterations recorded as CUDA graphs.

A network of the paper's size asks little of a GPU: what takes the time is the launching of some forty small
kernels an iteration, and any wait of the host for the device. So one launch replays twenty iterations, which
find their batches by a counter on the device, and the host reads one sum of losses per record.
`python -m ltsm.bench.gpu` checks and times it.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from ltsm.core.backprop import Backprop
from ltsm.core.batches import Batches, DeviceBatches
from ltsm.core.cuda_adam import CudaAdam
from ltsm.core.records import Evaluation
from ltsm.core.state import later
from ltsm.core.torch_engine import evaluated, judged, resident

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from torch import Tensor

    from ltsm.core.datasets import Dataset, TestSet
    from ltsm.core.network import Network
    from ltsm.core.state import TrainState
    from ltsm.protocol import Protocol

_RECORDING = threading.Lock()
"""Recording begins with a wait for the whole device, which is an error while another thread records."""


def own_stream(device: torch.device) -> AbstractContextManager[object]:
    """A new stream, to be entered as often as one likes; on a device that has none, nothing."""
    if device.type != "cuda":
        return nullcontext()
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch annotates no __new__
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)


def as_graph(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """The step, to be called as often as one likes: recorded where the device is a GPU, itself elsewhere.

    Every tensor that the step reads and leaves behind must stay where it is between the calls.
    """
    return _Graph(step, device) if device.type == "cuda" else step


class _Graph:
    """A step that runs as usual at its first call, which makes cuBLAS and the allocator ready, and then as a graph.

    Recorded at the second call: a step that is called once is never recorded.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self._step, self._device = step, device
        self._stream: torch.cuda.Stream | None = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch annotates no __new__
            self._run_on(self._stream)
            return
        if self._graph is None:
            self._graph = self._recorded(self._stream)
        self._graph.replay()

    def _run_on(self, stream: torch.cuda.Stream) -> None:
        """Run the step on the stream that will record it, in its turn among everything else."""
        usual = torch.cuda.current_stream(self._device)
        stream.wait_stream(usual)
        with torch.cuda.stream(stream):
            self._step()
        usual.wait_stream(stream)

    def _recorded(self, stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
        """The graph of a step; nothing is computed meanwhile."""
        graph = torch.cuda.CUDAGraph()
        with _RECORDING, torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self._step()
        return graph


RECORDED = 20
"""Iterations in the longer of the two graphs; divides the paper's 100 between two records."""


class CudaEngine:
    """See `ltsm.core.engine.Engine`.

    A model's bits may depend on how many stand beside it, as those of matrix products on a GPU do. Every engine has a
    stream of its own: several, each called by a thread of its own, fill a GPU better than one.
    """

    name: str = "cuda"

    def __init__(self, data: Dataset, network: Network, protocol: Protocol, device: str) -> None:
        self._data = resident(data, device)
        self._network, self._protocol = network, protocol
        self._device = torch.device(device)
        self._stream = own_stream(self._device)
        self._loaded: TrainState | None = None
        self._lane: _Lane | None = None

    @classmethod
    def refusal(cls, data: Dataset, network: Network, protocol: Protocol, device: str) -> str:
        """Why another engine should serve this case, in words for a person; empty where this one should."""
        del data, network
        if device.partition(":")[0] != "cuda":
            return f"It runs on GPUs that speak CUDA, not on {device}."
        # an infinite second moment says what is pruned, and 0 · ∞ is no number
        return "It serves no beta2 of 0." if np.float32(protocol.beta2) == 0 else ""

    @torch.no_grad()
    def load(self, state: TrainState) -> None:
        """Take over copies of the state's tensors."""
        with self._stream:
            self._loaded, self._lane = state, _Lane(self._data, self._protocol, state, self._device)

    @torch.no_grad()
    def train(self, until: int) -> tuple[float, ...]:
        """Go on to iteration `until`; the mean training loss of the iterations made, one per model."""
        lane = self._ready()
        made = until - lane.iteration
        with self._stream:
            return _values(lane.train(until) / made)

    def evaluate(self, on: TestSet | None = None) -> Evaluation:
        """Loss and accuracy of the models as they are, on the validation set or `on` a test set."""
        return self.evaluate_parameters(self._ready().adam.parameters, on)

    @torch.no_grad()
    def evaluate_parameters(self, parameters: Tensor, on: TestSet | None = None) -> Evaluation:
        """The same of any parameters (models, P) of the network's shape."""
        with self._stream:
            images, labels = judged(self._data, on, str(self._device))
            loss, accuracy = evaluated(self._network, parameters.to(self._device), images, labels)
            return Evaluation(_values(loss), _values(accuracy))

    def state(self) -> TrainState:
        """The models as they are, in memory of their own, on the CPU."""
        lane = self._ready()
        assert self._loaded is not None  # noqa: S101 - there is a lane
        adam = lane.adam
        with self._stream:
            tensors = [
                one.to("cpu", copy=True) for one in (adam.parameters, adam.first_moment, adam.second_moment)
            ]
        return later(self._loaded, lane.iteration, tensors)

    def _ready(self) -> _Lane:
        if self._lane is None:
            raise RuntimeError("load() comes first")
        return self._lane


class _Lane:
    """Models side by side, in tensors that never move: a graph knows them by their addresses.

    Args:
        data: on the device already.
        protocol: learning rate, order and the like.
        state: where to start; its tensors are copied.
        device: where to compute.
    """

    def __init__(self, data: Dataset, protocol: Protocol, state: TrainState, device: torch.device) -> None:
        self.iteration = state.iteration
        self.adam = CudaAdam(state, protocol, device)
        self._plan = Batches(len(data.train_images), protocol.batch_size, protocol.order)
        self._batches = DeviceBatches(data, self._plan, state.seeds, state.iteration)
        self._losses = torch.zeros(len(state.seeds), dtype=torch.float64, device=device)
        sizes = (protocol.batch_size, self._batches.rest)
        self._passes = {
            size: Backprop(state.network, self.adam.parameters, self.adam.gradient, size)
            for size in sizes
            if 0 < size <= self._plan.images
        }
        self._one = as_graph(self._whole_batch, device)
        self._many = as_graph(self._whole_batches, device)
        self._rest = as_graph(lambda: self._step(*self._batches.last()), device)

    def train(self, until: int) -> Tensor:
        """(models,) float64: the sum of the losses of the iterations up to `until`. The host waits for none of them."""
        self._losses.zero_()
        while self.iteration < until:
            self._batches.prepare(self.iteration)
            self.iteration += self._stretch(until)
        return self._losses

    def _stretch(self, until: int) -> int:
        """Go on within this epoch, towards `until`; the number of iterations made."""
        left = self._batches.whole - self.iteration % self._plan.per_epoch
        if left == 0:
            self._rest()
            return 1
        iterations = min(until - self.iteration, left)
        for _ in range(iterations // RECORDED):
            self._many()
        for _ in range(iterations % RECORDED):
            self._one()
        return iterations

    def _whole_batch(self) -> None:
        self._step(*self._batches.next())

    def _whole_batches(self) -> None:
        for _ in range(RECORDED):
            self._whole_batch()

    def _step(self, images: Tensor, labels: Tensor) -> None:
        self._losses.add_(self._passes[images.shape[1]].loss(images, labels))
        self.adam.step()


def _values(tensor: Tensor) -> tuple[float, ...]:
    return tuple(tensor.tolist())

"""Steps as CUDA graphs: a launch by the host for each step, not for each of its kernels."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

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

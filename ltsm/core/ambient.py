"""Torch's state as the program around us has set it: in here it changes no result, and afterwards it is as before."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTOCAST = ("cpu", "cuda")
"""The kinds of devices whose autocast is switched off."""


@contextmanager
def own_state(seed: int = 0) -> Iterator[None]:
    """A block, or a decorated function, that computes as in a fresh process, on one thread.

    Set aside are the default type and device, autocast, gradient and inference mode, the precision of matrix
    products, the number of threads (on it hangs the order of sums) and the default generators of random numbers,
    which start from `seed`. What asks for deterministic algorithms is left as it is: here it changes no number.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    precision = torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, threads)
        stack.callback(torch.set_default_dtype, dtype)
        stack.callback(torch.set_float32_matmul_precision, precision)
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        for kind in AUTOCAST:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.device("cpu"))
        stack.enter_context(_generators(seed))
        yield


@contextmanager
def _generators(seed: int) -> Iterator[None]:
    """The default generators, from `seed` on; torch is not made to look for GPUs that nobody has used."""
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]  # torch leaves it untyped
    with torch.random.fork_rng(gpus):
        for generator in (torch.default_generator, *(torch.cuda.default_generators[i] for i in gpus)):
            generator.manual_seed(seed)
        yield

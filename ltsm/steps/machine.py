"""The machine: how many cores there are to use, what makes it slow now, and how fast it multiplies matrices."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ENOUGH_LOAD = 0.5
"""Load per core from which on other programs are in the way of a measurement."""
PRODUCT = {"cpu": 1_024}
"""Rows and columns of the matrices whose product shows the peak."""
LARGE_PRODUCT = 8_192


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """How many programs wanted a core in the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def slow_reasons(threads: int, device: str = "cpu") -> list[str]:
    """What would make numbers from this machine worse than they could be, each as a sentence.

    Args:
        threads: how many PyTorch was set to use at the start.
        device: where is computed.
    """
    import torch

    built_for_gpus = bool(torch.version.cuda or torch.version.hip)
    found = {
        f"PyTorch was set to {threads} threads on {cores()} cores: more threads than cores wait for each other "
        "(OMP_NUM_THREADS).": threads > cores(),
        f"The load was {load():.1f} on {cores()} cores at the start: other programs are using the machine.": load()
        > ENOUGH_LOAD * cores(),
        f"A limit on this container lets it use {_quota():.1f} of its {cores()} cores.": _quota() < cores(),
        "There is a GPU, and this PyTorch was built for the CPU alone: install one built for CUDA.": _nvidia()
        and not built_for_gpus,
        "There is a GPU, and this was measured on the CPU: --device cuda.": device == "cpu"
        and torch.cuda.is_available(),
    }
    return [sentence for sentence, holds in found.items() if holds]


def product_peak(device: str, seconds: float) -> float:
    """Floating-point operations a second of torch.mm on large float32 matrices, with the threads set now."""
    import torch

    size = PRODUCT.get(device, LARGE_PRODUCT)
    one, other, product = (torch.rand(size, size, device=device) for _ in range(3))

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(one, other, out=product)
        product[0, 0].item()

    return 2 * size**3 / seconds_each(multiply, seconds)


def seconds_each(call: Callable[[int], object], seconds: float) -> float:
    """Seconds that one of something takes, where `call` does as many as it is told.

    They are made in one go that fills about the time that is allowed; shorter ones before it find out how many.
    """
    count = 1
    while True:
        began = time.perf_counter()
        call(count)
        spent = time.perf_counter() - began
        if spent >= seconds / 2:
            return spent / count
        count = max(count + 1, int(count * min(10.0, seconds / max(spent, 1e-9))))


def peak_memory() -> int:
    """The most memory, in bytes, that this process has had so far."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # getrusage would count the process that this one was forked from
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _nvidia() -> bool:
    """Whether an NVIDIA driver is here, whatever PyTorch thinks of it."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def _quota() -> float:
    """How many cores' time a container's limit allows; infinite where there is none."""
    try:
        allowed, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if allowed == "max" else int(allowed) / int(period)

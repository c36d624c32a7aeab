"""How often each trial is made: by `make test` and CI in short, by `make torture` in full."""

import os

import pytest

COUNTS = {
    "kills": (40, 500),
    "kills of merges": (15, 200),
    "full disks under merges": (6, 100),
    "kills at each named point": (1, 10_000),
    "signals in the driver": (20, 100),
    "signals in the workers": (20, 100),
    "worker deaths": (10, 100),
    "rounds of eight sweeps": (20, 200),
    "rounds of sixteen openings": (5, 100),
    "sweeps with four readers": (1, 20),
    "writes that fail": (20, 100),
    "damages": (300, 10_000),
    "damaged stores": (100, 2_000),
    "data files": (500, 50_000),
    "command lines": (300, 8_000),
    "protocol files": (200, 12_000),
}
MADE = {}
"""How often each trial was made in this process, for the summary at the end."""


def tell(what, number):
    """Add to the numbers of the summary."""
    MADE[what] = MADE.get(what, 0) + number


def counted(name, shards=1):
    """Run a test in both sizes; it takes the number as `count`.

    In full in so many parts, each with its own random numbers, as one core runs a test. TORTURE=10 is ten times the
    short size in place of the full one.
    """
    short, full = COUNTS[name]
    if times := os.environ.get("TORTURE"):
        full = min(full, short * int(times))
    # Of unequal sizes: the size is the seed too.
    parts = [full // shards + 2 * n - (shards - 1) for n in range(shards)]
    sizes = [pytest.param(short, id="short")]
    for number, part in enumerate(parts, 1):
        label = f"full-{number}" if shards > 1 else "full"
        sizes.append(pytest.param(part, id=label, marks=pytest.mark.torture))
    return pytest.mark.parametrize("count", sizes)

"""How often each trial is made: by `make test` and CI in short, by `make torture` in full."""

import pytest

COUNTS = {
    "kills at each named point": (1, 10_000),
    "kills": (40, 500),
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
"""How often each trial was made in this process, for the summary."""


def tell(what, number):
    """Add to the numbers that the summary gives at the end."""
    MADE[what] = MADE.get(what, 0) + number


def counted(name, shards=1):
    """Run a test in both sizes; it takes the number as `count`."""
    short, full = COUNTS[name]
    sizes = [pytest.param(short, id="short"), pytest.param(full, id="full", marks=pytest.mark.torture)]
    return pytest.mark.parametrize("count", sizes)

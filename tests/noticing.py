"""How `make mutants` draws changes and runs tests: what notices a change soonest goes first.

    python tests/noticing.py 1000 1

names a thousand changes at random, of those that mutmut has made.
"""

import json
import os
import random
import sys
from functools import cache
from pathlib import Path

TOLD_BY = "MUTANT_UNDER_TEST"
QUICK = 0.2
"""Seconds: a test that takes longer waits for those that do not."""


def pytest_configure():
    # A worker that a test spawns would begin as this process did, with mutmut, which looks for its settings in the folder
    # that the test is in.
    vars(sys.modules["__main__"]).pop("__file__", None)
    # mutmut then goes by what it was told in this process. A process that a test starts in another folder would look
    # for its settings there, and what it counts nobody reads.
    if os.environ.get(TOLD_BY) == "stats":
        del os.environ[TOLD_BY]


def pytest_collection_modifyitems(items):
    """A change is done with at the first test that fails. The tests of a file stay together, which share fixtures."""
    seconds, room = _durations(), os.environ.get(TOLD_BY, "").split(".")[1:2]
    if seconds:
        items.sort(
            key=lambda i: (seconds.get(i.nodeid, 0) > QUICK, i.path.parent.name not in room, str(i.path))
        )


@cache
def _durations():
    """Seconds that each test took when calls were counted; nothing before that."""
    found = Path("mutmut-stats.json")
    return json.loads(found.read_text())["duration_by_test"] if found.exists() else {}


def drawn(count, seed):
    """So many changes' names, each as likely as any other."""
    made = Path("mutants", "ltsm").rglob("*.meta")
    names = sorted(name for path in made for name in json.loads(path.read_text())["exit_code_by_key"])
    return random.Random(seed).sample(names, count)  # noqa: S311 - no secret


if __name__ == "__main__":
    sys.stdout.write(" ".join(drawn(*map(int, sys.argv[1:]))))

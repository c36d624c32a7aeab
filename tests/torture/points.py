"""Every point between a file's write and its row's commit, named, so that the driving process can be killed there.

The program knows nothing of them: in the forked process what it calls is wrapped, step by step.
"""

import os
import re
import signal
from functools import partial
from pathlib import Path

from ltsm.steps import jobs
from ltsm.store import artifacts, claim, drop, merge, other, schema, seal, write

TRANSACTIONS = (
    *("add_protocol", "add_runs", "mark_interrupted", "begin", "go_on", "record", "stop", "reset", "rewind"),
    "rename_protocol",
)
DROPS = ("drop_files", "drop_runs", "restore_files")
BY_STATEMENT = ("migration", "taking", *DROPS)
"""Doing these, each statement is a point."""


A_STATEMENT = "a statement"


def at_every(reached):
    """Call `reached` with a point's name whenever the program comes to one."""
    doing = ["opening"]

    def wrap(owner, name, before="", after="", during=""):
        function = getattr(owner, name)

        def wrapped(*args, **kwargs):
            if during:
                doing.append(during)
            if before and (before != A_STATEMENT or doing[-1] in BY_STATEMENT):
                reached(f"{doing[-1]}: {before}")
            result = function(*args, **kwargs)
            if after:
                reached(f"{doing[-1]}: {after}")
            if during:
                doing.pop()
            return result

        setattr(owner, name, wrapped)

    _files(reached)
    for name in TRANSACTIONS:
        wrap(write, name, during=name)
    for name in DROPS:
        wrap(drop, name, during=name)
    wrap(drop, "compact", "before it is compacted", "compacted")
    wrap(jobs.Job, "commit", "a segment came back", "a segment is committed", during="segment")
    wrap(claim, "_sign", "the store is claimed", "the claim is signed")
    wrap(merge, "_take_rows", during="taking")
    wrap(other, "_copied", "another store to be copied", "another store copied")
    wrap(schema, "_upgrade", "to be migrated", "migrated", during="migration")
    wrap(schema, "backup", "to be copied first", "copied first")
    wrap(seal, "seal_all", "before the seals", "sealed")
    _commits(wrap)


def _commits(wrap):
    from sqlalchemy.engine.default import DefaultDialect

    wrap(DefaultDialect, "do_commit", "before the commit", "after the commit")
    wrap(DefaultDialect, "do_execute", A_STATEMENT)
    wrap(DefaultDialect, "do_executemany", A_STATEMENT)


def _files(reached):
    """The steps of `artifacts.write` and `remove`, named by the kind of file."""
    opened, replace, unlink, flush = Path.open, Path.replace, Path.unlink, artifacts.flush_folder
    last = [""]

    def open_(self, mode="r", *args, **kwargs):
        if "x" not in mode:
            return opened(self, mode, *args, **kwargs)
        last[0] = _kind(self)
        reached(f"{last[0]}: before the temporary file")
        return Halting(opened(self, mode, *args, **kwargs), partial(reached, f"{last[0]}: half written"))

    def replace_(self, target):
        reached(f"{_kind(target)}: written, not renamed")
        found = replace(self, target)
        reached(f"{_kind(target)}: renamed")
        return found

    def unlink_(self, missing_ok=False):
        if "partial" in self.name or self.parent.name == "results":
            return unlink(self, missing_ok=missing_ok)
        reached(f"{_kind(self)}: before it is deleted")
        unlink(self, missing_ok=missing_ok)
        reached(f"{_kind(self)}: deleted")
        return None

    def flush_(folder):
        flush(folder)
        reached(f"{last[0]}: its folder flushed")

    Path.open, Path.replace, Path.unlink, artifacts.flush_folder = open_, replace_, unlink_, flush_


class Halting:
    """A file whose writes have a middle."""

    def __init__(self, file, reached):
        self._file, self._reached = file, reached

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)

    def write(self, content):
        self._file.write(content[: len(content) // 2])
        self._file.flush()
        self._reached()
        return self._file.write(content[len(content) // 2 :])


def _kind(path):
    """`checkpoint` for .checkpoint-100.safetensors.partial."""
    return re.match(r"\.?([a-z]+)", Path(path).name)[1]


def noted(report):
    """Write the name of every point of this process to a file, in order."""
    file = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    at_every(lambda point: os.write(file, f"{point}\n".encode()))


def killed_at(number):
    """Kill this process, without a warning, at its point of this number."""
    left = iter(range(number))

    def reached(_point):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    at_every(reached)

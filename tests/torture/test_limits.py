"""What the system does not allow: a sentence, and nothing lost."""

import errno
import os
import subprocess
import sys

import pytest
from torture.oracle import check_if_any, finish

from ltsm.cli import surroundings


def under(limit, program, *arguments):
    """The program as a shell starts it, with this `ulimit`."""
    command = f'ulimit {limit} && exec "$@"'
    words = ["bash", "-c", command, "-", sys.executable, "-m", "ltsm", *arguments]
    return subprocess.run(
        words,
        check=False,
        cwd=program.folder,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )


@pytest.mark.parametrize("files", [6, 8, 10, 12, 14, 16, 18])
def test_with_few_open_files_a_sweep_ends_or_says_so(ltsm, undisturbed, files):
    """Taken out: `surroundings.met`; "OSError: [Errno 24] Too many open files" and a traceback, from 8 to 16."""
    done = under(f"-n {files}", ltsm, "sweep", "--protocol", "small.toml", "--jobs", "1")
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in {0, 1, 3}, done.stderr
    assert done.returncode == 0 or "error: " in done.stderr
    check_if_any(ltsm.store)
    finish(ltsm, undisturbed)


def test_where_more_files_are_allowed_they_are_taken(ltsm):
    """The shell's soft limit alone stops nobody. Taken out: `raise_files`; ten workers needed more than 16 files."""
    done = under("-S -n 16", ltsm, "sweep", "--protocol", "small.toml", "--jobs", "2")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "open more files"),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), "open more files"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "start more processes"),
        (RuntimeError("can't start new thread"), "start more processes"),
        (MemoryError(), "take more memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "take more memory"),
    ],
)
def test_each_limit_is_named(error, words):
    assert words in surroundings.met(error).message


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), RuntimeError("a fault of ours")])
def test_other_errors_are_no_limits(error):
    assert surroundings.met(error) is None

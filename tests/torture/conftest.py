"""What the trials share: the program in processes that start at once, and a sweep to compare with."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import pytest
from small import results
from torture.counts import MADE
from torture.program import Program

COUNTED = {}
"""What all processes that run tests have told of their trials."""


@pytest.fixture(autouse=True)
def _counted(request):
    """Send with the test's report how often it made which trial."""
    MADE.clear()
    yield
    request.node.user_properties.append(("trials", dict(MADE)))


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        for what, number in dict(report.user_properties).get("trials", {}).items():
            COUNTED[what] = COUNTED.get(what, 0) + number


def pytest_terminal_summary(terminalreporter):
    """The numbers for docs/reliability.md."""
    if COUNTED:
        terminalreporter.section("trials, all of which ended as they should")
        for what, number in sorted(COUNTED.items()):
            terminalreporter.write_line(f"{number:>8,} {what}")


@pytest.fixture(scope="session")
def context(tmp_path_factory):
    """A server that has imported torch and forks: a process costs milliseconds, not seconds."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["torture.warm"])
    with pytest.MonkeyPatch.context() as patched:
        if shim := compiled(tmp_path_factory.mktemp("shim")):
            patched.setenv("LD_PRELOAD", str(shim))
            os.environ["LTSM_FULL_DISK"] = str(shim)
        patched.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        forkserver.ensure_running()
    # One that died would be started again without all this, and the trials would be others: let them fail instead.
    forkserver._forkserver.ensure_running = lambda: None
    return found


def compiled(folder):
    """The disk that fills up on command, where there is a compiler to make it."""
    source, shim = Path(__file__).with_name("full_disk.c"), folder / "full_disk.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-w", "-o", shim, source, "-ldl"]
    if not sys.platform.startswith("linux") or not shutil.which("cc"):
        return None
    subprocess.run(command, check=True)
    return shim


@pytest.fixture
def ltsm(context, tmp_path):
    """Starts the program in an empty folder."""
    program = Program(context, tmp_path)
    yield program
    program.close()


@pytest.fixture(scope="session")
def undisturbed(context, tmp_path_factory):
    """The results of the small sweep that nothing disturbed."""
    program = Program(context, tmp_path_factory.mktemp("undisturbed"))
    assert program.sweep().ended() == 0, program.words
    yield results(program.store)
    program.close()


@pytest.fixture
def kept():
    """Copies a store of a past version, as it was written then, to a folder."""

    def copy(version, folder):
        shutil.copytree(Path(__file__).parents[1] / "store" / "schemas" / version, folder)
        return folder / "ltsm.db"

    return copy

"""`--workers dask://…` on a real scheduler and three real workers: the bits of one process, whatever becomes of whom."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small import TOML, results

from ltsm.core import sparse_library
from ltsm.errors import UsageError
from ltsm.store import read, schema
from ltsm.studies import paper

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own, of its threads and sockets

from clusters import Cluster  # noqa: E402 - it would fail without Dask

SILENT_S = 3
PROGRAM = f"""
from ltsm.steps import cluster
cluster.SILENT_S = {SILENT_S}
from ltsm.cli import main
main()
"""
LONG = """base = "paper"
name = "long"
dataset = "digits"
seeds = "0-2"
hidden = [100, 20]
initial_iterations = 60_000
iterations = 100
record_every = 1_000
hyperops = [[4, 3]]
"""
"""A segment of its initial training takes a second and more, in which something can happen."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


class Sweeps:
    """Sweeps of a protocol, each with a store of its own."""

    def __init__(self, folder, toml, *more):
        self.folder, self._more = folder, more
        (folder / "protocol.toml").write_text(toml)

    def command(self, name, *arguments):
        store = str(self.folder / name / "ltsm.db")
        common = ["--protocol", str(self.folder / "protocol.toml"), "--store", store]
        return [sys.executable, "-c", PROGRAM, "sweep", *common, *self._more, *arguments]

    def start(self, name, *arguments, **environment):
        return subprocess.Popen(
            self.command(name, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | environment,
        )

    def run(self, name, *arguments, code=0, **environment):
        process = self.start(name, *arguments, **environment)
        words = process.communicate(timeout=120)[0]
        assert process.returncode == code, words
        return words

    def results(self, name):
        return results(self.folder / name / "ltsm.db")

    def runs(self, name):
        """As stored now; none while there is no store."""
        path = self.folder / name / "ltsm.db"
        try:
            store = schema.open_for_reading(path)
        except Exception:
            return []
        try:
            return read.runs(store, alive=True)
        finally:
            store.close()

    def wait_for_a_running_one(self, name, process, iteration=0):
        """A run in the middle of a segment, at that iteration or later, and where it is computed."""
        while process.poll() is None:
            for run in self.runs(name):
                if run.state == "running" and run.iteration >= iteration and run.worker:
                    time.sleep(0.2)
                    return run
            time.sleep(0.02)
        raise AssertionError(process.communicate()[0])


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A small evaluation, computed in this machine's processes."""
    sweeps = Sweeps(tmp_path_factory.mktemp("short"), TOML)
    sweeps.run("local", "--jobs", "1")
    return sweeps


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    sweeps = Sweeps(tmp_path_factory.mktemp("long"), LONG, "--only", paper.INITIAL)
    sweeps.run("local", "--jobs", "1")
    return sweeps


def test_the_same_bits_and_where_they_were_computed(cluster, short):
    words = short.run("cluster", "--workers", cluster.address)
    assert f"{cluster.address}: 3 threads on 3 workers" in words
    assert len(words.splitlines()) == 2 * 6 + 2, words
    assert short.results("cluster") == short.results("local")
    runs = short.runs("cluster")
    assert {cluster.number(run.worker) for run in runs} == {1, 2, 3}
    assert all(run.provenance["processor"] for run in runs)
    assert [run.worker for run in short.runs("local")] == [""] * len(runs)


def test_one_step_is_computed_there_too(cluster, short, tmp_path):
    path = tmp_path / "ltsm.db"
    common = ["--protocol", str(short.folder / "protocol.toml"), "--store", str(path), "--seed", "1"]
    command = [sys.executable, "-c", PROGRAM, "train-ticket", *common, "--workers", cluster.address]
    subprocess.run(command, check=True, capture_output=True)
    found, expected = results(path), short.results("local")
    assert found == {key: expected[key] for key in found}
    assert len(found) == 4


def happens(cluster, what, number):
    """Something to a worker; how it is undone comes back."""
    if what == "killed":
        cluster.signal(number, signal.SIGKILL)
        return lambda: (cluster.end_worker(number), cluster.start_worker(number))
    if what == "stopped":
        cluster.signal(number, signal.SIGSTOP)
        return lambda: cluster.signal(number, signal.SIGCONT)
    if not cluster.network.own:
        pytest.skip("no network of its own can be made here")
    cluster.network.cut(number, off=True)
    return lambda: cluster.network.cut(number, off=False)


@pytest.mark.parametrize("what", ["killed", "stopped", "disconnected"])
def test_a_worker_that_is_lost_costs_its_segment(cluster, long, what):
    sweep = long.start(what, "--workers", cluster.address)
    run = long.wait_for_a_running_one(what, sweep)
    number = cluster.number(run.worker)
    undo = happens(cluster, what, number)
    try:
        words = sweep.communicate(timeout=60)[0]
    finally:
        undo()
        cluster.wait_for(3)
    assert sweep.returncode == 0, words
    assert long.results(what) == long.results("local")
    assert f"the worker {run.worker} " in words
    assert "It is tried again." in words
    (again,) = (r for r in long.runs(what) if r.id == run.id)
    assert cluster.number(again.worker) != number

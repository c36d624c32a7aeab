"""`--workers dask://…` on a real scheduler and three real workers: the bits of one process, whatever becomes of whom."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small import TOML, results

from ltsm.core import sparse_library
from ltsm.store import read, schema
from ltsm.studies import paper

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own, of its threads and sockets

from clusters import Cluster  # noqa: E402 - it would fail without Dask

SILENT_S = 3
# Whatever starts the tests in the background may have had it ignored.
PROGRAM = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
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
initial_iterations = 50_000
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


def test_the_data_is_sent_to_who_lacks_it(cluster, tmp_path):
    """It lies in a folder that one worker's machine does not have."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (300, 8, 8), dtype=np.uint8), np.arange(300) % 10
    np.savez(
        folder / "mine.npz",
        x_train=images[:250],
        y_train=labels[:250],
        x_val=images[250:],
        y_val=labels[250:],
    )
    sweeps = Sweeps(tmp_path, TOML, "--dataset", str(folder / "mine.npz"))
    sweeps.run("local", "--jobs", "2")
    cluster.start_worker(4, hidden=folder, threads=2)
    try:
        cluster.wait_for(4)
        sweeps.run("cluster", "--workers", cluster.address)
    finally:
        cluster.end_worker(4)
        cluster.wait_for(3)
    assert sweeps.results("cluster") == sweeps.results("local")
    assert {cluster.number(run.worker) for run in sweeps.runs("cluster")} == {1, 2, 3, 4}


def test_doctor_looks_at_a_cluster(cluster):
    command = ["doctor", "--workers", cluster.address, "--json"]
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command], check=True, capture_output=True, text=True
    )
    texts = {f["topic"]: f["text"] for f in json.loads(found.stdout)["findings"]}
    assert texts["cluster"] == f"{cluster.address}: 3 threads on 3 workers"
    assert texts["kernels"].endswith(" on 3 workers")
    assert "worker" not in texts


@pytest.mark.parametrize("address", ["localhost:8786", "dask://", "dask://host", "tcp://host:1"])
def test_what_is_no_address_is_refused(address, short):
    words = short.run("none", "--workers", address, code=2)
    assert "is no address of workers" in words


def test_without_the_extra_it_says_what_to_install(short):
    words = short.run(
        "none", "--workers", "dask://localhost:1", code=2, PYTHONPATH=without_dask(short.folder)
    )
    assert "pip install 'distributed>=2026.8'" in words


def without_dask(folder):
    """A folder for PYTHONPATH in which nothing finds distributed."""
    (folder / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'distributed' else find(name, *more)\n"
    )
    return str(folder)


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


def test_workers_come_and_go(cluster, long):
    """Without any it waits. Of those that come the threads are used; of other versions, or less able, they are not."""
    for number in (2, 3):
        cluster.end_worker(number)
    cluster.wait_for(1)
    sweep = long.start("joined", "--workers", cluster.address)
    first = long.wait_for_a_running_one("joined", sweep)
    cluster.signal(1, signal.SIGSTOP)
    try:
        cluster.start_worker(5, **other_version(cluster))
        cluster.start_worker(6, LTSM_KERNEL="torch")
        cluster.wait_for(3)
        cluster.start_worker(4, threads=2)
        words = sweep.communicate(timeout=60)[0]
    finally:
        cluster.signal(1, signal.SIGCONT)
        for number in (4, 5, 6):
            cluster.end_worker(number)
        for number in (2, 3):
            cluster.start_worker(number)
        cluster.wait_for(3)
    assert sweep.returncode == 0, words
    at = {run.seed: cluster.number(run.worker) for run in long.runs("joined") if run.recipe == paper.INITIAL}
    assert set(at.values()) <= {1, 4}
    assert at[first.seed] == 4
    assert f"the worker tcp://{cluster.host(5)}:" in words
    assert "has torch 9.9, and this machine " in words
    assert f"the worker tcp://{cluster.host(6)}:" in words
    assert "has no kernel" in words
    assert long.results("joined") == long.results("local")


def other_version(cluster):
    """The environment of a worker that has another torch, as far as its installation says."""
    folder = cluster.logs / "other" / "torch-9.9.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9\n")
    return {"PYTHONPATH": str(folder.parent)}


def test_a_worker_of_another_version_is_refused(cluster, short):
    cluster.start_worker(4, **other_version(cluster))
    try:
        cluster.wait_for(4)
        words = short.run("other version", "--workers", cluster.address, code=1)
    finally:
        cluster.end_worker(4)
        cluster.wait_for(3)
    assert f"error: the worker tcp://{cluster.host(4)}:" in words
    assert "has torch 9.9, and this machine " in words
    assert {run.state for run in short.runs("other version")} == {"pending"}


@pytest.mark.skipif(len(sparse_library.usable()) < 2, reason="this processor has one variant of the kernel")
def test_where_processors_differ_the_best_that_all_have_is_used(cluster, short):
    """And a run that another variant has begun keeps it, where the worker has that; else it says so."""
    best, other = reversed(sparse_library.usable()[-2:])
    short.run(other, "--jobs", "1", "--engine", other)
    cluster.start_worker(4, LTSM_KERNEL=other)
    try:
        cluster.wait_for(4)
        words = short.run("differ", "--workers", cluster.address)
        chosen = short.run("chosen", "--workers", cluster.address, "--engine", best, code=2)
    finally:
        cluster.end_worker(4)
        cluster.wait_for(3)
    assert f"are computed with {other}, which all workers have" in words
    assert short.results("differ") == short.results(other)
    assert {run.device for run in short.runs("differ")} == {f"sparse-{other}"}
    assert f"{cluster.host(4)}:" in chosen
    assert f"has no kernel {best}" in chosen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_driving_process_that_ends_leaves_nothing_and_is_gone_on_with(cluster, long, number):
    """After Ctrl-C the segments end, and killed or not, no task, value or process of its stays on the cluster."""
    name = f"signal {int(number)}"
    sweep = long.start(name, "--workers", cluster.address)
    long.wait_for_a_running_one(name, sweep, iteration=1)
    sweep.send_signal(number)
    words = sweep.communicate(timeout=60)[0]
    assert sweep.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number), words
    with cluster.client() as client:
        wait_until(lambda: not client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)))
    wait_until(lambda: not cluster.computing())
    states = {run.state for run in long.runs(name) if run.iteration}
    assert states <= ({"running", "done"} if number == signal.SIGKILL else {"interrupted", "done"})
    long.run(name, "--workers", cluster.address)
    assert long.results(name) == long.results("local")


def wait_until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_scheduler_that_dies_is_a_sentence(cluster, long):
    """And when it and its workers are there again, the same command goes on."""
    sweep = long.start("scheduler", "--workers", cluster.address)
    long.wait_for_a_running_one("scheduler", sweep, iteration=1)
    cluster.end_scheduler()
    words = sweep.communicate(timeout=60)[0]
    assert sweep.returncode == 1
    assert words.splitlines()[-2:] == [
        f"error: the scheduler at {cluster.address} is gone or out of reach; every finished segment is kept.",
        "next:  start it and its workers again, and type the same command",
    ]
    assert "Traceback" not in words
    before = {run.id: run.iteration for run in long.runs("scheduler")}
    nobody = long.run("scheduler", "--workers", cluster.address, code=1)
    assert f"no scheduler answers at {cluster.address}" in nobody
    for number in (1, 2, 3):
        cluster.end_worker(number)
    cluster.start_scheduler()
    for number in (1, 2, 3):
        cluster.start_worker(number)
    cluster.wait_for(3)
    words = long.run("scheduler", "--workers", cluster.address)
    assert max(before.values()) > 0
    assert "goes on from iteration" in words
    assert long.results("scheduler") == long.results("local")

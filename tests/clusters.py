"""A Dask scheduler and workers as real processes, each worker on a network of its own where that can be made."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

SCHEDULER, WORKER = "distributed.cli.dask_scheduler", "distributed.cli.dask_worker"
QUIET = ["--no-dashboard", "--protocol", "tcp"]


def can_make_networks():
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip")):
        return False
    name = f"ltsm-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    return (
        made
        and subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False).returncode == 0
    )


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """Addresses for the scheduler and for workers by their numbers; one that can be cut off has a network of its own."""

    def __init__(self):
        self.own = can_make_networks()
        self._tag, self._made = f"lt{os.getpid() % 100_000}", []
        self._net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}" if self.own else "127.0.1"
        self.scheduler = self.address(0) if self.own else "127.0.0.1"
        if self.own:
            ip("link", "add", self._tag, "type", "bridge")
            ip("addr", "add", f"{self.scheduler}/24", "dev", self._tag)
            ip("link", "set", self._tag, "up")

    def address(self, number):
        return f"{self._net}.{number + 1}"

    def inside(self, number):
        """What to write before a worker's command; its network is made when it is first asked for."""
        if not self.own:
            return []
        name = f"{self._tag}-{number}"
        if name not in self._made:
            self._made.append(name)
            ip("netns", "add", name)
            ip("link", "add", f"{self._tag}v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{self._tag}v{number}", "master", self._tag, "up")
            ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        return ["ip", "netns", "exec", name]

    def cut(self, number, *, off):
        ip("link", "set", f"{self._tag}v{number}", "down" if off else "up")

    def close(self):
        for name in self._made:
            ip("netns", "del", name)
        if self.own:
            ip("link", "del", self._tag)


class Cluster:
    """Started when it is made; `close` leaves nothing behind. `logs` is a folder."""

    def __init__(self, logs, workers=3):
        self.logs, self.network = Path(logs), Network()
        with socket.socket() as free:
            free.bind((self.network.scheduler, 0))
            self.port = free.getsockname()[1]
        self._scheduler, self._workers = None, {}
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self.start_scheduler()
            for number in range(1, workers + 1):
                self.start_worker(number)
            self.wait_for(workers)
            on_failure.pop_all()

    @property
    def address(self):
        return f"dask://{self.network.scheduler}:{self.port}"

    def host(self, number):
        return self.network.address(number)

    def number(self, address):
        """Of the worker at tcp://HOST:PORT."""
        return next(n for n in range(1, 10) if f"//{self.host(n)}:" in address)

    def computing(self):
        """The processes in which workers compute."""
        found = subprocess.run(["ps", "-eo", "sid,args"], capture_output=True, text=True, check=True).stdout
        sessions = {str(worker.pid) for worker in self._workers.values()}
        lines = [line.split(None, 1) for line in found.splitlines()]
        return [line for line in lines if line[0] in sessions and "spawn_main" in line[1]]

    def start_scheduler(self):
        where = ["--host", self.network.scheduler, "--port", str(self.port)]
        self._scheduler = self._start("scheduler", [sys.executable, "-m", SCHEDULER, *where, *QUIET])

    def start_worker(self, number, threads=1, hidden=None, **environment):
        """`hidden` is a folder that its machine does not have, where it has a network of its own."""
        command = [sys.executable, "-m", WORKER, f"tcp://{self.network.scheduler}:{self.port}", *QUIET]
        own = ["--host", self.host(number), "--nthreads", str(threads), "--local-directory", str(self.logs)]
        without = ["sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden)]
        hiding = without if hidden and self.network.own else []  # `ip netns exec` has its own mounts
        full = [*self.network.inside(number), *hiding, *command, *own]
        self._workers[number] = self._start(f"worker{number}", full, **environment)

    def _start(self, name, command, **environment):
        with (self.logs / f"{name}.log").open("a") as log:
            # What a worker has on its disk is not this machine's: it finds no data.
            variables = {**os.environ, "LTSM_DATA": str(self.logs / "none"), **environment}
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=variables, start_new_session=True, cwd=self.logs
            )

    def signal(self, number, what):
        """To the worker, its nanny and its processes, as if the machine did."""
        os.killpg(self._workers[number].pid, what)

    def end_worker(self, number):
        _end(self._workers.pop(number))

    def end_scheduler(self):
        _end(self._scheduler)

    def client(self):
        from distributed import Client

        return Client(self.address.replace("dask", "tcp"), set_as_default=False)

    def wait_for(self, workers, seconds=60):
        """Until the scheduler knows so many, running."""
        with self.client() as client:
            end = time.monotonic() + seconds
            while len(self.running(client)) != workers:
                assert time.monotonic() < end, (self.logs / "worker1.log").read_text()[-2_000:]
                time.sleep(0.1)

    def running(self, client):
        return [
            a for a, w in client.scheduler_info(n_workers=-1)["workers"].items() if w["status"] == "running"
        ]

    def close(self):
        for process in [*self._workers.values(), *filter(None, [self._scheduler])]:
            _end(process)
        self.network.close()


def _end(process):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

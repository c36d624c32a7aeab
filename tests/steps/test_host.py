"""What stands on a cluster's worker, without a cluster: processes, the data that they are handed, errors as answers."""

import copy
import gc
import multiprocessing
from concurrent.futures import Executor, Future

import numpy as np
import pytest
from small import SMALL, Here

from ltsm.core import own
from ltsm.errors import DataError, RunError
from ltsm.steps.host import Host, facts
from ltsm.steps.slots import Slot, Worker, WorkerLostError
from ltsm.steps.training import Setup, dataset, read_raw


def digest_there(setup):
    return dataset(setup).digest


def broken(_setup):
    raise ZeroDivisionError("a half")


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def setup(tmp_path):
    """Of images in a file, which are then taken away; and what was in it."""
    rng = np.random.default_rng(0)
    path = tmp_path / "mine.npz"
    images, labels = rng.integers(0, 255, (40, 3, 3), dtype=np.uint8), np.arange(40) % 4
    np.savez(path, x_train=images[:30], y_train=labels[:30], x_val=images[30:], y_val=labels[30:])
    name = own.named(own.read("mine.npz", path), "mine.npz", path)
    here = Setup(SMALL.changed(dataset=name), path)
    raw, digest = read_raw(here)
    path.rename(tmp_path / "gone.npz")
    return Setup(here.protocol, path, digest), raw


def test_data_that_is_not_there_is_taken(host, setup):
    there, raw = setup
    assert not host.has_data(there)
    assert isinstance(host.call(digest_there, there), DataError)
    host.take(raw)
    assert host.has_data(there)
    assert host.call(digest_there, there) == there.digest


def test_a_process_that_died_is_handed_the_data_again(host, setup):
    there, raw = setup
    host.take(raw)
    host.call(digest_there, there)
    host._idle[0]._process.kill()
    assert isinstance(host.call(digest_there, there), RunError)
    assert host.call(digest_there, there) == there.digest


def test_data_of_another_digest_is_not_believed(host, setup):
    there, raw = setup
    host.take(raw)
    other = Setup(there.protocol, there.data, "0" * 64)
    assert not host.has_data(other)


def test_an_error_is_an_answer_with_its_traceback(host):
    found = host.call(broken, Setup(SMALL, None))
    assert isinstance(found, RunError)
    assert found.message == "ZeroDivisionError: a half"
    assert "in broken" in "".join(found.__notes__)


def test_an_error_of_a_call_names_the_worker():
    """The slot is a cluster's; its worker is in this process."""
    slot = Slot(Worker("tcp://there:1", 1, (), {}, Host(), has_data=True), 0, Here())
    error = slot.submit(broken, Setup(SMALL, None)).exception()
    assert isinstance(error, RunError)
    assert error.message == "ZeroDivisionError: a half (on tcp://there:1)"


def test_what_a_lost_worker_was_to_do_is_lost_at_once_and_later():
    """Also where it is given something before who gives it knows."""

    class Silent(Executor):
        def submit(self, *_):
            return Future()

    slot = Slot(Worker("tcp://there:1", 1, (), {}, Host(), has_data=True), 0, Silent())
    before = slot.submit(broken, None)
    assert not before.done()
    slot.lose("is gone")
    for answer in (before, slot.submit(broken, None)):
        assert isinstance(answer.exception(timeout=1), WorkerLostError)
        assert answer.exception().message == "the worker tcp://there:1 is gone."


def test_its_processes_end_with_it():
    host = Host()
    host.call(digest_there, Setup(SMALL, None))
    (process,) = [worker._process for worker in host._idle]
    assert process in multiprocessing.active_children()
    assert copy.copy(host)._idle == []
    del host
    gc.collect()
    assert process not in multiprocessing.active_children()


def test_what_it_says_of_its_machine():
    found = facts()
    assert found["kernels"][0] == "torch"
    assert found["where"]["processor"]
    assert found["where"]["cores"] >= 1

"""The method as a whole, on digits: what is run, what is kept, and that it is always the same bits."""

import os
import signal
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from math import inf

import pytest
from safetensors.torch import load_file
from small import SMALL, Here, Silent, execution, results, stopped_again_and_again

from ltsm.core import sparse_library
from ltsm.core.masking import unpack_bits
from ltsm.core.network import Network, flat_parameters
from ltsm.errors import DataError, InterruptedRunError, RunError, StoreError
from ltsm.steps.first import first_state
from ltsm.steps.training import Trained, train
from ltsm.steps.worker import WorkerProcess
from ltsm.store import artifacts, read, schema, write
from ltsm.studies import paper
from ltsm.studies.study import RunKey

ONE_SEED = SMALL.changed(seeds=(0,))


def swept(path, protocol=ONE_SEED, **how):
    store = schema.open_for_writing(path)
    outcome = execution(store, protocol, **how).run()
    store.close()
    return outcome


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """One seed's evaluation, run without a break."""
    path = tmp_path_factory.mktemp("reference") / "ltsm.db"
    swept(path)
    return path


@pytest.fixture
def opened(reference):
    store = schema.open_for_reading(reference)
    yield store
    store.close()


FULL, OTHER = paper.hyperop((12, 6)), paper.hyperop((4, 3))


def run(store, recipe):
    return read.find_run(store, 1, paper.study(SMALL).fingerprints()[recipe], 0)


def chain(*names):
    """These recipes of the paper's chain, for one seed."""
    return [RunKey(name, 0) for name in names]


WHOLE = chain(*paper.chain(SMALL))


def test_every_run_is_recorded_every_ten_iterations(opened):
    metrics = read.metrics(opened, [r.id for r in read.runs(opened)])
    for found in read.runs(opened):
        assert found.state == "done"
        assert found.iteration == found.iterations
        wanted = sorted({*range(0, found.iterations, 10), found.iterations})
        trains = found.recipe != paper.SUPERMASK
        assert [m.iteration for m in metrics.get(found.id, [])] == (wanted if trains else [])


def test_the_retraining_repeats_the_initial_training_to_its_best_iteration(opened):
    """Section 3.3, under file order: same values, same batches, so the same records, bit for bit."""
    initial, baseline = run(opened, paper.INITIAL), run(opened, paper.BASELINE)
    assert baseline.iterations == initial.best_iteration
    metrics = read.metrics(opened, [initial.id, baseline.id])
    prefix = [m for m in metrics[initial.id] if m.iteration <= initial.best_iteration]
    assert repr(metrics[baseline.id]) == repr(prefix)
    assert min(m.val_loss for m in metrics[initial.id]) == prefix[-1].val_loss


def test_the_ticket_starts_from_the_initial_values_and_its_zeros_stay(opened):
    """Steps 5 and 6: what the supermask prunes is exactly zero in the trained ticket, and nothing else is frozen."""
    ticket, baseline = run(opened, paper.TICKET), run(opened, paper.BASELINE)
    mask = read.selected_mask(opened, run(opened, paper.SUPERMASK).id)
    kept = unpack_bits(mask.bits, ticket.parameters)
    network = Network((64, *ticket.hidden, 10))
    files = (load_file(opened.folder / a.path) for a in (ticket.initial, ticket.final))
    initial, final = (flat_parameters(network, file) for file in files)
    assert ticket.initial == baseline.initial == run(opened, paper.INITIAL).initial
    assert (final[~kept] == 0).all()
    assert (initial[~kept] != 0).all()
    assert (final != initial)[kept].float().mean() > 0.5
    assert ticket.relative_size == mask.relative_size == float(kept.sum()) / ticket.parameters


def test_the_supermask_is_the_most_accurate_considered_one(opened):
    masks = read.masks(opened, 1)
    assert len(masks) == len(SMALL.thresholds)
    considered = [m for m in masks if 0 <= m.amount <= 0.2]
    (chosen,) = [m for m in masks if m.selected]
    assert chosen.val_accuracy == max(m.val_accuracy for m in considered)
    assert chosen.amount == min(m.amount for m in considered if m.val_accuracy == chosen.val_accuracy)


def test_the_hyperop_of_the_baselines_size_has_its_own_random_values(opened):
    assert run(opened, FULL).initial.sha256 != run(opened, paper.INITIAL).initial.sha256
    assert run(opened, FULL).relative_size == 1


def test_finished_runs_leave_no_checkpoint(reference):
    assert not list(reference.parent.rglob("*checkpoint*"))
    assert not list(reference.parent.rglob("*partial*"))


def test_nothing_runs_twice(reference):
    store = schema.open_for_writing(reference)
    watcher = Silent()
    assert execution(store, ONE_SEED, watcher=watcher).run().done == []
    assert watcher.events == []
    store.close()


def test_a_step_alone_gives_the_same_bits_as_the_sweep(reference, tmp_path):
    path = tmp_path / "ltsm.db"
    for number in range(1, len(WHOLE) + 1):
        swept(path, runs=WHOLE[:number])
    swept(path, runs=chain(OTHER, FULL))
    assert results(path) == results(reference)


@pytest.mark.parametrize("segments", [1, 2, 3, 5, 8])
def test_a_sweep_stopped_after_every_few_segments_ends_with_the_same_bits(reference, tmp_path, segments):
    path = tmp_path / "ltsm.db"

    def check():
        assert {s[0] for s in results(path).values()} <= {"pending", "interrupted", "done"}

    stopped_again_and_again(partial(swept, path), segments, check)
    assert results(path) == results(reference)


def check_files(path):
    """Every file that a row names is there and is the one that was written."""
    store = schema.open_for_reading(path)
    for found in read.runs(store):
        for file in found.files:
            artifacts.read(store.folder, file.artifact)
    store.close()


def test_a_run_that_goes_on_with_another_engine_says_so(tmp_path, monkeypatch, caplog):
    """Another machine, or a kernel that is gone: the row names both engines, for its bits are those of neither."""
    from ltsm.core import engine
    from ltsm.core.torch_engine import TorchEngine

    class Other(TorchEngine):
        name = "other"

    path = tmp_path / "ltsm.db"
    watcher = Silent()
    with pytest.raises(InterruptedRunError):
        swept(path, watcher=watcher, stop=lambda: 130 if len(watcher.events) >= 3 else 0)
    monkeypatch.setattr(engine, "ENGINES", (Other,))
    swept(path, runs=WHOLE[:2])
    store = schema.open_for_reading(path)
    assert run(store, paper.INITIAL).device.endswith(", other")
    assert run(store, paper.BASELINE).device == "other"
    store.close()
    assert "goes on with other" in caplog.text


@pytest.mark.skipif(len(sparse_library.usable()) < 2, reason="this processor has one variant of the kernel")
def test_a_run_goes_on_with_the_variant_that_it_was_begun_with(tmp_path, monkeypatch, caplog):
    """On a machine that would take another one, as it does for those that begin there."""
    path, (other, best) = tmp_path / "ltsm.db", sparse_library.usable()[-2:]
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sparse_library, "_usual", lambda _: other)
        watcher = Silent()
        with pytest.raises(InterruptedRunError):
            swept(path, watcher=watcher, stop=lambda: 130 if len(watcher.events) >= 3 else 0)
    swept(path, runs=WHOLE[:2])
    store = schema.open_for_reading(path)
    assert run(store, paper.INITIAL).device == f"sparse-{other}"
    assert run(store, paper.BASELINE).device == f"sparse-{best}"
    store.close()
    assert not caplog.messages


def test_a_variant_that_the_processor_lacks_gives_way_to_the_usual_one(monkeypatch):
    usual = sparse_library.variant()
    monkeypatch.setattr(sparse_library, "usable", lambda: (usual,))
    sparse_library.use(["avx1024", "torch"])
    assert sparse_library.variant() == "torch"
    sparse_library.use(["avx1024"])
    assert sparse_library.variant() == usual


def test_a_sweep_that_dies_between_file_and_row_ends_with_the_same_bits(reference, tmp_path, monkeypatch):
    """The process ends at each write in turn, with nothing said: the row never names a file that is not there."""

    class Death(BaseException):
        pass

    places = [(write, "begin"), (write, "record"), (artifacts, "write"), (artifacts, "remove")]
    for module, name in places:
        for nth in (1, 2, 3, 4):
            path = tmp_path / f"{name}{nth}" / "ltsm.db"
            calls = iter(range(1, 1000))

            original = getattr(module, name)

            def dying(*args, original=original, calls=calls, nth=nth, **more):
                if next(calls) == nth:
                    raise Death
                return original(*args, **more)

            with monkeypatch.context() as patched:
                patched.setattr(module, name, dying)
                with pytest.raises(Death):
                    swept(path)
            check_files(path)
            swept(path)
            assert results(path) == results(reference)


def test_processes_give_the_same_bits_whatever_their_number(reference, tmp_path):
    """Two processes side by side, on two seeds: seed 0 is what it was in this process alone."""
    path = tmp_path / "ltsm.db"
    workers = [WorkerProcess(), WorkerProcess()]
    swept(path, protocol=SMALL, workers=workers)
    for worker in workers:
        worker.shutdown()
    both, alone = results(path), results(reference)
    assert {key: both[key] for key in alone} == alone
    assert len(both) == 2 * len(alone)


@pytest.mark.parametrize(("damaged", "goes_on_from"), [((), 200), ((200,), 100), ((100, 200), 0)])
def test_a_damaged_checkpoint_costs_the_time_since_the_one_before_it(
    reference, tmp_path, damaged, goes_on_from
):
    """Taken out: `previous_checkpoint` in write.record; the run began again at 0 and the second case failed."""
    path = tmp_path / "ltsm.db"
    watcher = Silent()
    with pytest.raises(InterruptedRunError):
        swept(path, watcher=watcher, stop=lambda: 130 if len(watcher.events) >= 3 else 0)
    assert sorted(c.name for c in path.parent.rglob("checkpoint*")) == [
        "checkpoint-100.safetensors",
        "checkpoint-200.safetensors",
    ]
    for iteration in damaged:
        (checkpoint,) = path.parent.rglob(f"checkpoint-{iteration}.*")
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    watcher = Silent()
    swept(path, watcher=watcher)
    assert watcher.events[0][2] == goes_on_from
    assert results(path) == results(reference)


def test_a_damaged_weights_file_is_not_believed(tmp_path):
    path = tmp_path / "ltsm.db"
    swept(path, runs=WHOLE[:3])
    (initial,) = path.parent.rglob("initial-training-*/initial.safetensors")
    content = bytearray(initial.read_bytes())
    content[-5] ^= 1
    initial.write_bytes(content)
    with pytest.raises(StoreError, match="SHA-256 differs"):
        swept(path)


class Failing(Here):
    """Fails in the training of some networks."""

    def __init__(self, error, when):
        self._error, self._when = error, when

    def submit(self, fn, /, *args, **kwargs):
        if self._when(fn, args):
            return super().submit(self._raise)
        return super().submit(fn, *args, **kwargs)

    def _raise(self):
        raise self._error


def small_hyperop(fn, args):
    """The making of one dense network."""
    return fn is first_state and args[1].hidden == (4, 3)


def test_a_failed_run_is_kept_with_its_message_and_tried_again(reference, tmp_path):
    path = tmp_path / "ltsm.db"
    error = RunError("the network caught fire")
    error.add_note("Traceback: line 1")
    outcome = swept(path, workers=[Failing(error, small_hyperop)], keep_going=True)
    assert list(outcome.failed) == [RunKey(OTHER, 0)]
    store = schema.open_for_reading(path)
    failed = run(store, OTHER)
    assert failed.state == "failed"
    assert failed.error.startswith("the network caught fire (traceback: logs/")
    assert sum(r.state == "done" for r in read.runs(store)) == 5
    store.close()
    (log,) = path.parent.rglob("*.log")
    assert log.read_text() == "Traceback: line 1"
    assert swept(path).failed == {}
    assert results(path) == results(reference)


def test_without_keep_going_a_failure_ends_the_sweep(tmp_path):
    def first(fn, args):
        return fn is train

    path = tmp_path / "ltsm.db"
    outcome = swept(path, workers=[Failing(RunError("no"), first)])
    assert list(outcome.failed) == WHOLE[:1]
    assert {s[0] for s in results(path).values()} == {"failed", "pending"}


def test_an_error_of_the_data_ends_the_sweep_and_fails_no_run(tmp_path):
    path = tmp_path / "ltsm.db"
    with pytest.raises(DataError, match="gone"):
        swept(path, workers=[Failing(DataError("gone"), small_hyperop)])
    assert "failed" not in {s[0] for s in results(path).values()}


def test_other_data_under_the_same_name_is_refused(tmp_path):
    path = tmp_path / "ltsm.db"
    swept(path, runs=WHOLE[:1])
    store = schema.open_for_writing(path)
    job = execution(store, ONE_SEED)
    job._experiment.setup = replace(job._experiment.setup, digest="0" * 64)
    with pytest.raises(DataError, match="not the one"):
        job.run()
    store.close()


def test_a_diverging_network_is_recorded_as_such_and_the_rest_goes_on(tmp_path):
    """lr 1e30: no loss is finite for long; the sweep ends all the same."""
    path = tmp_path / "ltsm.db"
    protocol = ONE_SEED.changed(lr=1e30)
    outcome = swept(path, protocol=protocol)
    assert outcome.failed == {}
    found = results(path)
    assert {s[0] for key, s in found.items() if key[1] in {FULL, OTHER}} >= {"diverged"}
    store = schema.open_for_reading(path)
    diverged = run(store, paper.INITIAL)
    assert "diverged" in diverged.error
    assert all(m.val_loss < inf for m in read.metrics(store, [diverged.id])[diverged.id][:1])
    store.close()


def suicide(flag):
    """Die once, the way that a process dies which the system kills for want of memory."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def test_a_worker_that_dies_is_named_and_starts_again(tmp_path):
    worker = WorkerProcess()
    flag = tmp_path / "died"
    with pytest.raises(RunError, match=r"died of signal SIGKILL, perhaps for want of memory"):
        worker.submit(suicide, flag).result()
    assert worker.submit(suicide, flag).result() == "alive"
    worker.shutdown()


class Dying(Here):
    """A worker that dies in each call with this name for the first `times` times."""

    def __init__(self, times):
        self.times = times

    def submit(self, fn, /, *args, **kwargs):
        from ltsm.steps.worker import WorkerDiedError

        if small_hyperop(fn, args) and self.times:
            self.times -= 1
            return Failing(WorkerDiedError("the worker process 7 died."), lambda *_: True).submit(fn)
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize(("times", "failures"), [(1, 0), (2, 1)])
def test_a_dead_workers_run_is_tried_once_more(tmp_path, times, failures):
    outcome = swept(tmp_path / "ltsm.db", workers=[Dying(times)], keep_going=True)
    assert len(outcome.failed) == failures


class Timed(Here):
    """An executor that calls in this thread, and says of every segment that it took so long."""

    def __init__(self, seconds):
        self.seconds = seconds

    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        if isinstance(found := future.result(), Trained):
            future = Future()
            future.set_result(replace(found, seconds=self.seconds))
        return future


def ends(path, seconds):
    """Where the segments of the initial training end, if every one takes so long."""
    protocol = SMALL.changed(seeds=(0,), initial_iterations=80, record_every=1, hyperops=())
    watcher = Silent()
    swept(path, protocol, watcher=watcher, workers=[Timed(seconds)])
    return [i for what, key, i in watcher.events if (what, key.recipe) == ("advanced", paper.INITIAL) and i]


def test_segments_grow_where_they_take_no_time(tmp_path):
    """Records of the smallest networks are made faster than a checkpoint is written. The bits are the same.

    Taken out: that; 20,000 records took six times as long as to train and to evaluate for them.
    """
    assert ends(tmp_path / "slow.db", 1.0) == [10, 20, 30, 40, 50, 60, 70, 80]
    assert ends(tmp_path / "quick.db", 0.001) == [10, 20, 40, 80]
    assert results(tmp_path / "slow.db") == results(tmp_path / "quick.db")

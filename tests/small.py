"""A small evaluation on digits, a second or two long, and a view of a store by which two of them are the same."""

from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ltsm.errors import InterruptedRunError
from ltsm.protocol import Protocol
from ltsm.steps import plan, training
from ltsm.steps.execute import Execution
from ltsm.steps.experiment import Experiment
from ltsm.steps.training import Setup
from ltsm.store import read, schema, write
from ltsm.studies import paper

training.RECORDS_PER_SEGMENT = 10  # so that runs as short as these have several segments

SMALL = Protocol(
    name="small",
    dataset="digits",
    seeds=(0, 1),
    hidden=(12, 6),
    initial_iterations=300,
    iterations=200,
    record_every=10,
    lr=0.01,
    threshold_step=0.05,
    hyperops=((12, 6), (4, 3)),
)
TOML = """base = "paper"
name = "small"
dataset = "digits"
seeds = "0-1"
hidden = [12, 6]
initial_iterations = 300
iterations = 200
record_every = 10
lr = 0.01
threshold_step = 0.05
hyperops = [[12, 6], [4, 3]]
"""


class Here(Executor):
    """An executor that calls in this thread, so that a test needs no process."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Silent:
    """A watcher that only counts."""

    def __init__(self):
        self.events = []

    def started(self, run, iteration, iterations):
        self.events.append(("started", run, iteration))

    def advanced(self, run, iteration, metrics):
        self.events.append(("advanced", run, iteration))

    def ended(self, run, state, message):
        self.events.append((state, run, message))


def stopped_again_and_again(sweep, segments, after_a_stop=lambda: None):
    """`sweep(watcher=…, stop=…)` until it comes to its end, stopped whenever so many segments have been advanced."""
    for _ in range(100):
        watcher = Silent()

        def stop(watcher=watcher):
            return 130 if sum(e[0] == "advanced" for e in watcher.events) >= segments else 0

        try:
            return sweep(watcher=watcher, stop=stop)
        except InterruptedRunError:
            after_a_stop()
    raise AssertionError("after a hundred stops it has not come to its end")


def ticking():
    """A clock that goes on by a second whenever it is asked."""
    moments = iter(range(10**9))
    return lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(moments))


def experiment(store, protocol=SMALL, study=None, runs=None):
    """The store planned for these runs of a study (by default all of the paper's), ready to be executed."""
    now, study = ticking(), study or paper.study(protocol)
    protocol_id = write.add_protocol(store, protocol, now())
    runs = plan.keys(study.recipes, protocol.seeds) if runs is None else runs
    specs = plan.run_specs(study, runs)
    write.add_runs(store, protocol_id, plan.recipe_specs(study, study.recipes), specs, now())
    return Experiment(store, study, protocol_id, Setup(protocol, Path()), now, {"torch": "x"}), runs


def execution(store, protocol=SMALL, study=None, runs=None, workers=None, watcher=None, **how):
    """A plan over what the store has already, executed in this thread unless workers are given."""
    shared, runs = experiment(store, protocol, study, runs)
    done = plan.of_study(shared.study, read.ended(store, shared.protocol_id))
    workers = workers or [Here()]
    return Execution(shared, runs, done, lambda: workers, watcher or Silent(), **how)


def results(path):
    """Everything in a store that is a result, without times: two stores with equal results are the same bits."""
    store = schema.open_for_reading(Path(path))
    found = {}
    for protocol in read.protocols(store):
        runs = read.runs(store, protocol.id)
        metrics = read.metrics(store, [run.id for run in runs])
        masks = read.masks(store, protocol.id, bits=True)
        for run in runs:
            found[run.seed, run.recipe] = (
                run.state,
                run.iteration,
                run.best_iteration,
                run.relative_size,
                # their folder is the store's own
                *(artifact and artifact.sha256 for artifact in (run.initial, run.final, run.checkpoint)),
                # repr, as NaN is not itself
                repr(metrics.get(run.id)),
                [mask._replace(run_id=0) for mask in masks if mask.run_id == run.id],
            )
    store.close()
    return found

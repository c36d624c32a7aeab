"""Made-up evaluations: real stores, filled as a sweep would fill them, with numbers like the paper's.

Nothing is trained. Everything is a function of the arguments, so a test may compare two stores made alike.
"""

import hashlib
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from ltsm.protocol import PAPER
from ltsm.store import read, schema, write
from ltsm.store.values import Artifact, MaskRow, Metric, RunSpec, Segment

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROVENANCE = {
    "ltsm": "0.1.0",
    "torch": "2.9.0",
    "python": "3.11.9",
    "machine": "x86_64",
    "processor": "Made-up CPU",
    "git": "0123abc",
    "command": "ltsm sweep --seeds 0-9",
}
# Published mean and deviation of the final loss, the minimal loss and its iteration; by hidden sizes.
TICKET = (0.091, 0.007, 0.078, 0.004, 4340.0, 222.1)
HYPEROPS = {
    (200, 30): (0.109, 0.019, 0.078, 0.001, 4360.0, 171.3),
    (100, 15): (0.112, 0.015, 0.095, 0.005, 4600.0, 326.6),
    (100, 25): (0.104, 0.008, 0.090, 0.003, 4540.0, 340.6),
    (150, 15): (0.106, 0.021, 0.085, 0.003, 4660.0, 275.7),
    (150, 25): (0.100, 0.012, 0.082, 0.003, 4330.0, 249.7),
    (50, 15): (0.130, 0.010, 0.119, 0.006, 4700.0, 326.6),
    (50, 25): (0.124, 0.012, 0.113, 0.004, 4870.0, 94.9),
    (150, 5): (0.138, 0.017, 0.122, 0.010, 4640.0, 231.9),
    (100, 5): (0.161, 0.019, 0.146, 0.014, 4870.0, 94.9),
    (50, 5): (0.181, 0.023, 0.170, 0.020, 4770.0, 258.4),
}
OTHER = (0.120, 0.012, 0.100, 0.005, 4500.0, 250.0)
# Ten each with the published mean and deviation: selected thresholds, and accuracies of the supermasks.
THRESHOLDS = (0.04, 0.0, 0.1, 0.01, 0.02, 0.15, 0.06, 0.03, 0.08, 0.0)
ACCURACIES = (0.42, 0.7, 0.36, 0.191, 0.48, 0.3, 0.58, 0.45, 0.25, 0.53)


@dataclass(frozen=True)
class MadeUp:
    """What to make up.

    `states` names the runs that are not `done`, by RunSpec (its iterations do not matter); a baseline waits
    for its initial run and a ticket for its baseline, whatever `states` says. `left_out` hidden sizes have no
    hyperop runs at all. `factor` multiplies every loss: 1 reproduces the paper, 1.3 does not.
    """

    seeds: tuple[int, ...] = tuple(range(10))
    protocol: object = PAPER
    states: dict = field(default_factory=dict)
    left_out: tuple = ()
    factor: float = 1.0
    inputs: int = 784
    classes: int = 10
    random_seed: int = 0


def evaluation(path, **how):
    """Fill a store at `path` with a made-up evaluation (arguments: the fields of `MadeUp`); returns the path."""
    how = MadeUp(**how)
    store = schema.open_for_writing(path)
    try:
        fill(store, how)
    finally:
        store.close()
    return path


def fill(store, how):
    """Add a made-up evaluation to an open store and return its protocol's id."""
    protocol_id = write.add_protocol(store, how.protocol, NOW)
    plan = [spec for seed in how.seeds for spec in specs(how, seed)]
    write.add_runs(store, protocol_id, plan, NOW)
    ids = {run.spec: run.id for run in read.runs(store, protocol_id)}
    work = _Work(store, how, _Draws(how), ids)
    for seed in how.seeds:
        _fill_seed(work, seed)
    return protocol_id


def specs(how, seed):
    """The runs of one seed, in a sweep's order."""
    p = how.protocol
    yield RunSpec(seed, "initial", p.hidden, p.initial_iterations)
    yield RunSpec(seed, "baseline", p.hidden, 0)
    yield RunSpec(seed, "ticket", p.hidden, p.iterations)
    for hidden in p.hyperops:
        if hidden not in how.left_out:
            yield RunSpec(seed, "hyperop", hidden, p.iterations)


class _Draws:
    """Every random number of an evaluation; for three seeds and more with exactly the published spread."""

    def __init__(self, how):
        self.how = how
        self.columns = {}
        self.rng = np.random.default_rng(how.random_seed)
        for name in ("initial", "accuracy", "chance", "size", "ticket", *how.protocol.hyperops):
            z = self.rng.standard_normal((len(how.seeds), 3))
            if len(how.seeds) >= 3:
                z = (z - z.mean(0)) / z.std(0, ddof=1)
            self.columns[name] = dict(zip(how.seeds, z, strict=True))

    def curve(self, name, seed, published, iterations):
        """Validation losses of one run, every `record_every` iterations, with the wanted end and minimum."""
        how, z = self.how, self.columns[name][seed]
        final, final_sd, least, least_sd, at, at_sd = published
        least = max(least + least_sd * z[1], 0.01)
        final = max(final + final_sd * z[0], least * 1.01)
        steps = np.unique([*range(0, iterations, how.protocol.record_every), iterations])
        best = int(np.clip(round((at + at_sd * z[2]) / 5000 * (len(steps) - 1)), 0, max(len(steps) - 2, 0)))
        fall = np.exp(-np.arange(len(steps)) * how.protocol.record_every / 300) * (2.3 - least)
        losses = least * 1.02 + fall + 0.1 * least * np.abs(self.rng.standard_normal(len(steps)))
        losses[0], losses[-1], losses[best] = 2.303, final, least
        return steps, losses * how.factor


@dataclass(frozen=True)
class _Work:
    """What is being filled: the store, with what, and the ids of its runs."""

    store: object
    how: MadeUp
    draws: _Draws
    ids: dict


def _fill_seed(work, seed):
    p = work.how.protocol
    steps, losses = _initial_curve(work.how, work.draws, seed)
    best = int(np.argmin(losses))
    state = _add(work, RunSpec(seed, "initial", p.hidden, p.initial_iterations), steps, losses)
    if state == "done":
        spec = RunSpec(seed, "baseline", p.hidden, int(steps[best]))
        state = _add(work, spec, steps[: best + 1], losses[: best + 1])
    if state == "done":
        _fill_ticket(work, seed, work.ids[spec])
    for hidden in p.hyperops:
        if hidden not in work.how.left_out:
            steps, losses = work.draws.curve(hidden, seed, HYPEROPS.get(hidden, OTHER), p.iterations)
            _add(work, RunSpec(seed, "hyperop", hidden, p.iterations), steps, losses)


def _fill_ticket(work, seed, baseline_id):
    p = work.how.protocol
    masks = _masks(work.how, work.draws, seed, baseline_id)
    write.add_masks(work.store, baseline_id, masks, NOW)
    chosen = next(m for m in masks if m.selected)
    steps, losses = work.draws.curve("ticket", seed, TICKET, p.iterations)
    losses[0] = chosen.val_loss
    _add(work, RunSpec(seed, "ticket", p.hidden, p.iterations), steps, losses, chosen)


def _initial_curve(how, draws, seed):
    """A loss that falls until about a quarter of the training and then rises: overfitting."""
    p, z = how.protocol, draws.columns["initial"][seed]
    steps, losses = draws.curve("initial", seed, (0.085, 0.002, 0.075, 0.002, 1250, 0), p.initial_iterations)
    best = int(np.clip(round((0.25 + 0.02 * z[2]) * (len(steps) - 1)), 1, len(steps) - 1))
    late = np.clip(np.arange(len(steps)) - best, 0, None) / len(steps)
    losses += 0.14 * late * how.factor
    losses[best] = 0.99 * losses.min()
    return steps, losses


def _add(work, spec, steps, losses, mask=None):
    """Write one run (a ticket with its mask) as far as its state says, and return that state."""
    state = work.how.states.get(spec, "done")
    if state == "pending":
        return state
    run_id = work.ids[spec]
    began = NOW + timedelta(minutes=run_id)
    kept = len(steps) if state == "done" else max(len(steps) * 2 // 5, 1)
    metrics = list(_metrics(work, spec.seed, steps[:kept], losses[:kept], mask))
    if state == "diverged":
        metrics[-1] = Metric(metrics[-1].iteration, math.nan, math.nan, 1 / work.how.classes)
    _start(work, spec, mask, began)
    write.record(work.store, run_id, _segment(work, spec, state, metrics), began + timedelta(seconds=50))
    if state in {"interrupted", "failed"}:
        write.stop(work.store, run_id, state, "out of memory" if state == "failed" else None, began)
    return state


def _start(work, spec, mask, began):
    how, count = work.how, parameters(work.how, spec.hidden)
    write.start(
        work.store,
        work.ids[spec],
        iterations=spec.iterations,
        initial=_file(work, spec, "initial"),
        parameters=count,
        relative_size=mask.relative_size if mask else count / parameters(how, how.protocol.hidden),
        device="cpu",
        provenance=PROVENANCE,
        now=began,
    )


def _segment(work, spec, state, metrics):
    at = metrics[-1].iteration
    return Segment(
        metrics=metrics,
        iteration=at,
        state="running" if state in {"interrupted", "failed"} else state,
        seconds=spec.iterations / 1000,
        checkpoint=None if state in {"done", "diverged"} else _file(work, spec, "checkpoint"),
        final=_file(work, spec, "final") if state == "done" else None,
        error=f"the loss is no finite number after iteration {at}" if state == "diverged" else None,
    )


def _file(work, spec, what):
    """The row of a weights file; there is no such file."""
    name = f"{spec.seed}-{spec.kind}-{'x'.join(map(str, spec.hidden))}.{what}.safetensors"
    return Artifact(f"weights/{name}", hashlib.sha256(name.encode()).hexdigest())


def _metrics(work, seed, steps, losses, mask):
    columns = work.draws.columns
    first = mask.val_accuracy if mask else 0.101 + 0.016 * columns["chance"][seed][0]
    last = 0.977 + 0.001 * columns["accuracy"][seed][0]
    for step, loss in zip(steps.tolist(), losses.tolist(), strict=True):
        accuracy = last - (last - first) * math.exp(-step / work.how.protocol.record_every)
        yield Metric(step, math.nan if step == 0 else 0.8 * loss, loss, accuracy)


def parameters(how, hidden):
    """Weights and biases of a network with these hidden sizes."""
    return sum(layer_sizes(how, hidden))


def layer_sizes(how, hidden):
    """Weights and biases per layer."""
    sizes = (how.inputs, *hidden, how.classes)
    return [(a + 1) * b for a, b in pairwise(sizes)]


def _masks(how, draws, seed, run_id):
    """Masks that shrink with the threshold as the paper's do: 64.6 % ± 0.4 at 0, 4.1 % ± 0.6 at 0.2."""
    scores = _scores(how, draws, seed)
    ends = np.cumsum(layer_sizes(how, how.protocol.hidden))
    at, top = THRESHOLDS[seed % 10], ACCURACIES[seed % 10]
    accuracies = _accuracies(how, draws, at, top)
    selectable = [t for t in how.protocol.thresholds if how.protocol.selectable(t)]
    best = max(selectable, key=lambda t: (accuracies[t], -t))
    rows = []
    for threshold, accuracy in accuracies.items():
        kept = scores >= threshold
        layers = tuple(int(part.sum()) for part in np.split(kept, ends[:-1]))
        loss = (2.5 - 1.5 * accuracy) * how.factor
        values = (threshold, sum(layers) / len(scores), layers, loss, accuracy, threshold == best)
        rows.append(MaskRow(run_id, seed, *values, np.packbits(kept).tobytes()))
    return rows


def _scores(how, draws, seed):
    """sign(w_initial) · w_trained of every parameter: weights of pixels at the rim have not moved."""
    z = draws.columns["size"][seed]
    count = parameters(how, how.protocol.hidden)
    initial = np.abs(draws.rng.random(count, dtype=np.float32)) * 0.0357
    moved = draws.rng.standard_normal(count, dtype=np.float32) * (0.110 + 0.0048 * z[0])
    side = math.isqrt(how.inputs)
    place = np.linspace(-1, 1, side)
    rim = np.add.outer(place**2, place**2).ravel() > 1.103 + 0.016 * z[1]
    if side * side == how.inputs:
        moved[: how.inputs * how.protocol.hidden[0]].reshape(-1, how.inputs)[:, rim] = 0
    return initial + moved


def _accuracies(how, draws, at, top):
    """Accuracy by threshold: chance, but for a bump of height `top` at `at`."""
    chance, p = 1 / how.classes, how.protocol
    curve = {}
    for t in p.thresholds:
        bump = (top - chance) * math.exp(-(((t - at) / 0.04) ** 2))
        curve[t] = chance + bump - 0.02 * bump * draws.rng.random() * (t != at)
    return curve

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
from ltsm.store.values import Artifact, Beginning, MaskRow, Metric, RecipeSpec, RunSpec, Segment
from ltsm.studies import controls, paper
from ltsm.studies.names import file_name
from ltsm.studies.recipe import BestOf

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
# Made up: what becomes of the ticket when its values, their signs or its mask are others.
CONTROLS = {
    controls.REDRAWN: (0.125, 0.006, 0.105, 0.004, 4600.0, 200.0),
    controls.SAME_SIGNS: (0.100, 0.006, 0.085, 0.004, 4500.0, 200.0),
    controls.SHUFFLED: (0.124, 0.006, 0.104, 0.004, 4600.0, 200.0),
    controls.CONSTANTS: (0.099, 0.006, 0.084, 0.004, 4500.0, 200.0),
    controls.RANDOM_MASK: (0.140, 0.008, 0.115, 0.004, 4700.0, 200.0),
    controls.INVERTED: (0.150, 0.010, 0.120, 0.004, 4700.0, 200.0),
    controls.FINE_TUNED: (0.088, 0.004, 0.078, 0.003, 2000.0, 300.0),
}
# Ten each with the published mean and deviation: selected thresholds, and accuracies of the supermasks.
THRESHOLDS = (0.04, 0.0, 0.1, 0.01, 0.02, 0.15, 0.06, 0.03, 0.08, 0.0)
ACCURACIES = (0.42, 0.7, 0.36, 0.191, 0.48, 0.3, 0.58, 0.45, 0.25, 0.53)


@dataclass(frozen=True)
class MadeUp:
    """What to make up.

    `states` names the runs that are not `done`, by recipe and seed; a run waits for those that it needs, whatever
    `states` says. `left_out` recipes have no runs at all. `factor` multiplies every loss: 1 reproduces the
    paper, 1.3 does not. `study` makes the recipes from the protocol: the paper's chain, and any others.
    """

    seeds: tuple[int, ...] = tuple(range(10))
    protocol: object = PAPER
    states: dict = field(default_factory=dict)
    left_out: tuple = ()
    study: object = paper.study
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
    study = how.study(how.protocol)
    protocol_id = write.add_protocol(store, how.protocol, NOW)
    ids = add_runs(store, protocol_id, study, how.seeds, how.left_out)
    work = _Work(store, how, study, _Draws(how, study), ids, {})
    for seed in how.seeds:
        _fill_seed(work, seed)
    return protocol_id


def add_runs(store, protocol_id, study, seeds, left_out=()):
    """Every run of a study, pending, but for the recipes left out; ids by recipe and seed."""
    names = [name for name in study.recipes if name not in left_out]
    prints = study.fingerprints()
    recipes = [RecipeSpec(prints[name], name, study.settings(name)) for name in names]
    specs = [_spec(study, name, seed) for seed in seeds for name in names]
    write.add_runs(store, protocol_id, recipes, specs, NOW)
    known = {(r.fingerprint, r.seed): r.id for r in read.runs(store, protocol_id)}
    return {(name, seed): known[prints[name], seed] for name in names for seed in seeds}


def _spec(study, name, seed):
    recipe, prints = study.recipes[name], study.fingerprints()
    length = None if isinstance(recipe.iterations, BestOf) else recipe.iterations
    needs = {role: prints[needed] for role, needed in recipe.needs.items()}
    return RunSpec(seed, prints[name], recipe.hidden, length, needs)


def exact(path, study, curves, *, masks=None, protocol=PAPER, states=None):
    """A store of these very records: `curves` by recipe and seed, each of (iteration, loss, accuracy).

    `masks` by recipe and seed are lists of (amount, relative size, loss, accuracy, selected); a run of `curves` ends
    `done`, or as `states` says. Every network keeps 100 of 100 parameters unless it or what it needs has a mask.
    """
    store = schema.open_for_writing(path)
    protocol_id = write.add_protocol(store, protocol, NOW)
    ids = add_runs(store, protocol_id, study, sorted({seed for _, seed in {**curves, **(masks or {})}}))
    rows = {
        (name, seed): [
            MaskRow(0, seed, a, size, (int(100 * size),), *rest, amount_by=study.recipes[name].mask.by)
            for a, size, *rest in given
        ]
        for (name, seed), given in (masks or {}).items()
    }
    for key, made in rows.items():
        _begin(store, ids[key], 0, None, made, next(m.relative_size for m in made if m.selected))
    for (name, seed), records in curves.items():
        mask = read.selected_mask(store, ids[name, seed])
        metrics = [Metric(i, math.nan, loss, accuracy) for i, loss, accuracy in records]
        first = Artifact(f"weights/{seed}-{name}.initial", "0" * 64)
        _begin(
            store,
            ids[name, seed],
            metrics[-1].iteration,
            first,
            rows.get((name, seed), ()),
            mask.relative_size if mask else 1.0,
        )
        state = (states or {}).get((name, seed), "done")
        final = Artifact(f"weights/{seed}-{name}.final", "1" * 64) if state == "done" else None
        segment = Segment(
            metrics=metrics, iteration=metrics[-1].iteration, state=state, seconds=1.0, final=final
        )
        write.record(store, ids[name, seed], segment, NOW)
    store.close()
    return path


def _begin(store, run_id, iterations, initial, masks, relative_size, how=None, parameters=100):
    how = how or MadeUp()
    beginning = Beginning(
        iterations=iterations,
        initial=initial,
        inputs=how.inputs,
        classes=how.classes,
        parameters=parameters,
        relative_size=relative_size,
        device="cpu",
        provenance=PROVENANCE,
        masks=masks,
    )
    write.begin(store, run_id, beginning, NOW + timedelta(minutes=run_id))


class _Draws:
    """Every random number of an evaluation; for three seeds and more with exactly the published spread."""

    def __init__(self, how, study):
        self.how = how
        self.columns = {}
        self.rng = np.random.default_rng(how.random_seed)
        first = ("initial", "accuracy", "chance", "size", "ticket", *how.protocol.hyperops)
        for name in (*first, *(name for name in study.recipes if name in CONTROLS or name == controls.DENSE)):
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
    """What is being filled: the store, with what, the ids of its runs, and how each ended."""

    store: object
    how: MadeUp
    study: object
    draws: _Draws
    ids: dict
    ended: dict


def _fill_seed(work, seed):
    """The runs of one seed in the study's order, each once what it needs is done."""
    best = masks = None
    for name, recipe in work.study.recipes.items():
        needs = recipe.needs.values()
        if (name, seed) not in work.ids or any(work.ended.get((n, seed)) != "done" for n in needs):
            continue
        if name == paper.INITIAL:
            steps, losses = _initial_curve(work.how, work.draws, seed)
            best = int(np.argmin(losses))
            _add(work, name, seed, steps, losses)
        elif name == paper.BASELINE:
            _add(work, name, seed, steps[: best + 1], losses[: best + 1])
        elif name == paper.SUPERMASK:
            masks = _masks(work.how, work.draws, seed)
            _add_masks(work, name, seed, masks)
        else:
            _add(work, name, seed, *_later_curve(work, name, seed, masks))


def _add_masks(work, name, seed, masks):
    state = work.how.states.get((name, seed), "done")
    work.ended[name, seed] = state
    if state == "done":
        size = next(m.relative_size for m in masks if m.selected)
        count = parameters(work.how, work.how.protocol.hidden)
        _begin(work.store, work.ids[name, seed], 0, None, masks, size, work.how, count)
    elif state != "pending":
        write.stop(
            work.store, work.ids[name, seed], state, "out of memory" if state == "failed" else None, NOW
        )


def _later_curve(work, name, seed, masks):
    """Records of a ticket, a dense network or a control."""
    p, hidden = work.how.protocol, work.study.recipes[name].hidden
    if name == paper.hyperop(hidden):
        return work.draws.curve(hidden, seed, HYPEROPS.get(hidden, OTHER), p.iterations)
    steps, losses = work.draws.curve(name, seed, CONTROLS.get(name, TICKET), p.iterations)
    if name == controls.DENSE:
        return steps, losses
    chosen = next(m for m in masks if m.selected)
    if name == paper.TICKET:
        losses[0] = chosen.val_loss
    return steps, losses, chosen


def _initial_curve(how, draws, seed):
    """A loss that falls until about a quarter of the training and then rises: overfitting."""
    p, z = how.protocol, draws.columns["initial"][seed]
    steps, losses = draws.curve("initial", seed, (0.085, 0.002, 0.075, 0.002, 1250, 0), p.initial_iterations)
    best = int(np.clip(round((0.25 + 0.02 * z[2]) * (len(steps) - 1)), 1, len(steps) - 1))
    late = np.clip(np.arange(len(steps)) - best, 0, None) / len(steps)
    losses += 0.14 * late * how.factor
    losses[best] = 0.99 * losses.min()
    return steps, losses


def _add(work, name, seed, steps, losses, mask=None):
    """Write one run (a ticket with its mask) as far as its state says."""
    state = work.ended[name, seed] = work.how.states.get((name, seed), "done")
    if state == "pending":
        return
    run_id, recipe = work.ids[name, seed], work.study.recipes[name]
    kept = len(steps) if state == "done" else max(len(steps) * 2 // 5, 1)
    metrics = list(_metrics(work, name, seed, steps[:kept], losses[:kept], mask))
    if state == "diverged":
        metrics[-1] = Metric(metrics[-1].iteration, math.nan, math.nan, 1 / work.how.classes)
    count = parameters(work.how, recipe.hidden)
    size = mask.relative_size if mask else count / parameters(work.how, work.how.protocol.hidden)
    own = [mask._replace(run_id=run_id)] if recipe.makes_mask else []
    _begin(work.store, run_id, int(steps[-1]), _file(name, seed, "initial"), own, size, work.how, count)
    began = NOW + timedelta(minutes=run_id)
    segment = _segment(name, seed, state, metrics, int(steps[-1]))
    write.record(work.store, run_id, segment, began + timedelta(seconds=50))
    if state in {"interrupted", "failed"}:
        write.stop(work.store, run_id, state, "out of memory" if state == "failed" else None, began)


def _segment(name, seed, state, metrics, iterations):
    at = metrics[-1].iteration
    return Segment(
        metrics=metrics,
        iteration=at,
        state="running" if state in {"interrupted", "failed"} else state,
        seconds=iterations / 1000,
        checkpoint=None if state in {"done", "diverged"} else _file(name, seed, "checkpoint"),
        final=_file(name, seed, "final") if state == "done" else None,
        error=f"the loss is no finite number after iteration {at}" if state == "diverged" else None,
    )


def _file(name, seed, what):
    """The row of a weights file; there is no such file."""
    path = f"{seed}-{file_name(name)}.{what}.safetensors"
    return Artifact(f"weights/{path}", hashlib.sha256(path.encode()).hexdigest())


def _metrics(work, name, seed, steps, losses, mask):
    columns = work.draws.columns
    first = mask.val_accuracy if mask and name == paper.TICKET else 0.101 + 0.016 * columns["chance"][seed][0]
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


def _masks(how, draws, seed):
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
        rows.append(MaskRow(0, seed, *values, np.packbits(kept).tobytes()))
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

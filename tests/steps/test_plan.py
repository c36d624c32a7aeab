"""What is run, and in what order."""

from ltsm.protocol import PAPER
from ltsm.steps import plan
from ltsm.steps.plan import Plan
from ltsm.studies import controls, paper
from ltsm.studies.recipe import Mask, Masking, Random, Recipe, Weights
from ltsm.studies.study import RunKey, Study

STUDY = paper.study(PAPER)
SMALLEST = paper.hyperop((50, 5))


def chain(seed, *names):
    return [
        RunKey(name, seed) for name in names or (paper.INITIAL, paper.BASELINE, paper.SUPERMASK, paper.TICKET)
    ]


def taken(runs, done=(), size=1, study=STUDY):
    return Plan(study, runs, set(done)).take(size)


def order(study, runs, done=()):
    """All runs as one worker makes them."""
    waiting, found = Plan(study, runs, set(done)), []
    while taking := waiting.take():
        found += taking
        waiting.finish(taking[0])
    return found


def test_the_papers_evaluation_is_fourteen_steps_a_seed():
    runs = plan.keys(STUDY.recipes, PAPER.seeds)
    assert len(runs) == 140
    assert len(set(runs)) == 140
    assert [run.recipe for run in runs[:4]] == ["initial training", "baseline", "supermask", "ticket"]
    dense = {STUDY.recipes[run.recipe].hidden for run in runs if run.recipe.startswith("hyperop")}
    assert dense == {PAPER.hidden, *((a, b) for a in (50, 100, 150) for b in (5, 15, 25))}


def test_each_step_of_the_chain_waits_for_the_one_before():
    runs = chain(3)
    assert taken(runs) == runs[:1]
    assert taken(runs[1:]) == []
    assert taken(runs[1:], runs[:1]) == [runs[1]]
    hyperop = RunKey(SMALLEST, 3)
    assert taken([runs[3], hyperop]) == [hyperop]


def test_a_seed_waits_for_no_other_seed():
    done = {*chain(0), *chain(1, paper.INITIAL)}
    assert taken([*chain(0), *chain(1), *chain(2)], done) == chain(1, paper.BASELINE)


def test_the_first_that_is_ready_comes_first():
    """Runs are made in the order in which they were asked for, as far as what they need is done."""
    runs = plan.keys(STUDY.recipes, (0, 1))
    assert order(STUDY, runs) == runs
    assert order(STUDY, runs[::-1]) == [
        *[run for run in runs[::-1] if run.recipe.startswith("hyperop") and run.seed == 1],
        *chain(1),
        *[run for run in runs[::-1] if run.recipe.startswith("hyperop") and run.seed == 0],
        *chain(0),
    ]


def test_what_waits_for_several_runs_waits_for_all_of_them():
    between = Masking(criterion="sign", before=Weights("one"), after=Weights("two"), amounts=(0.0,))
    start = Random(("one",))
    study = Study(
        name="two",
        title="",
        recipes={
            "one": Recipe(hidden=(3,), start=start, iterations=100),
            "two": Recipe(hidden=(3,), start=Random(("two",)), iterations=100),
            "mask": Recipe(hidden=(3,), start=start, mask=between, trains="nothing"),
            "end": Recipe(hidden=(3,), start=Weights("two"), mask=Mask("mask"), iterations=100),
        },
    )
    one, two, mask, end = plan.keys(study.recipes, (0,))
    waiting = Plan(study, [end, mask, one, two], set())
    assert waiting.take(9) == [one]
    assert waiting.take(9) == [two]
    assert waiting.take() == []
    waiting.finish(two)
    assert waiting.take() == []
    waiting.finish(one)
    assert waiting.take() == [mask]
    waiting.finish(mask)
    assert waiting.take() == [end]
    waiting.finish(end)
    assert waiting.take() == []


def test_a_failed_run_keeps_only_those_waiting_that_need_it():
    """It is never finished."""
    waiting = Plan(STUDY, plan.keys(STUDY.recipes, (0, 1)), set())
    found = []
    while taking := waiting.take():
        found += taking
        if taking[0] != RunKey(paper.BASELINE, 0):
            waiting.finish(taking[0])
    missing = set(plan.keys(STUDY.recipes, (0, 1))) - set(found)
    assert missing == {RunKey(paper.SUPERMASK, 0), RunKey(paper.TICKET, 0)}


def test_a_run_asked_for_twice_is_taken_once_and_a_done_one_never():
    runs = chain(0, paper.INITIAL) * 2
    assert order(STUDY, runs) == runs[:1]
    assert order(STUDY, runs, runs[:1]) == []


def test_a_lane_is_ready_runs_of_one_recipe():
    """Of one shape and kind, so that a GPU advances them side by side; the first that is ready says which."""
    runs = plan.keys(STUDY.recipes, (0, 1, 2))
    seeds = [RunKey(paper.INITIAL, seed) for seed in (0, 1, 2)]
    assert taken(runs, size=9) == seeds
    assert taken(runs, size=2) == seeds[:2]
    later = [run for run in runs if run.recipe != paper.INITIAL]
    assert taken(later, [seeds[0], seeds[2]], size=9) == [RunKey(paper.BASELINE, seed) for seed in (0, 2)]
    assert taken([], size=9) == []


class Counted(dict):
    """A dictionary that counts how often it is asked."""

    asked = 0

    def __getitem__(self, key):
        self.asked += 1
        return super().__getitem__(key)


def test_taking_and_finishing_touch_no_more_than_what_they_must(monkeypatch):
    """Whatever the number of seeds: a take looks at one run a recipe, a finish at those that waited for it."""
    looked = []
    for seeds in (10, 1_000):
        waiting = Plan(STUDY, plan.keys(STUDY.recipes, range(seeds)), set())
        waiting._runs = Looked(waiting._runs)
        missing = waiting._missing = Counted(waiting._missing)
        (run,) = waiting.take()
        waiting.finish(run)
        looked.append((waiting._runs.asked, missing.asked))
        assert waiting.take() == [RunKey(paper.BASELINE, 0)]
    assert looked[0] == looked[1]
    assert max(looked[1]) <= 20


class Looked(list):
    """A list that counts how often it is asked for an element."""

    asked = 0

    def __getitem__(self, place):
        self.asked += 1
        return super().__getitem__(place)


class Asked(set):
    """A set that counts what is asked of it, and refuses to be walked through."""

    asked = 0

    def __contains__(self, key):
        self.asked += 1
        return super().__contains__(key)

    def __iter__(self):
        raise AssertionError("walked through all that is done")


def test_planning_looks_up_what_is_done_and_never_walks_through_it():
    """Taken out: that; planning what is left of ten thousand seeds copied all that was done for each of them."""
    runs = plan.keys(STUDY.recipes, range(50))
    done = Asked(runs[:-14])
    assert Plan(STUDY, runs, done).take() == [RunKey(paper.INITIAL, 49)]
    assert done.asked < 3 * len(runs)


def test_lengths():
    lengths = {
        spec.fingerprint: spec.iterations for spec in plan.run_specs(STUDY, plan.keys(STUDY.recipes, (0,)))
    }
    found = {name: lengths[fingerprint] for name, fingerprint in STUDY.fingerprints().items()}
    assert found.pop(paper.INITIAL) == 20_000
    assert found.pop(paper.BASELINE) is None
    assert found.pop(paper.SUPERMASK) == 0
    assert set(found.values()) == {5_000}


def test_what_a_baseline_may_take_is_estimated_from_what_it_repeats():
    assert plan.expected_iterations(STUDY, paper.BASELINE) == 5_000
    found = plan.costs(STUDY)
    assert found[paper.INITIAL] > 3 * found[paper.BASELINE] > found[SMALLEST] > 0
    assert found[paper.SUPERMASK] == len(PAPER.thresholds)


def test_specs_say_what_a_run_needs_by_identity():
    other = controls.study(PAPER)
    (spec,) = plan.run_specs(other, [RunKey(controls.SHUFFLED, 4)])
    known = STUDY.fingerprints()
    assert spec.needs == {"start": known[paper.INITIAL], "mask": known[paper.SUPERMASK]}
    assert (spec.seed, spec.hidden, spec.iterations) == (4, (200, 30), 5_000)
    (recipe,) = plan.recipe_specs(other, [controls.SHUFFLED])
    assert (recipe.fingerprint, recipe.name) == (spec.fingerprint, controls.SHUFFLED)


def test_what_has_ended_is_known_by_identity_and_not_by_name():
    """What another study's recipes are called does not matter, nor how many of them the store has."""
    mine = STUDY.fingerprints()[paper.TICKET]
    ended = [(mine, 3), ("of another study", 3), (controls.study(PAPER).fingerprints()[paper.TICKET], 4)]
    assert plan.of_study(STUDY, ended) == {RunKey(paper.TICKET, 3), RunKey(paper.TICKET, 4)}

"""What is run, and in what order."""

from ltsm.protocol import PAPER
from ltsm.steps import plan
from ltsm.steps.plan import Task

BASELINE = (200, 30)


def test_the_papers_evaluation_is_fourteen_steps_a_seed():
    tasks = plan.everything(PAPER, PAPER.seeds)
    assert len(tasks) == 140
    assert len(set(tasks)) == 140
    assert [t.step for t in tasks[:4]] == ["initial", "baseline", "supermask", "ticket"]
    assert {t.hidden for t in tasks if t.step == "hyperop"} == {
        BASELINE,
        *((a, b) for a in (50, 100, 150) for b in (5, 15, 25)),
    }


def test_each_step_of_the_chain_waits_for_the_one_before():
    tasks = plan.chain(PAPER, 3)
    assert plan.next_ready(tasks, set()) == tasks[0]
    assert plan.next_ready(tasks[1:], set()) is None
    assert plan.next_ready(tasks[1:], {tasks[0]}) == tasks[1]
    assert plan.next_ready([tasks[3], Task("hyperop", 3, (50, 5))], set()) == Task("hyperop", 3, (50, 5))


def test_redoing_a_step_undoes_what_is_built_on_it():
    steps = {t.step for t in plan.dependents([Task("baseline", 0, BASELINE)])}
    assert steps == {"baseline", "supermask", "ticket"}
    assert plan.dependents([Task("hyperop", 0, (50, 5))]) == {Task("hyperop", 0, (50, 5))}


def test_lengths():
    lengths = {t.step: t.spec(PAPER).iterations for t in plan.everything(PAPER, (0,))}
    assert lengths == {"initial": 20_000, "baseline": 0, "supermask": 0, "ticket": 5_000, "hyperop": 5_000}

"""A protocol under which networks diverge: recorded as that, the sweep goes on, and the report says so."""

import re

from small import results
from torture.oracle import check

from ltsm.studies import paper


def with_lr(program, lr):
    toml = program.folder / "small.toml"
    toml.write_text(toml.read_text().replace("lr = 0.01", f"lr = {lr}"))


def test_a_sweep_that_learns_nothing_ends_and_says_so(ltsm):
    """lr 100: losses far above the untrained network's, and finite, as every step of Adam's is about lr.

    Taken out: the note in `table1._notes`; the report did not say so.
    """
    with_lr(ltsm, 100)
    run = ltsm.sweep()
    assert run.ended() == 0, run.words
    check(ltsm.store)
    assert {value[0] for value in results(ltsm.store).values()} == {"done"}
    told = ltsm.start("report")
    assert told.ended() == 0, told.words
    assert "never improved on the untrained network for seed 0" in told.words


def test_a_diverging_sweep_ends_and_says_so(ltsm):
    """lr 1e30 for the whole of a small sweep, with the real commands; NaN is NULL in the store and no number anywhere.

    The initial training could go on after its first record; the others end with it, so that they diverge at their end.

    Taken out: `finite` in `jobs.Job.receive`; those others were called done. Taken out: `finite` in
    `training._trained`; the initial training went on to its last iteration.
    """
    with_lr(ltsm, 1e30)
    toml = ltsm.folder / "small.toml"
    toml.write_text(toml.read_text().replace("\niterations = 200", "\niterations = 10"))
    run = ltsm.sweep()
    assert run.ended() == 0, run.words
    assert "diverged" in run.words
    check(ltsm.store)
    assert results(ltsm.store)[0, paper.INITIAL][1] == 10  # its first record, of 400 iterations
    states = {key[1]: value[0] for key, value in results(ltsm.store).items()}
    # The retraining stops at the initial training's best iteration, before it can diverge; of the smallest network
    # every unit is dead at once, and its loss stays what it was.
    others = dict.fromkeys([paper.BASELINE, paper.SUPERMASK, paper.hyperop((4, 3))], "done")
    assert states == dict.fromkeys(states, "diverged") | others
    for command in (["status"], ["report"], ["report", "--markdown"], ["report", "--json"]):
        told = ltsm.start(*command)
        assert told.ended() == 0, told.words
        assert "diverged" in told.words, (command, told.words)
        assert not re.search(r"\bnan\b", told.words, re.IGNORECASE), (command, told.words)
    assert ltsm.start("verify").ended() == 5, ltsm.words
    again = ltsm.sweep()
    assert again.ended() == 0
    assert "nothing to do" in again.words

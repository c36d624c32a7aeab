"""The estimate of the time left, and what a log shows."""

import pytest

from ltsm.cli import say
from ltsm.cli.progress import Lines, Work, shown
from ltsm.protocol import PAPER
from ltsm.steps import plan
from ltsm.store.values import Metric
from ltsm.studies import paper

STUDY = paper.study(PAPER)
RUNS = plan.keys(STUDY.recipes, (0,))
COSTS = plan.costs(STUDY)
INITIAL, BASELINE, SUPERMASK, TICKET, *HYPEROPS = RUNS


def test_the_estimate_goes_by_cost_and_not_by_number():
    """The initial training is one task of fourteen and a third of the work; 60 seconds for it leave more than that."""
    work = Work(RUNS, COSTS)
    work.resumed(INITIAL, 0, 20_000)
    assert work.seconds_left(10) == ""
    work.advanced(INITIAL, 20_000)
    work.ended(INITIAL, "done")
    assert work.amount() == "1/14"
    assert 0.2 < work.spent / work.total < 0.6
    left = 60 * (work.total - work.spent) / work.spent
    assert work.seconds_left(60) in {f", {left:.0f} s left", f", {left / 60:.0f} min left"}


def test_what_was_done_before_does_not_count_as_speed():
    """A run that goes on from its middle: the first half took no time now."""
    fresh, resumed = Work([INITIAL], COSTS), Work([INITIAL], COSTS)
    fresh.resumed(INITIAL, 0, 20_000)
    resumed.resumed(INITIAL, 10_000, 20_000)
    fresh.advanced(INITIAL, 10_000)
    resumed.advanced(INITIAL, 15_000)
    assert fresh.seconds_left(100) == ", 2 min left"
    assert resumed.seconds_left(100) == ", 2 min left"


def test_everything_done_leaves_no_time():
    work = Work(HYPEROPS, COSTS)
    for run in HYPEROPS:
        work.resumed(run, 0, 5_000)
        work.ended(run, "done")
    assert work.spent == pytest.approx(work.total)
    assert work.seconds_left(1) == ""


def test_a_supermask_has_no_iterations_and_a_baseline_may_have_none():
    work = Work([SUPERMASK, BASELINE], COSTS)
    work.resumed(SUPERMASK, 0, 0)
    work.resumed(BASELINE, 0, 0)
    work.ended(SUPERMASK, "done")
    assert work.amount() == "1/2"


def test_a_log_has_a_line_for_every_task_that_ends(capsys):
    lines = Lines([TICKET], COSTS)
    lines.started(TICKET, 1_000, 5_000)
    lines.advanced(TICKET, 5_000, [Metric(5_000, 0.1, 0.0912, 0.975)])
    lines.ended(TICKET, "done", "")
    first, second = capsys.readouterr().err.splitlines()
    assert first == "seed 0 ticket: goes on from iteration 1,000 of 5,000"
    assert second == "[1/1] seed 0 ticket done, iteration 5,000: validation loss 0.0912, accuracy 0.9750"


def test_a_terminal_has_bars_and_keeps_what_failed(monkeypatch):
    """Drawn on a terminal of 100 columns: the whole and each running network; a failure stays to be read."""
    from io import StringIO

    from rich.console import Console

    screen = Console(file=StringIO(), force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(say, "words", screen)
    with shown([TICKET, *HYPEROPS], COSTS, "all") as watcher:
        watcher.started(TICKET, 0, 5_000)
        watcher.advanced(TICKET, 2_000, [Metric(2_000, 0.1, 0.0912, 0.975)])
        watcher.started(HYPEROPS[0], 0, 5_000)
        watcher.ended(HYPEROPS[0], "failed", "the disk is full")
    drawn = screen.file.getvalue()
    assert "seed 0 ticket" in drawn
    assert "2,000 loss 0.091" in drawn
    assert "0/11" in drawn
    assert "seed 0 hyperop (200, 30) failed the disk is full" in drawn

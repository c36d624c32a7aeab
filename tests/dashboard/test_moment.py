"""What follows from the runs of a store."""

from dataclasses import replace
from datetime import timedelta

import made_up
import pytest
from single_runs import DONE, PENDING

from ltsm.dashboard import moment as now
from ltsm.protocol import PAPER


def test_a_diverged_run_is_finished_and_a_failed_one_is_not():
    states = ["done", "diverged", "failed", "interrupted", "running", "pending"]
    assert now.finished([replace(PENDING, state=state) for state in states]) == 2


def test_speed_is_unknown_before_the_first_segment():
    assert now.speed(PENDING) is None
    assert now.speed(DONE) == 500


def test_time_left_is_unknown_while_nothing_has_run():
    assert now.seconds_left([PENDING], PAPER) is None


def test_time_left_counts_every_run_at_its_architectures_speed():
    slow = replace(DONE, hidden=(200, 30), seconds=40.0)
    waiting = [PENDING, replace(PENDING, hidden=(200, 30))]
    assert now.seconds_left([DONE, slow, *waiting], PAPER) == pytest.approx(10 + 40)
    unknown = replace(PENDING, hidden=(7,))
    assert now.seconds_left([DONE, slow, unknown], PAPER) == pytest.approx(25)


def test_time_left_is_shared_among_runs_side_by_side():
    half = replace(DONE, state="running", iteration=2500, seconds=5.0)
    assert now.seconds_left([half, half], PAPER) == pytest.approx(5)


def test_a_baseline_of_unknown_length_is_as_long_as_the_known_ones():
    known = replace(DONE, kind="baseline", iterations=4000, iteration=4000, seconds=8.0)
    unknown = replace(PENDING, kind="baseline", iterations=0)
    assert now.seconds_left([known, unknown], PAPER) == pytest.approx(8)


def test_the_last_record_is_that_of_a_run_that_began():
    later = replace(PENDING, updated_at=made_up.NOW + timedelta(hours=1))
    assert now.newest([later]) is None
    assert now.newest([later, DONE]) == made_up.NOW


def test_the_run_that_began_last_comes_first():
    first = replace(DONE, state="running")
    second = replace(first, started_at=made_up.NOW + timedelta(minutes=1))
    assert now.running([first, second, PENDING]) == [second, first]

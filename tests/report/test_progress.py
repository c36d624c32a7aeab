"""What follows from the runs of a store."""

from dataclasses import replace
from datetime import timedelta

import made_up
import pytest
from single_runs import DONE, PENDING

from ltsm.report import progress
from ltsm.studies.recipe import Learned


def test_a_diverged_run_is_finished_and_a_failed_one_is_not():
    states = ["done", "diverged", "failed", "interrupted", "running", "pending"]
    assert progress.finished([PENDING._replace(state=state) for state in states]) == 2


def test_speed_is_unknown_before_the_first_segment():
    assert progress.speed(PENDING) is None
    assert progress.speed(DONE) == 500


def test_time_left_is_unknown_while_nothing_has_run():
    assert progress.seconds_left([PENDING], {}) is None


def test_time_left_counts_every_run_at_its_architectures_speed():
    slow = DONE._replace(hidden=(200, 30), seconds=40.0)
    waiting = [PENDING, PENDING._replace(hidden=(200, 30))]
    assert progress.seconds_left([DONE, slow, *waiting], {}) == pytest.approx(10 + 40)
    as_large = PENDING._replace(hidden=(230, 0))
    assert progress.seconds_left([slow, as_large], {}) == pytest.approx(40)
    assert progress.seconds_left([slow, as_large._replace(hidden=(100,))], {}) == pytest.approx(20)


def test_time_left_counts_masks_that_are_trained_at_a_speed_of_their_own():
    """Also in a network of the same size; one that nobody has trained yet by the effort of its batches."""
    mask, other = (Learned(method="bernoulli", lr=1.0, batch_size=size) for size in (30, 60))
    learned = {"learned": mask, "as large": replace(mask, lr=2.0), "larger": other}
    slow = DONE._replace(recipe="learned", seconds=40.0)
    waiting = PENDING._replace(recipe="learned")
    assert progress.seconds_left([DONE, slow, PENDING, waiting], learned) == pytest.approx(10 + 40)
    larger = [PENDING._replace(recipe=name) for name in ("as large", "larger")]
    assert progress.seconds_left([slow, *larger], learned) == pytest.approx(40 + 40 * 4 / 3)
    assert progress.seconds_left([slow, PENDING], learned) == pytest.approx(40 / 3)


def test_time_left_is_shared_among_runs_side_by_side():
    half = DONE._replace(state="running", iteration=2500, seconds=5.0)
    assert progress.seconds_left([half, half], {}) == pytest.approx(5)


def test_a_run_of_unknown_length_is_as_long_as_the_known_ones_of_its_recipe():
    known = DONE._replace(recipe="baseline", iterations=4000, iteration=4000, seconds=8.0)
    unknown = PENDING._replace(recipe="baseline", iterations=None)
    assert progress.seconds_left([known, DONE._replace(iterations=9), unknown], {}) == pytest.approx(8)
    assert progress.seconds_left([DONE, unknown], {}) == pytest.approx(10), "or else of all"


def test_what_trains_nothing_takes_no_time():
    assert progress.seconds_left([DONE, PENDING._replace(recipe="supermask", iterations=0)], {}) == 0


def test_percent_is_100_only_at_the_end():
    assert progress.percent(PENDING._replace(iteration=4999)) == 99
    assert progress.percent(DONE) == 100
    assert progress.percent(PENDING._replace(iterations=None)) is None
    assert progress.percent(PENDING._replace(iterations=0)) is None


def test_the_last_record_is_that_of_a_run_that_began():
    later = PENDING._replace(updated_at=made_up.NOW + timedelta(hours=1))
    assert progress.newest([later]) is None
    assert progress.newest([later, DONE]) == made_up.NOW


def test_the_run_that_began_last_comes_first():
    first = DONE._replace(state="running")
    second = first._replace(started_at=made_up.NOW + timedelta(minutes=1))
    assert progress.running([first, second, PENDING]) == [second, first]


@pytest.mark.parametrize(
    ("newest", "since", "silent"),
    [
        (10, 600, None),
        (600, 700, 600.0),
        (7200, 30, None),
        (None, 300, 300.0),
        (None, None, None),
        (120, 120, None),
    ],
)
def test_who_writes_is_silent_after_two_minutes_from_when_it_began(newest, since, silent):
    """Seconds ago: the last record, and the beginning; yesterday's records do not make a new sweep silent."""
    ago = [None if s is None else made_up.NOW - timedelta(seconds=s) for s in (newest, since)]
    assert progress.silence(*ago, made_up.NOW) == silent

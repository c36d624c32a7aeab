"""How the dashboard writes."""

from dataclasses import replace
from math import nan
from pathlib import Path
from typing import get_args

import pytest
from rich.cells import cell_len
from single_runs import DONE, PENDING

from ltsm.dashboard import words
from ltsm.dashboard.moment import Moment
from ltsm.protocol import SMOKE
from ltsm.store.values import State


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (7.6, "8 s"),
        (90, "2 min"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (200_000, "2.3 d"),
    ],
)
def test_durations_have_two_figures(seconds, text):
    assert words.duration(seconds) == text


def test_a_missing_number_is_nothing():
    assert words.number(None) == words.number(nan) == ""
    assert words.number(1234.5678, 1) == "1,234.6"


def test_a_single_seed_has_no_deviation():
    assert words.spread(0.0914, 0.0071) == "0.091 ± 0.007"
    assert words.spread(0.0914, nan) == "0.091"


def test_every_state_has_a_glyph_of_its_own_and_one_cell():
    assert set(words.GLYPHS) == set(words.TONES) == set(get_args(State))
    assert len(set(words.GLYPHS.values())) == len(words.GLYPHS)
    assert {cell_len(glyph) for glyph in words.GLYPHS.values()} == {1}


def test_a_run_names_the_command_that_does_it_again():
    """With the store and the protocol; a finished run is only done again by force."""
    moment = Moment(
        path=Path("x y.db"),
        protocols=(),
        protocol_id=1,
        protocol=SMOKE,
        runs=(DONE, PENDING),
        latest={},
        supermasks={},
        holder=None,
    )
    expected = "ltsm train-hyperop --seed 0 --sizes 50,5 --smoke"
    assert words.command(PENDING, moment) == f"{expected} --store 'x y.db'"
    assert words.command(DONE, moment) == f"{expected} --force --store 'x y.db'"


def test_percent_is_100_only_at_the_end():
    assert words.percent(replace(PENDING, iteration=4999)) == 99
    assert words.percent(DONE) == 100
    assert words.percent(replace(PENDING, iterations=0)) is None

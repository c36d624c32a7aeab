"""How the dashboard writes."""

from math import nan
from typing import get_args

import pytest
from rich.cells import cell_len

from ltsm.dashboard import seeds, words
from ltsm.store.values import MaskRow, State


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


def test_a_mask_says_how_much_it_keeps_and_by_what():
    mask = MaskRow(1, 0, 0.125, 0.1, (), 1.0, 0.5, selected=True)
    assert words.amount(mask) == "t=0.125"
    assert words.amount(mask._replace(amount_by="fraction")) == "12.5%"


async def test_a_run_names_the_command_that_does_it_again(watching, controlled):
    """With the study, the store and the protocol; a finished run is only done again by force."""
    async with watching(controlled) as watched:
        moment = watched.app.moment
        failed = next(run for run in moment.runs if run.state == "failed")
        done = next(run for run in moment.runs if run.recipe == "redrawn, same signs")
        where = f"--protocol 1 --store {controlled}"
        assert words.command(failed, moment) == f"ltsm sweep controls --only 'random mask' --seeds 2 {where}"
        expected = f"ltsm sweep controls --only 'redrawn, same signs' --seeds 0 --protocol 1 --force --store {controlled}"
        assert words.command(done, moment) == expected


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (160, "baseline | supermask | ticket | (100, 25)"),
        (60, "baseline | super/mask | ticket | 100/25"),
        (46, "base/line | super/mask | tic/ket | 100/25"),
        (10, "base/line | supe | tic/ket | 100/25"),
    ],
)
def test_a_long_word_at_the_head_of_a_narrow_column_is_in_two_lines(width, heads):
    """Where the halves have room; else it is cut."""
    recipes = ("baseline", "supermask", "ticket", "hyperop (100, 25)", "hyperop (50, 5)", "hyperop (50, 15)")
    titles = [column.title.replace("\n", "/") for column in seeds.columns(recipes, width)[1:5]]
    assert " | ".join(titles) == heads

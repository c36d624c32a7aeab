"""Filters of runs, and the numbers that they compare."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from single_runs import DONE, PENDING

from ltsm.errors import UsageError
from ltsm.report import filters, listing
from ltsm.report.listing import Listed
from ltsm.store import read, schema
from ltsm.store.values import Metric

RECIPES = ["ticket", "hyperop (50, 5)", "hyperop (100, 15)", "random mask"]


def one(number, loss, accuracy, **of_run):
    run = DONE._replace(id=number, **of_run)
    return Listed(run, Metric(run.iteration, 0.0, loss, accuracy))


RUNS = [
    one(1, 0.181, 0.950, seed=1, relative_size=0.15, iteration=5000, best_iteration=4700),
    one(2, 0.0911, 0.9749, seed=3, recipe="ticket", hidden=(200, 30), relative_size=0.298),
    Listed(
        PENDING._replace(
            id=3,
            seed=3,
            state="failed",
            recipe="hyperop (100, 15)",
            hidden=(100, 15),
            relative_size=None,
        )
    ),
]


def ids(text):
    passes = filters.parse(text, RECIPES)
    return [one.run.id for one in RUNS if passes(one)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [1, 2, 3]),
        ("   ", [1, 2, 3]),
        ("kind:ticket", [2]),
        ("kind:t,h", [1, 2, 3]),
        ("seed:3", [2, 3]),
        ("seed:0-2", [1]),
        ("seed=0-2,3", [1, 2, 3]),
        ("seed!=0-2", [2, 3]),
        ("seed>=2", [2, 3]),
        ("state:failed seed:3", [3]),
        ("hidden:100,15", [3]),
        ("hidden != 100,15", [1, 2]),
        ("hyperop", [1, 3]),
        ("HYPEROP", [1, 3]),
        ("kind:ticket state:failed", []),
        ("recipe:hyperop-100-15", [3]),
        ('recipe:"hyperop (100, 15)"', [3]),
        ("recipe:hyperop", [1, 3]),
        ("loss<0.1", [2]),
        ("loss < 0.1", [2]),
        ("loss>0.1", [1]),
        ("accuracy>=0.97", [2]),
        ("accuracy>=97%", [2]),
        ("accuracy=0.97", [2]),
        ("accuracy=0.98", []),
        ("accuracy:97.5%", [2]),
        ("size<20%", [1]),
        ("size<.2", [1]),
        ("iteration=5000 best>4000", [1]),
        ("loss<0.1 or state:failed", [2, 3]),
        ("loss<0.1 OR state:failed", [2, 3]),
        ("seed:3 and not state:failed", [2]),
        ("not (kind:ticket or loss>0.1)", [3]),
        ("seed:1 or seed:3 state:failed", [1, 3]),
        ("(seed:1 or seed:3) state:failed", [3]),
        ("not not ticket", [2]),
        ("3", [2, 3]),
    ],
)
def test_a_filter_means_what_a_person_reads(text, found):
    """`and` is nothing written, binds closer than `or`, and `not` closer than both."""
    assert ids(text) == found


@pytest.mark.parametrize("comparison", ["loss<9", "loss<=9", "loss>0", "loss>=0", "loss=0", "size>0"])
def test_a_run_without_the_number_passes_no_comparison(comparison):
    assert 3 not in ids(comparison)
    assert 3 in ids(f"not {comparison}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour:red", "no 'colour' to filter by"),
        ("colour<3", "no 'colour' to filter by"),
        ("xyzzy", "no run has 'xyzzy' in its name"),
        ("seed:x", "numbers and ranges"),
        ("hidden:", "value after hidden:"),
        ("kind:x", "there are ticket, hyperop, random"),
        ("recipe:x", "there are ticket, hyperop-50-5"),
        ("state:asleep", "there are pending"),
        ("loss<", "value after loss<"),
        ("loss<small", "such as 0.1 or 97%"),
        ("loss<nan", "such as 0.1 or 97%"),
        ("state<3", "state is no number"),
        ("<3", "a field or a word is missing before '<'"),
        ("loss<0.1 or", "missing at the end"),
        ("or loss<0.1", "missing before 'or'"),
        ("not", "missing at the end"),
        ("(loss<0.1", "a bracket is not closed"),
        ("loss<0.1)", "a bracket is closed that was not opened"),
        ("()", "missing before ')'"),
        ('"ticket', "missing before '\"'"),
        ("!ticket", "missing before '!'"),
        (500 * "(" + "ticket" + 500 * ")", "more than 50 brackets"),
        (500 * "not " + "ticket", "more than 50 brackets"),
    ],
)
def test_what_is_no_filter_is_refused_in_a_sentence(text, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        filters.parse(text, RECIPES)


_PIECES = st.sampled_from(
    [*'()<>=!:" ', "and", "or", "not", "loss", "kind", "ticket", "0.1", "97%", "seed", "0-3"]
)


@given(st.lists(_PIECES, max_size=12).map(" ".join) | st.text(max_size=20))
def test_any_line_is_a_filter_or_a_sentence(text):
    """Whoever types is in the middle of something at every key."""
    try:
        passes = filters.parse(text, RECIPES)
    except UsageError as refused:
        assert refused.message.endswith(".")
    else:
        assert all(passes(one) in {True, False} for one in RUNS)


def test_the_numbers_are_those_of_the_last_record_or_of_the_mask(stores):
    store = schema.open_for_reading(stores("one"))
    runs = read.runs(store)
    found = {(one.run.recipe, one.run.seed): one for one in listing.load(store, runs)}
    (result,) = (r for r in read.results(store, runs[0].protocol_id) if (r.recipe, r.seed) == ("ticket", 0))
    (mask,) = (m for m in read.masks(store, runs[0].protocol_id, selected=True) if m.seed == 0)
    store.close()
    assert (found["ticket", 0].loss, found["ticket", 0].accuracy) == (
        result.final_val_loss,
        result.final_val_accuracy,
    )
    assert found["supermask", 0].accuracy == mask.val_accuracy

"""Differences paired by seed, and their correction."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ltsm.report.grids import of_comparison
from ltsm.report.paired import ENOUGH_PAIRS, Comparison, difference, differences, holm_together
from ltsm.report.table import FINAL_LOSS
from ltsm.report.words import p_text


def pair(label, *differences):
    return difference(label, dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0))


def test_only_seeds_that_have_both_are_pairs():
    found = difference("x", {0: 1.0, 1: 2.0, 3: 5.0}, {1: 1.5, 2: 9.0, 3: 4.0})
    assert (found.difference.n, found.difference.mean) == (2, 0.75)
    assert (found.lower, found.higher) == (0, 2)


def test_p_is_corrected_by_hand_after_holm():
    """The least p times 2, the other times 1; one with too few pairs is not counted."""
    clear, dull, few = pair("a", 1, 2, 3, 4, 5), pair("b", -1, 2, 1, 3, 1), pair("c", 1, 1.1, 0.9)
    one, two, three = holm_together([dull, clear, few])
    assert (one.p, two.p, three.p) == (dull.p, clear.p, few.p)
    assert two.corrected_p == pytest.approx(2 * clear.p)
    assert one.corrected_p == pytest.approx(max(dull.p, 2 * clear.p))
    assert math.isnan(three.corrected_p)
    assert Comparison("", "", "", FINAL_LOSS, (one, two, three)).tested == 2


def test_of_too_few_seeds_nothing_is_said():
    found = differences(
        "the ticket", Comparison("final", "", "", FINAL_LOSS, (pair("a", 1, 2), pair("b", 1)))
    )
    assert (found.name, found.answer) == ("final_differs", "not enough seeds")
    assert f"2 finished, at least {ENOUGH_PAIRS} needed" in found.sentence


def test_words_follow_the_corrected_p():
    """Alone it is shown, beside nine others it is not; its own interval stays what it was."""
    shown = pair("a", 1, 2, 0.5, 3, 2)
    (alone,) = holm_together([shown])
    among, *_ = holm_together([shown, *[pair("b", -1, 1, -1, 1, 0.1)] * 9])
    assert (alone.direction, among.direction) == (1, 0)
    assert among.interval == alone.interval
    assert among.interval.low > 0


def test_the_evidence_counts_the_seeds_on_the_means_own_side():
    """The numbers of Student's t by hand, which side the mean is on, and how many comparisons it was corrected for."""
    higher, lower = pair("a", -1, 2, 3, 4, 5, 6), pair("b", 1, -2, -3, -4, -5, -6)
    half, n = stats.t.ppf(0.975, 5) * np.std([-1, 2, 3, 4, 5, 6], ddof=1) / math.sqrt(6), "5 of 6 seeds"
    mean = 19 / 6
    assert higher.evidence(FINAL_LOSS, 1).startswith(
        f"95% interval {mean - half:+.3f} to {mean + half:+.3f}; "
    )
    assert higher.evidence(FINAL_LOSS, 1).endswith(f"{p_text(higher.p)}; higher for {n}")
    for of in (2, 7):
        words = f"{p_text(lower.p)} corrected for {of} comparisons; lower for {n}"
        assert lower.evidence(FINAL_LOSS, of).endswith(words)


@given(st.lists(st.lists(st.integers(-9, 9), min_size=2, max_size=9), min_size=1, max_size=6))
def test_no_interval_contradicts_its_p_and_no_word_the_correction(tables):
    for found in holm_together([pair("", *values) for values in tables]):
        assert (found.interval.low <= 0 <= found.interval.high) == (found.p >= 0.05)
        assert not found.corrected_p < found.p
        assert bool(found.direction) == (found.corrected_p < 0.05)
        assert found.enough == (found.difference.n >= ENOUGH_PAIRS)


def test_the_table_says_too_few_instead_of_numbers():
    comparison = Comparison(
        "n", "t", "A minus …", FINAL_LOSS, holm_together([pair("a", *range(1, 6)), pair("b", 1, 2)])
    )
    first, second = (tuple(cell[0] for cell in entry.cells) for entry in of_comparison(comparison).entries)
    assert first == ("5", "+3.000", "+1.037 to +4.963", "p = 0.013", "p = 0.013", "0 of 5")
    assert second == ("2", "not enough seeds", "–", "–", "–", "–")
    assert "that were tested (1), and is what the words go by" in of_comparison(comparison).caption


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0004, "p < 0.001"),
        (0.0312, "p = 0.031"),
        (0.234, "p = 0.23"),
        (0.0502, "p = 0.0502"),
        (0.04999999, "p < 0.05"),
    ],
)
def test_a_rounded_p_is_on_its_side_of_5_per_cent(p, text):
    assert p_text(p) == text

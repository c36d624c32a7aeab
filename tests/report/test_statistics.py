"""The statistics against scipy's, which are too slow to import for the program itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from ltsm.report import distributions, statistics
from ltsm.report.statistics import Summary


def test_a_spread_is_the_sample_standard_deviation():
    """Nine runs at 4900 and one at 4600 are the paper's 4870.0 ± 94.9."""
    found = statistics.summarise([4900] * 9 + [4600])
    assert (found.n, found.mean, round(found.sd, 1)) == (10, 4870.0, 94.9)


def test_one_value_has_no_spread_and_none_no_mean():
    assert math.isnan(statistics.summarise([1.0]).sd)
    assert math.isnan(statistics.summarise([]).mean)
    assert statistics.summarise([0.1] * 3).sd == 0


def test_welch_is_scipys():
    a, b = Summary(10, 0.091, 0.007), Summary(7, 0.109, 0.019)
    expected = stats.ttest_ind_from_stats(a.mean, a.sd, a.n, b.mean, b.sd, b.n, equal_var=False).pvalue
    assert statistics.welch(a, b) == pytest.approx(expected, rel=1e-9)
    assert math.isnan(statistics.welch(Summary(1, 0.1, math.nan), b))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=12))
def test_wilcoxon_is_the_share_of_all_signs_that_are_as_extreme(differences):
    """Every sign flipped by hand, ties and zeros included."""
    found = statistics.wilcoxon([float(d) for d in differences])
    kept = np.array([d for d in differences if d])
    if not len(kept):
        assert math.isnan(found)
        return
    ranks = stats.rankdata(np.abs(kept))
    signs = (np.arange(2 ** len(kept))[:, None] >> np.arange(len(kept))) & 1
    sums, ours = signs @ ranks, ranks[kept > 0].sum()
    least = min(ours, ranks.sum() - ours)
    assert found == pytest.approx(min(1, 2 * (sums <= least + 1e-9).mean()))


def test_wilcoxon_is_scipys_for_few_and_many():
    rng = np.random.default_rng(5)
    few, many = rng.normal(0.5, 1, 15), rng.normal(0.1, 1, 300)
    assert statistics.wilcoxon(few) == pytest.approx(stats.wilcoxon(few, method="exact").pvalue)
    expected = stats.wilcoxon(many, method="approx", correction=False).pvalue
    assert statistics.wilcoxon(many) == pytest.approx(expected)


def test_six_unanimous_pairs_are_the_first_that_can_convince():
    assert statistics.wilcoxon([1.0] * 5) == 0.0625
    assert statistics.wilcoxon([1.0] * statistics.ENOUGH_SEEDS) < 0.05


def test_the_bootstrap_interval_is_scipys_and_the_same_every_time():
    values = np.random.default_rng(1).gamma(2, 1, 30)
    found = statistics.bootstrap(values)
    scipys = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(2)).confidence_interval
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), rel=0.02)
    assert statistics.bootstrap(values) == found
    assert statistics.bootstrap([2.0, 2.0]) == statistics.Interval(2.0, 2.0)
    assert math.isnan(statistics.bootstrap([1.0]).low)


def test_holm_is_the_textbook_example():
    corrected = statistics.holm([0.01, 0.04, math.nan, 0.03, 0.005])
    assert corrected[:2] == pytest.approx([0.03, 0.06])
    assert math.isnan(corrected[2])
    assert corrected[3:] == pytest.approx([0.06, 0.02])


def test_spreads_of_normal_values_are_compared_as_by_the_f_test():
    values = stats.norm.ppf((np.arange(100) + 0.5) / 100)
    ours = statistics.summarise(values)
    assert statistics.equal_spreads(values, Summary(100, 0, ours.sd)) == pytest.approx(1, abs=0.02)
    assert statistics.equal_spreads(values, Summary(100, 0, 2 * ours.sd)) < 1e-3


def test_one_outlier_is_no_different_spread():
    """The ticket's minimal loss in the study of the paper's unstated choices: one seed of ten drew t = 0.2."""
    values = [0.075, 0.076, 0.077, 0.078, 0.078, 0.079, 0.08, 0.081, 0.076, 0.13]
    published = Summary(10, 0.078, 0.004)
    ratio = (statistics.summarise(values).sd / published.sd) ** 2
    assert 2 * stats.f.sf(ratio, 9, 9) < 0.001
    assert statistics.equal_spreads(values, published) > 0.05


def test_two_clusters_are_no_different_spread():
    """Four of ten tickets from high thresholds: another draw of ten seeds may well have none."""
    values = [0.075, 0.076, 0.077, 0.078, 0.078, 0.079, 0.105, 0.107, 0.11, 0.112]
    published = Summary(10, 0.078, 0.004)
    assert 2 * stats.f.sf((statistics.summarise(values).sd / published.sd) ** 2, 9, 9) < 0.001
    assert statistics.equal_spreads(values, published) > 0.005


def test_values_without_any_spread_are_no_draw_from_ones_with_it():
    assert statistics.equal_spreads([0.078] * 10, Summary(10, 0.078, 0.004)) == 0
    assert statistics.equal_spreads([1, 2, 3], Summary(10, 2, 0)) == 0
    assert statistics.equal_spreads([2.0] * 10, Summary(10, 2, 0)) == 1
    assert math.isnan(statistics.equal_spreads([2.0, 2.0], Summary(10, 2, 1)))


def test_least_values_that_are_equal_are_no_surprise_and_far_ones_are():
    assert statistics.extreme(0.19, 10, 0.19, 10, 0.15) > 0.9
    assert statistics.extreme(0.19, 10, 0.80, 10, 0.15) < 0.001
    assert statistics.extreme(0.19, 10, 0.19, 10, 0) == 1


@given(st.floats(0, 50), st.floats(0.6, 300))
def test_students_tails_are_scipys(t, freedom):
    assert distributions.t_test(t, freedom) == pytest.approx(
        2 * special.stdtr(freedom, -t), rel=1e-9, abs=1e-300
    )


@given(st.floats(0, 100), st.floats(0.6, 300), st.floats(0.6, 300))
def test_the_tails_of_f_are_scipys(ratio, above, below):
    expected = special.fdtrc(above, below, ratio)
    assert distributions.f_tail(ratio, above, below) == pytest.approx(expected, rel=1e-8, abs=1e-13)

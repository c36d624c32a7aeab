"""The statistics against those of scipy.stats, which is too slow to import for the program itself."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ltsm.report import statistics
from ltsm.report.statistics import Summary


def test_a_spread_is_the_sample_standard_deviation():
    """Nine runs at 4900 and one at 4600 are the paper's 4870.0 ± 94.9."""
    found = statistics.summarise([4900] * 9 + [4600])
    assert (found.n, found.mean, round(found.sd, 1)) == (10, 4870.0, 94.9)


def test_one_value_has_no_spread_and_none_no_mean():
    assert math.isnan(statistics.summarise([1.0]).sd)
    assert math.isnan(statistics.summarise([]).mean)
    assert statistics.summarise([0.1] * 3).sd == 0


@pytest.mark.parametrize("n", [10, 2])
def test_welch_is_scipys(n):
    a, b = Summary(n, 0.091, 0.007), Summary(7, 0.109, 0.019)
    expected = stats.ttest_ind_from_stats(a.mean, a.sd, a.n, b.mean, b.sd, b.n, equal_var=False).pvalue
    assert statistics.welch(a, b) == pytest.approx(expected, rel=1e-9)
    assert math.isnan(statistics.welch(Summary(1, 0.1, math.nan), b))


def test_the_two_sample_interval_is_scipys_and_none_where_a_spread_is_missing():
    a, b = [0.3, -0.1, 0.4, 0.25, 0.1], [0.05, 0.2, 0.0]
    interval, p = statistics.two_sample(statistics.summarise(a), statistics.summarise(b))
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-9)
    for few in (Summary(1, 1.0, math.nan), Summary(3, 1.0, math.nan)):
        interval, p = statistics.two_sample(few, statistics.summarise(b))
        assert all(map(math.isnan, (interval.low, interval.high, p)))


def test_the_t_test_is_scipys():
    values = [0.3, -0.1, 0.4, 0.25, 0.1]
    interval, p = statistics.one_sample(values, null=0.05)
    expected = stats.ttest_1samp(values, 0.05)
    assert p == pytest.approx(expected.pvalue, rel=1e-12)
    assert (interval.low, interval.high) == pytest.approx(
        tuple(expected.confidence_interval(0.95)), rel=1e-12
    )


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=15), st.integers(-10, 10))
def test_the_interval_leaves_the_null_out_exactly_when_p_is_below_5_per_cent(values, null):
    """Once, an interval of one method stood beside the p of another, which contradicted it."""
    interval, p = statistics.one_sample([float(v) for v in values], float(null))
    assert (interval.low <= null <= interval.high) == (p >= statistics.LEVEL)
    assert interval.low <= sum(values) / len(values) <= interval.high or interval.low == pytest.approx(
        interval.high
    )


def test_equal_values_leave_no_doubt_and_one_value_says_nothing():
    assert statistics.one_sample([2.0, 2.0]) == (statistics.Interval(2.0, 2.0), 0.0)
    assert statistics.one_sample([0.0, 0.0]) == (statistics.Interval(0.0, 0.0), 1.0)
    assert math.isnan(statistics.one_sample([1.0])[1])
    assert math.isnan(statistics.one_sample([])[0].low)


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


@pytest.mark.parametrize("ratio", [0.7, 0.9, 1.3, 1.6])
def test_where_tails_are_no_heavier_than_normal_ones_it_is_the_f_test(ratio):
    """Even values have light tails, which count as normal ones: then Shoemaker's degrees of freedom are n - 1."""
    values, n = [float(v) for v in range(10)], 7
    other = Summary(n, 0, statistics.summarise(values).sd / ratio)
    expected = 2 * min(stats.f.sf(ratio**2, 9, n - 1), stats.f.cdf(ratio**2, 9, n - 1))
    assert expected > statistics.LEVEL
    assert statistics.equal_spreads(values, other) == pytest.approx(expected, rel=1e-9)


def test_heavy_tails_leave_fewer_degrees_of_freedom():
    """Shoemaker's for a kurtosis g, by hand: 2n / (g - (n - 3) / (n - 1))."""
    values = [0.0] * 4 + [1.0] * 4 + [-3.0, 4.0]
    g, sd = stats.kurtosis(values, fisher=False), np.std(values, ddof=1)
    assert g > 3
    assert statistics.kurtosis(values) == pytest.approx(g)
    freedom = [2 * n / (g - (n - 3) / (n - 1)) for n in (10, 6)]
    p = statistics.equal_spreads(values, Summary(6, 0, sd / 1.2))
    assert p == pytest.approx(2 * stats.f.sf(1.44, *freedom), rel=1e-9)


def test_drawn_spreads_are_those_of_all_samples():
    """Of four values there are 64 samples of three: the share as far off as the published one, twice."""
    values = [0.0, 1.0, 2.0, 4.0]
    spreads = np.array([np.std(sample, ddof=1) for sample in itertools.product(values, repeat=3)])
    for sd in (0.3, 0.7, 1.1, 1.9, 2.2, 2.4):
        expected = min(1.0, 2 * min((spreads <= sd).mean(), (spreads >= sd).mean()))
        assert statistics._drawn_spreads(values, Summary(3, 0, sd)) == pytest.approx(expected, abs=0.02)


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

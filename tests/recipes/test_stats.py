import math

import pytest
from scipy import stats as scipy_stats

from mixwell.recipes.stats import Interval, interval, paired, t_quantile, verdict


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 29, 30, 31, 100, 999])
@pytest.mark.parametrize("probability", [0.5, 0.75, 0.9, 0.95, 0.975, 0.995, 0.9995])
def test_quantile_is_scipys(probability, freedom):
    expected = scipy_stats.t.ppf(probability, freedom)
    assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_quantiles_of_the_printed_tables():
    assert t_quantile(0.975, 2) == pytest.approx(4.303, abs=5e-4)
    assert t_quantile(0.975, 4) == pytest.approx(2.776, abs=5e-4)


def test_interval_by_hand():
    # 1, 2, 3: mean 2, deviation 1; 4.30265 / sqrt(3) = 2.48414
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.spread, found.n) == (2.0, 1.0, 3)
    assert found.low == pytest.approx(2 - 2.48414, abs=1e-5)
    assert found.high == pytest.approx(2 + 2.48414, abs=1e-5)
    assert found.half == pytest.approx(2.48414, abs=1e-5)


def test_paired_by_hand():
    # The seeds differ by tens, the policies by 1, 2 and 3: pairing must cancel the seeds.
    found = paired([11.0, 52.0, 93.0], [10.0, 50.0, 90.0])
    assert found == interval([1.0, 2.0, 3.0])


def test_paired_agrees_with_scipy():
    ours, theirs = [0.91, 0.95, 0.90, 0.97], [0.90, 0.92, 0.91, 0.93]
    found = paired(ours, theirs, level=0.9)
    expected = scipy_stats.ttest_rel(ours, theirs).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_value_has_no_interval():
    found = interval([0.5])
    assert found == Interval(0.5, None, None, 1, None)
    assert found.half is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.01, 0.011, 0.012], "better"),
        ([-0.01, -0.011, -0.012], "worse"),
        ([-0.01, 0.02, 0.01], "undecided"),
        ([0.02], "single"),
        ([0.02, 0.02], "constant"),
        ([0.0, 0.0], "undecided"),
    ],
)
def test_verdict(values, expected):
    assert verdict(interval(values)) == expected


def test_refusals():
    with pytest.raises(ValueError, match="at least one value"):
        interval([])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        paired([1.0, 2.0], [1.0])
    for probability, freedom in ((0.4, 3), (1.0, 3), (math.nan, 3), (0.9, 0)):
        with pytest.raises(ValueError, match="t_quantile needs"):
            t_quantile(probability, freedom)

"""Paired ratios, their interval, and where it lies."""

import pytest

from bench.intervals import Interval, ratio_interval, verdict


def test_the_ratio_is_the_geometric_mean() -> None:
    found = ratio_interval([(2.0, 1.0), (1.0, 2.0)])
    assert found.ratio == pytest.approx(1.0)
    assert found.low * found.high == pytest.approx(1.0)


def test_equal_rounds_leave_nothing_open() -> None:
    found = ratio_interval([(30.3, 30.0)] * 5)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.01, 1.01, 1.01))


def test_the_interval_is_that_of_students_t() -> None:
    """Logarithms 0.00, 0.01, 0.02: mean 0.01, deviation 0.01, t for two degrees of freedom 4.303."""
    pairs = [(1.0, 1.0), (1.010050167, 1.0), (1.020201340, 1.0)]
    found = ratio_interval(pairs)
    assert found.low == pytest.approx(0.98527, abs=1e-5)
    assert found.high == pytest.approx(1.03546, abs=1e-5)


def test_more_rounds_narrow_the_interval_beyond_the_table_too() -> None:
    widths = [
        found.high - found.low for found in (ratio_interval([(1.0, 1.0), (1.1, 1.0)] * n) for n in (5, 15, 16, 40))
    ]
    assert widths == sorted(widths, reverse=True)


def test_one_round_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two rounds"):
        ratio_interval([(1.0, 1.0)])


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.9, 1.019, "within"), (0.99, 1.02, "open"), (1.02, 1.2, "dearer"), (0.9, 1.2, "open")]
)
def test_the_verdict_is_where_the_interval_lies(low: float, high: float, said: str) -> None:
    assert verdict(Interval(1.0, low, high)) == said

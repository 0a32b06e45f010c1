"""Intervals, against published figures."""

import numpy as np
import pytest

from cxlib.errors import CxError
from cxlib.intervals import poisson_interval, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_wilson_intervals_are_those_of_newcombe(successes, n, lower, upper):
    """Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3."""
    found = wilson_interval(successes, n)
    assert found == (pytest.approx(lower, abs=5e-5), pytest.approx(upper, abs=5e-5))


def test_wilson_bounds_stay_within_zero_and_one():
    lower, upper = wilson_interval([0, 7, 3], [7, 7, 7])
    assert lower[0] == 0
    assert upper[1] == 1
    assert (lower >= 0).all()
    assert (upper <= 1).all()


def test_no_cases_have_no_interval():
    assert np.isnan(wilson_interval(0, 0)).all()


@pytest.mark.parametrize(
    ("count", "lower", "upper"),
    [(0, 0.0, 3.69), (1, 0.03, 5.57), (10, 4.80, 18.39), (100, 81.36, 121.63)],
)
def test_poisson_intervals_are_the_exact_ones(count, lower, upper):
    """Garwood (1936), Biometrika 28, 437-442, to the two decimals of the usual tables."""
    found = poisson_interval(count)
    assert found == (pytest.approx(lower, abs=5e-3), pytest.approx(upper, abs=5e-3))


def test_a_higher_confidence_is_a_wider_interval():
    narrow, wide = wilson_interval(5, 20, 0.8), wilson_interval(5, 20, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_that_is_no_share_is_refused(confidence):
    with pytest.raises(CxError, match="must lie between 0 and 1"):
        poisson_interval(1, confidence)

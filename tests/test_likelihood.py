"""Maximum likelihood with standard errors."""

import numpy as np
import pytest

from cxlib.errors import CxError
from cxlib.likelihood import Estimate, maximize


def gamma_loss(times):
    from scipy import stats

    return lambda theta: float(stats.gamma.logpdf(times, theta[0], scale=1 / theta[1]).sum())


def test_the_rate_of_waiting_times_has_the_error_that_theory_gives():
    found = maximize(
        lambda theta: float(400 * np.log(theta[0]) - theta[0] * 100),
        *(["rate"], [[1.0], [50.0]]),
        **{"model": "exponential", "n": 400, "hint": ""},
    ).summary()
    # d log L = n / rate - sum: the rate is n / sum, its error the rate over the root of n.
    assert found["estimate"].tolist() == pytest.approx([4.0], rel=1e-6)
    assert found["standard_error"].tolist() == pytest.approx([0.2], rel=1e-5)


def test_two_parameters_are_those_of_scipy():
    from scipy import stats

    times = np.random.default_rng(1).gamma(2.0, 3.0, size=500)
    shape, _, scale = stats.gamma.fit(times, floc=0)
    found = maximize(
        gamma_loss(times), ["shape", "rate"], [[1, 1], [5, 0.1]], model="gamma", n=500, hint=""
    )
    assert found.values.tolist() == pytest.approx([shape, 1 / scale], rel=1e-4)


def test_a_likelihood_without_a_maximum_is_said_with_what_was_tried():
    message = (
        r"the plain model found no maximum of the likelihood of 10 customers: L-BFGS-B and Newton "
        r"steps from 2 starts \(a = 1; 2\) came furthest at a = .* \(log-likelihood .*\), which is "
        r"at an edge or on a flat ridge; look at the data"
    )
    with pytest.raises(CxError, match=message):
        maximize(
            lambda theta: float(-1 / theta[0]),
            *(["a"], [[1.0], [2.0]]),
            **{"model": "plain", "n": 10, "hint": "look at the data"},
        )


def test_given_parameters_must_be_all_of_them_and_positive():
    known = Estimate(("a", "b"), np.ones(2), np.eye(2), 0.0, 5)
    assert known.at(b=2.0, a=1.5).values.tolist() == [1.5, 2.0]
    with pytest.raises(CxError, match="the parameters are a, b, and a were given"):
        known.at(a=1.0)
    with pytest.raises(CxError, match="must all be positive"):
        known.at(a=1.0, b=-1.0)


def test_draws_repeat_with_their_seed_and_spread_like_the_errors():
    known = Estimate(("a",), np.array([2.0]), np.array([[0.04]]), 0.0, 5)
    drawn = known.draws(20_000, 3)
    assert (drawn == known.draws(20_000, 3)).all()
    assert np.log(drawn).std() == pytest.approx(0.2, rel=0.03)

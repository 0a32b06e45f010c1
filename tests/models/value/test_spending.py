"""The gamma-gamma model of spend."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from cxlib import fit_gamma_gamma
from cxlib.errors import CxError, CxWarning


def simulate(n, seed, p=6.0, q=4.0, v=15.0):
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 8, size=n)
    scale = 1 / rng.gamma(q, 1 / v, size=n)
    return pd.DataFrame({"frequency": x, "money": rng.gamma(p * x, scale / x)})


@pytest.fixture(scope="module")
def spend():
    return simulate(400, 1)


def values(model):
    return model.summary["estimate"].tolist()


def test_every_key_of_cdnow_is_met(shared):
    folder = shared / "cases/survival/cdnow_gammagamma"
    case = json.loads((folder / "expected.json").read_text())
    cdnow = pd.read_csv(folder / "input.csv").rename(columns={"x": "frequency", "zbar": "money"})
    model = fit_gamma_gamma(cdnow)
    published = model.at(p=6.25, q=3.74, v=15.44)
    computed = dict(zip("pqv", values(model), strict=True)) | {
        "n_repeat": model.estimate.n,
        "loglik": model.log_likelihood,
        "cond_mean_first10@published": published.predict(cdnow.head(10))["expected_spend"].tolist(),
        "population_mean@published": published.mean_spend,
        "corr(x,zbar)": model.correlation,
    }
    assert set(computed) == set(case["expected"])
    for key, value in case["expected"].items():
        assert computed[key] == pytest.approx(value, rel=case["rtol_vs_computed"]), key


def test_planted_parameters_are_recovered():
    found = fit_gamma_gamma(simulate(3_000, 2)).summary
    assert ((found["estimate"] - [6, 4, 15]).abs() < 3 * found["standard_error"]).all()


def test_a_customer_is_the_integral_over_all_they_may_be(spend):
    model = fit_gamma_gamma(spend).at(p=6.0, q=4.0, v=15.0)
    nu = stats.gamma(4, scale=1 / 15)

    def mean_of(function):
        return integrate.quad(
            lambda t: function(t) * stats.gamma.pdf(20, 18, scale=1 / (3 * t)) * nu.pdf(t), 0, 5
        )[0]

    witness = mean_of(lambda t: 6 / t) / mean_of(lambda t: 1)
    row = pd.DataFrame({"frequency": [3], "money": [20.0]})
    assert model.predict(row)["expected_spend"].tolist() == pytest.approx([witness], rel=1e-6)
    # The log-likelihood of that one row, with the density of its mean.
    alone = fit_gamma_gamma(pd.concat([spend, row])).at(p=6.0, q=4.0, v=15.0)
    assert alone.mean_spend == pytest.approx(30.0)


def test_the_log_likelihood_is_that_of_the_integrals(spend):
    few = spend.head(150)
    model = fit_gamma_gamma(few)
    p, q, v = values(model)
    prior = stats.gamma(q, scale=1 / v)
    low, high = prior.ppf([1e-14, 1 - 1e-14])
    nodes, weights = np.polynomial.legendre.leggauss(1_000)
    nu = low + (high - low) * (nodes + 1) / 2
    x, money = few["frequency"].to_numpy()[:, None], few["money"].to_numpy()[:, None]
    density = stats.gamma.pdf(money, p * x, scale=1 / (x * nu)) * prior.pdf(nu)
    witness = np.log(density @ weights * (high - low) / 2).sum()
    assert model.log_likelihood == pytest.approx(witness, rel=1e-7)


def test_weights_count_customers(spend):
    once = fit_gamma_gamma(pd.concat([spend, spend]))
    assert values(fit_gamma_gamma(spend.assign(weight=2))) == pytest.approx(values(once), rel=1e-4)


def test_customers_without_repeats_have_the_mean_of_all(spend):
    model = fit_gamma_gamma(spend)
    row = pd.DataFrame({"frequency": [0], "money": [np.nan]})
    assert model.predict(row)["expected_spend"].tolist() == pytest.approx([model.mean_spend])


def test_spend_without_a_mean_is_said(spend):
    model = fit_gamma_gamma(spend).at(p=6.0, q=0.9, v=15.0)
    with pytest.raises(CxError, match=r"no finite mean \(q is 0\.9, and must be more than 1\)"):
        model.predict(pd.DataFrame({"frequency": [0], "money": [0.0]}))


def test_correlation_with_frequency_is_warned_of_with_its_size(spend):
    dearer = spend.assign(money=spend["money"] * spend["frequency"])
    with pytest.warns(CxWarning, match=r"correlated by 0\.[3-9]\d among 400 customers"):
        fit_gamma_gamma(dearer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert abs(fit_gamma_gamma(spend).correlation) < 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"money": 0.0}, "400 customers with repeat purchases have money of 0"),
        ({"money": np.inf}, r"400 rows have an infinite money \(first: row 0\)"),
        ({"money": np.nan}, "400 rows have a missing money"),
        ({"money": -2.0}, "400 rows have a negative money"),
        ({"frequency": 0}, "no customer has a repeat purchase"),
        ({"frequency": 1.5}, "'frequency' must hold whole numbers"),
        ({"weight": 0.5}, "a weight that is no count"),
        ({"money": 10.0}, "the gamma-gamma model found no maximum"),
    ],
)
def test_bad_money_is_named(spend, change, message):
    with pytest.raises(CxError, match=message):
        fit_gamma_gamma(spend.assign(**change))


def test_rows_that_are_means_over_customers_are_refused(spend):
    with pytest.raises(CxError, match="give what spend_summary gives"):
        fit_gamma_gamma(spend.rename(columns={"money": "mean_money"}))
    with pytest.raises(CxError, match="no column 'money' in the spend; did you mean 'mony'"):
        fit_gamma_gamma(spend.rename(columns={"money": "mony"}))

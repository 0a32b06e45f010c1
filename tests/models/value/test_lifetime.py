"""Customer value."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxlib import customer_value, fit_bg_bb, fit_bg_nbd, fit_gamma_gamma, fit_nbd
from cxlib.errors import CxError, CxWarning
from tests.models.value.test_spending import simulate


@pytest.fixture(scope="module")
def spend():
    return fit_gamma_gamma(simulate(400, 1))


@pytest.fixture(scope="module")
def buyers():
    return pd.DataFrame(
        {"frequency": [0, 1, 5], "recency": [0, 9, 30], "T": 39.0, "weight": [50, 20, 10]}
    ).assign(money=[np.nan, 20.0, 40.0])


KNOWN = {"horizon": "365.25 days", "margin": 0.3, "discount_rate": 0.1, "random_state": 1}


def test_value_is_margin_times_money_times_discounted_purchases(buyers, spend):
    model = fit_nbd(buyers)
    found = customer_value(buyers, purchases=model, spend=spend, **KNOWN)
    # Nobody leaves: purchases come evenly, so that a year is worth (1 - 1 / 1.1) / log(1.1) of it.
    yearly = model.predict(buyers, horizon="365.25 days")["expected_purchases"]
    money = spend.predict(buyers)["expected_spend"]
    witness = 0.3 * money * yearly * (1 - 1 / 1.1) / np.log(1.1)
    assert found["value"].tolist() == pytest.approx(witness.tolist(), rel=1e-9)
    assert found["expected_purchases"].tolist() == pytest.approx(yearly.tolist())
    assert (found["lower"] < found["value"]).all()
    assert (found["value"] < found["upper"]).all()


def test_the_interval_repeats_with_its_seed_and_covers_more_when_asked(buyers, spend):
    model = fit_nbd(buyers)
    first = customer_value(buyers, purchases=model, spend=spend, **KNOWN)
    again = customer_value(buyers, purchases=model, spend=spend, **KNOWN)
    pd.testing.assert_frame_equal(first, again)
    narrow = customer_value(buyers, purchases=model, spend=spend, confidence=0.5, **KNOWN)
    assert (narrow["upper"] - narrow["lower"] < first["upper"] - first["lower"]).all()


def test_gifts_are_discounted_one_by_one(spend):
    gifts = pd.DataFrame(
        {
            "frequency": [0, 1, 1, 1, 2, 2, 3],
            "recency": [0, 1, 2, 3, 2, 3, 3],
            "T": 3,
            "weight": [400, 120, 60, 50, 70, 90, 160],
            "money": 25.0,
        }
    )
    model = fit_bg_bb(gifts, period="365.25 days")
    found = customer_value(
        gifts, purchases=model, spend=spend, **(KNOWN | {"horizon": "1100 days"})
    )
    so_far = [
        model.predict(gifts, horizon=k)["expected_purchases"].to_numpy() for k in (0, 1, 2, 3)
    ]
    money = spend.predict(gifts)["expected_spend"].to_numpy()
    witness = sum((so_far[k] - so_far[k - 1]) / 1.1**k for k in (1, 2, 3)) * 0.3 * money
    assert found["value"].tolist() == pytest.approx(witness.tolist(), rel=1e-9)
    with pytest.raises(CxError, match="does not know how long a period is"):
        customer_value(gifts, purchases=fit_bg_bb(gifts), spend=spend, **KNOWN)
    with pytest.raises(CxError, match="holds no period"):
        customer_value(gifts, purchases=model, spend=spend, **(KNOWN | {"horizon": "9 days"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"margin": 30}, "margin is 30, and must be a share"),
        ({"discount_rate": -0.1}, r"discount_rate is -0\.1, and must be 0 or more"),
        ({"draws": 3}, "draws is 3, too few for an interval"),
        ({"horizon": "0 days"}, "is empty"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_bad_questions_are_named(buyers, spend, change, message):
    with pytest.raises(CxError, match=message):
        customer_value(buyers, purchases=fit_nbd(buyers), spend=spend, **(KNOWN | change))


def test_given_parameters_have_no_interval(buyers, spend):
    model = fit_nbd(buyers).at(r=0.5, alpha=10.0)
    with pytest.raises(CxError, match="has no standard errors, and so no interval"):
        customer_value(buyers, purchases=model, spend=spend, **KNOWN)


def loyal(seed: int = 2, n: int = 600) -> pd.DataFrame:
    """Histories of customers of whom hardly any leaves, so that little is known of leaving."""
    random = np.random.default_rng(seed)
    end, rate = random.uniform(20, 60, n), random.gamma(0.8, 1 / 8, n)
    leaves = random.beta(1.0, 40.0, n)
    x, last, at, active = np.zeros(n, int), np.zeros(n), np.zeros(n), np.ones(n, bool)
    for _ in range(60):
        at = at + random.exponential(1, n) / rate
        bought = active & (at < end)
        x[bought] += 1
        last[bought] = at[bought]
        active = bought & (random.random(n) >= leaves)
    return pd.DataFrame({"frequency": x, "recency": last, "T": end, "money": 30.0})


def test_a_model_at_its_edge_is_said_and_its_bounds_are_numbers(spend):
    histories = loyal()
    model = fit_bg_nbd(histories)
    with pytest.warns(CxWarning, match=r"BG/NBD model runs to its edge: a and b may be .* times"):
        found = customer_value(histories, purchases=model, spend=spend, **KNOWN)
    assert np.isfinite(found[["value", "lower", "upper"]]).all(axis=None)
    assert ((found["lower"] <= found["value"]) & (found["value"] <= found["upper"])).all()
    # Whether few leave or none hardly matters within a year: the bounds are near those of the NBD.
    never = customer_value(histories, purchases=fit_nbd(histories), spend=spend, **KNOWN)
    assert found["upper"].sum() == pytest.approx(never["upper"].sum(), rel=0.15)


def test_draws_without_a_value_widen_the_bounds_and_are_said(buyers, spend):
    model = fit_nbd(buyers)
    whole = customer_value(buyers, purchases=model, spend=spend, **KNOWN)
    highest = 1.2 * model.summary["estimate"].iloc[0]

    def purchases(parameters, rows, time):
        found = model.family.purchases(parameters, rows, time)
        return np.where(parameters[0] > highest, np.nan, found)

    broken = replace(model, family=replace(model.family, purchases=purchases))
    with pytest.warns(CxWarning, match=r"sets of parameters .* 3 customers no value"):
        found = customer_value(buyers, purchases=broken, spend=spend, **KNOWN)
    assert (found["lower"] <= whole["lower"]).all()
    assert (found["upper"] == np.inf).all()

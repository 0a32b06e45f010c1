"""Customer value."""

import numpy as np
import pandas as pd
import pytest

from cxlib import customer_value, fit_bg_bb, fit_gamma_gamma, fit_nbd
from cxlib.errors import CxError
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

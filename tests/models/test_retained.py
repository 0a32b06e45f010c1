"""Retention of customers and of revenue, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from cxlib import CxError, retention_rates
from tests.models.test_terms import event, terms_of

CONTRACTS = [
    # Due on 2021-01-01 and 2022-01-01: renewed dearer, then cheaper.
    event("a", "2020-01-01", "sign", price=100.0, plan="pro"),
    event("a", "2020-12-20", "renew", price=150.0, plan="pro"),
    event("a", "2021-12-20", "renew", price=120.0, plan="pro"),
    # Declined.
    event("b", "2020-02-01", "sign", price=50.0, plan="basic"),
    event("b", "2021-01-15", "decline", price=None, plan="basic"),
    # Ended early, and its due date has come.
    event("c", "2020-03-01", "sign", price=50.0, plan="basic"),
    event("c", "2020-08-01", "cancel", price=None, plan="basic"),
    # Renewed at a price that nobody wrote down.
    event("d", "2020-04-01", "sign", price=70.0, plan=None),
    event("d", "2021-03-20", "renew", price=None, plan=None),
    event("d", "2022-03-20", "decline", price=None, plan=None),
    # Not due yet.
    event("e", "2022-02-01", "sign", price=900.0, plan="pro"),
]


def rates(con, **options):
    return retention_rates(terms_of(con, CONTRACTS, price="price", columns="plan"), **options)


def test_the_three_rates_are_of_the_terms_that_came_due(con):
    found = rates(con).set_index("term")
    first = found.loc[1]
    assert (first["eligible"], first["retained"]) == (4, 2)
    assert first["customer_retention"] == 0.5
    # d renewed at an unknown price: a, b and c remain, of 100 + 50 + 50.
    assert (first["revenue_n"], first["revenue_due"]) == (3, 200)
    assert first["gross_revenue_retention"] == 0.5
    assert first["net_revenue_retention"] == 0.75
    second = found.loc[2]
    assert (second["eligible"], second["retained"], second["revenue_n"]) == (2, 1, 1)
    assert second["gross_revenue_retention"] == second["net_revenue_retention"] == 0.8
    assert found.index.tolist() == [1, 2]


def test_churn_is_one_less_retention_of_the_same_base(con):
    found = rates(con, by=None)
    assert len(found) == 1
    assert found["eligible"].tolist() == [6]
    assert (found["customer_churn"] + found["customer_retention"]).tolist() == [1]
    assert (found["gross_revenue_churn"] + found["gross_revenue_retention"]).tolist() == [1]


def test_groups_without_a_name_have_one(con):
    found = rates(con, by="plan").set_index("plan")
    assert found.index.tolist() == ["(none)", "basic", "pro"]
    assert found.loc["basic", "customer_retention"] == 0
    assert found.loc["pro", "eligible"] == 2


def test_the_interval_of_revenue_is_that_of_a_ratio_of_sums(con):
    row = rates(con).iloc[0]
    before, after = np.array([100, 50, 50]), np.array([150, 0, 0])
    rate = after.sum() / before.sum()
    residuals = after - rate * before
    error = np.sqrt(3 * residuals.var(ddof=1)) / before.sum()
    assert row["net_revenue_retention_upper"] == pytest.approx(rate + 1.959964 * error, rel=1e-6)
    assert row["net_revenue_retention_lower"] == max(0, rate - 1.959964 * error)
    assert row["gross_revenue_retention_upper"] <= 1


def test_gross_is_never_over_one_and_never_over_net(con):
    random = np.random.default_rng(0)
    rows = []
    for customer in range(40):
        price = float(random.integers(10, 100))
        rows.append(event(str(customer), "2020-01-01", "sign", price=price, plan="pro"))
        if random.random() < 0.8:
            after = float(random.integers(10, 200))
            rows.append(event(str(customer), "2020-12-20", "renew", price=after, plan="pro"))
    found = retention_rates(terms_of(con, rows, price="price", declined=(), ended=()))
    assert (found["gross_revenue_retention"] <= 1).all()
    assert (found["gross_revenue_retention"] <= found["net_revenue_retention"]).all()


def test_without_prices_there_is_no_rate_of_revenue(con):
    found = retention_rates(terms_of(con, CONTRACTS))
    assert found["revenue_n"].tolist() == [0, 0]
    assert found["net_revenue_retention"].isna().all()
    assert found["customer_retention"].tolist() == [0.5, 0.5]


def test_what_is_no_table_of_terms_is_refused(con):
    terms = terms_of(con, CONTRACTS)
    with pytest.raises(CxError, match="no column 'price_before'; take the table"):
        retention_rates(terms.drop("price_before"))
    with pytest.raises(CxError, match="no column 'plam' in the terms"):
        retention_rates(terms, by="plam")


def test_an_empty_table_gives_an_empty_frame(con):
    terms = terms_of(con, CONTRACTS)
    found = retention_rates(terms.filter(terms.term > 9))
    assert isinstance(found, pd.DataFrame)
    assert found.empty

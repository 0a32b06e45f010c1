"""Terms of contracts, and landmarks."""

from datetime import datetime, timedelta

import pandas as pd
import pytest

from cxlib import (
    contract_terms,
    fit_sbg,
    landmark,
    renewal_rates,
    rfm_segments,
    spell_counts,
    spells,
)
from cxlib.errors import CxError
from tests.journeys.logs import DAY_ONE, log_of, rows_of
from tests.models.test_spells import OPEN, spells_of


def event(customer, day, touchpoint, **columns):
    at = datetime.fromisoformat(day)
    return {"event_id": f"{customer}{day}{touchpoint}", "customer_id": customer,
            "occurred_at": at, "touchpoint": touchpoint, **columns}  # fmt: skip


CONTRACTS = [
    event("a", "2020-01-31", "sign", price=10.0, plan="pro"),
    event("a", "2021-01-21", "renew", price=12.0, plan="pro"),
    event("a", "2022-02-05", "renew", price=12.0, plan="max"),
    event("b", "2020-06-01", "sign", price=20.0, plan="pro"),
    event("b", "2021-05-01", "decline", price=None, plan="pro"),
    event("b", "2021-06-01", "cancel", price=None, plan="pro"),
    event("c", "2021-03-01", "sign", price=20.0, plan="pro"),
    event("d", "2021-03-01", "sign", price=20.0, plan="pro"),
    event("d", "2021-09-01", "cancel", price=None, plan="pro"),
    event("d", "2021-12-01", "sign", price=30.0, plan="pro"),
]
WORDS = {"start": "sign", "renewed": "renew", "declined": "decline", "ended": "cancel"}


def terms_of(con, rows=CONTRACTS, **options):
    log = log_of(con, rows, observed_until="2022-06-30")
    return contract_terms(log, **(WORDS | options))


def cells(terms, *columns):
    frame = terms.order_by("customer_id", "contract", "term").select(*columns).to_pandas()
    frame = frame.astype(object).where(frame.notna(), None)
    return list(frame.itertuples(index=False, name=None))


def test_each_term_of_a_contract_is_a_row_with_its_decision(con):
    found = cells(terms_of(con), "customer_id", "contract", "term", "decision")
    assert found == [
        ("a", 1, 1, "renewed"),
        ("a", 1, 2, "renewed"),
        ("a", 1, 3, "open"),
        ("b", 1, 1, "declined"),
        ("c", 1, 1, "missed"),
        ("d", 1, 1, "ended"),
        ("d", 2, 1, "open"),
    ]


def test_a_decision_is_early_or_late_by_the_days_to_the_due_date(con):
    found = cells(terms_of(con), "customer_id", "due_at", "days_early")[:4]
    # 31 January of the next years; ten days early, five days late.
    assert found == [
        ("a", datetime(2021, 1, 31), 10),
        ("a", datetime(2022, 1, 31), -5),
        ("a", datetime(2023, 1, 31), None),
        ("b", datetime(2021, 6, 1), 31),
    ]


def test_the_change_of_price_is_that_of_renewals(con):
    columns = ("price_before", "price_after", "price_change")
    found = cells(terms_of(con, price="price"), *columns)
    assert found[:4] == [
        (10, 12, pytest.approx(0.2)),
        (12, 12, 0),
        (12, None, None),
        (20, None, None),
    ]


def test_contracts_that_began_before_the_log_bring_their_term_and_due_date(con):
    rows = [
        event("a", "2021-03-01", "renew", term=3, due_at=datetime(2021, 3, 15)),
        event("b", "2021-03-01", "sign", term=None, due_at=None),
        event("b", "2022-02-20", "renew", term=1, due_at=datetime(2022, 3, 1)),
    ]
    terms = terms_of(con, rows, declined=(), ended=(), term="term", due="due_at")
    columns = ("customer_id", "contract", "term", "decision", "due_at", "opened_at")
    assert cells(terms, *columns) == [
        ("a", 0, 3, "renewed", datetime(2021, 3, 15), None),
        ("a", 0, 4, "missed", datetime(2022, 3, 15), datetime(2021, 3, 15)),
        ("b", 1, 1, "renewed", datetime(2022, 3, 1), datetime(2021, 3, 1)),
        ("b", 1, 2, "open", datetime(2023, 3, 1), datetime(2022, 3, 1)),
    ]


def test_rates_count_the_terms_that_were_due(con):
    found = renewal_rates(terms_of(con)).set_index("term")
    assert found.loc[1, ["at_risk", "renewed", "declined", "missed", "ended", "open"]].tolist() == [
        *(3, 1, 1, 1, 1, 1)
    ]
    assert found.loc[1, "renewal_rate"] == pytest.approx(1 / 3)
    assert found.loc[3, ["at_risk", "open"]].tolist() == [0, 1]
    assert pd.isna(found.loc[3, "renewal_rate"])
    by_plan = renewal_rates(terms_of(con, columns="plan"), by="plan")
    assert by_plan[["plan", "term", "at_risk"]].to_numpy().tolist() == [
        *(["max", 3, 0], ["pro", 1, 3], ["pro", 2, 1])
    ]


def test_an_early_renewal_does_not_count_before_its_term_is_due(con):
    """Else those who decide early would speak for those who have not decided."""
    rows = [event("a", "2021-12-01", "sign"), event("a", "2022-06-01", "renew")]
    found = renewal_rates(terms_of(con, rows, declined=(), ended=()))
    assert found[["term", "at_risk", "open"]].to_numpy().tolist() == [[1, 0, 1], [2, 0, 1]]


def test_rates_are_what_retention_models_take(con):
    # Of 60, 40 renew once, 30 of them twice and 25 three times.
    rows = []
    for number in range(60):
        years = sum(number < limit for limit in (40, 30, 25))
        days = ["2018-01-01", *(f"{2019 + year}-01-01" for year in range(years))]
        kinds = ["sign", *["renew"] * years]
        rows += [event(f"c{number:02}", *pair) for pair in zip(days, kinds, strict=True)]
        if years < 3:
            rows.append(event(f"c{number:02}", f"{2019 + years}-01-01", "decline"))
    log = log_of(con, rows, observed_until="2021-06-30")
    rates = renewal_rates(contract_terms(log, start="sign", renewed="renew", declined="decline"))
    assert rates["at_risk"].tolist() == [60, 40, 30, 0]
    assert rates["renewed"].tolist() == [40, 30, 25, 0]
    found = fit_sbg(rates[rates["at_risk"] > 0]).predict(terms=3)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "signed"}, "did you mean 'sign'"),
        ({"start": ()}, "start= names no touchpoint"),
        ({"ended": "decline"}, "'decline' stands for two things"),
        ({"price": "prize"}, "did you mean 'price'"),
        ({"length_months": 0}, "length_months is 0"),
    ],
)
def test_terms_that_cannot_be_say_why(con, options, message):
    with pytest.raises(CxError, match=message):
        terms_of(con, **options)


def test_an_unknown_group_of_terms_shows_the_closest(con):
    with pytest.raises(CxError, match="no column 'plann' in the terms"):
        renewal_rates(terms_of(con, columns="plan"), by="plann")


# --- landmarks


PATHS = {"a": "join@0 leave@480", "b": "join@120", "c": "join@0 leave@100", "d": "join@500"}


def test_a_landmark_follows_who_is_there_from_that_day(con):
    found = landmark(spells_of(con, PATHS), at="2024-01-11", horizon="30 days")
    frame = found.table.order_by("customer_id").to_pandas()
    assert frame["customer_id"].tolist() == ["a", "b"]
    assert frame["tenure_days"].tolist() == [10, 5]
    assert frame["exit_days"].tolist() == [10, 30]
    assert frame["cause"].tolist() == ["leave", OPEN]
    assert (frame["origin"] == DAY_ONE + timedelta(days=10)).all()
    counts = spell_counts(found)
    assert counts["entry_days"].tolist() == [0, 0]
    assert found.observed_until == datetime(2024, 2, 10)


def test_features_of_the_landmark_are_carried_along(con):
    found = spells_of(con, PATHS)
    day = "2024-01-11"
    features = rfm_segments(log_of(con, PATHS), as_of=day)
    carried = landmark(found, at=day, features=features, columns=["segment"])
    assert set(spell_counts(carried, by="segment")["n"]) == {1}
    assert "segment" in carried.table.columns


def test_features_that_read_past_the_landmark_are_refused(con):
    features = pd.DataFrame({"customer_id": ["a"], "as_of": [datetime(2024, 1, 12)], "x": [1]})
    with pytest.raises(CxError, match="as of 2024-01-12T00:00:00 and read past the landmark"):
        landmark(spells_of(con, PATHS), at="2024-01-11", features=features)
    undated = features.drop(columns="as_of")
    with pytest.raises(CxError, match="no column 'as_of' in the features"):
        landmark(spells_of(con, PATHS), at="2024-01-12", features=undated)


def test_features_have_one_row_for_each_customer(con):
    features = pd.DataFrame({"customer_id": ["a", "a"], "as_of": [DAY_ONE] * 2, "x": [1, 2]})
    with pytest.raises(CxError, match="2 rows of 1 customers"):
        landmark(spells_of(con, PATHS), at="2024-01-11", features=features)
    with pytest.raises(CxError, match="a column 'cause' already"):
        landmark(
            spells_of(con, PATHS), at="2024-01-11",
            features=features.head(1).rename(columns={"x": "cause"}),
        )  # fmt: skip


def test_a_landmark_outside_the_time_observed_is_refused(con):
    found = spells_of(con, PATHS, window_start="2024-01-11")
    with pytest.raises(CxError, match="before window_start 2024-01-11T00:00:00: who had left"):
        landmark(found, at="2024-01-10")
    with pytest.raises(CxError, match="is not before observed_until 2024-03-01"):
        landmark(found, at="2024-03-01")


def test_an_outcome_by_a_later_feature_would_need_immortal_time(con):
    # "Bought by day 20" among all who joined is refused; from day 20 on it is a fact.
    rows = rows_of({"a": "join@0 buy@240", "b": "join@0 leave@24", "c": "join@0 leave@600"})
    log = log_of(con, rows)
    buyers = pd.DataFrame(
        {"customer_id": ["a", "b", "c"], "as_of": datetime(2024, 1, 21), "bought": [1, 0, 0]}
    )
    found = spells(log, start="join", end="leave", window_start=None)
    with pytest.raises(CxError, match="read past the landmark"):
        landmark(found, at=DAY_ONE, features=buyers)
    counts = spell_counts(landmark(found, at="2024-01-21", features=buyers), by="bought")
    # The one who left before the landmark is not held against those who did not buy.
    assert counts[["bought", "event", "n"]].to_numpy().tolist() == [[0, True, 1], [1, False, 1]]

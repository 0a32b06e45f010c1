"""Events of one customer, and of a sample."""

import warnings

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import customer_timeline, keep_events, sample_events
from cxlib.errors import CxError, CxWarning
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

PATHS = {"a": "visit@0 ask@2 buy@2", "b": "visit@1", "c": "buy@5 visit@4"}


def test_a_timeline_has_the_events_of_one_customer_in_order(con):
    found = customer_timeline(log_of(con, PATHS), "c")
    assert found["touchpoint"].tolist() == ["visit", "buy"]
    assert found["wait_hours"].tolist()[1:] == [1.0]
    assert pd.isna(found["wait_hours"].iloc[0])
    assert found["channel"].tolist() == [None, None]


def test_a_timeline_that_is_cut_has_the_latest_events_and_says_so(con):
    with pytest.warns(CxWarning, match="'a' has 3 events, of which these are the latest 2"):
        found = customer_timeline(log_of(con, PATHS), "a", most_events=2)
    assert found["touchpoint"].tolist() == ["ask", "buy"]
    assert found["events"].tolist() == [3, 3]


def test_a_sample_has_customers_whole(con):
    log = log_of(con, PATHS)
    for customers in (1, 2, 3, 9):
        found = sample_events(log, customers=customers)
        drawn = found["customer_id"].unique()
        assert len(drawn) == min(customers, 3)
        assert set(found["sampled"]) == {min(customers, 3)}
        assert set(found["customers"]) == {3}
        assert len(found) == sum(len(PATHS[name].split()) for name in drawn)


def test_the_draw_depends_on_the_ids_and_the_number_alone(con):
    rows = rows_of({f"c{number:02}": "visit" for number in range(40)})
    draws = [
        sample_events(log_of(con, part), customers=5, random_state=state)["customer_id"].tolist()
        for part, state in [(rows, 1), (rows[::-1], 1), (rows, 2)]
    ]
    assert draws[0] == draws[1] != draws[2]


def test_a_sample_stops_before_its_events_are_too_many(con):
    found = sample_events(log_of(con, PATHS), most_events=3)
    assert len(found) <= 3
    alone = keep_events(log_of(con, PATHS), where={"customer_id": "a"})
    assert len(sample_events(alone, most_events=2)) == 2


def test_a_log_without_events_has_no_sample(con):
    nobody = keep_events(log_of(con, PATHS), where={"customer_id": "nobody"})
    found = sample_events(nobody)
    assert len(found) == 0
    assert found.columns.tolist() == sample_events(log_of(con, PATHS)).columns.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: customer_timeline(log, "d"), "there is no customer 'd' in the log"),
        (lambda log: customer_timeline(log, "a", most_events=0), "must be 1 to 20,000"),
        (lambda log: sample_events(log, customers=0), "customers is 0, and must be 1 to 1,000"),
        (lambda log: sample_events(log, customers=1_001), "customers is 1001"),
        (lambda log: sample_events(log, most_events=10**6), "must be 1 to 20,000"),
    ],
)
def test_what_cannot_be_shown_says_why(con, call, message):
    with pytest.raises(CxError, match=message):
        call(log_of(con, PATHS))


@few_examples
@given(rows=random_rows(), state=st.integers(0, 9))
def test_samples_and_timelines_are_the_rows_of_the_log(con, rows, state):
    log, by_hand = log_of(con, rows), paths_by_hand(rows)
    found = sample_events(log, customers=2, random_state=state)
    for customer, part in found.groupby("customer_id"):
        ids = [row["event_id"] for row in by_hand[customer]]
        assert part["event_id"].tolist() == ids
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert customer_timeline(log, customer)["event_id"].tolist() == ids
        assert part["since_start_days"].iloc[0] == 0

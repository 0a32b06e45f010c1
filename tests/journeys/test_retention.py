"""Retention of cohorts."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import keep_events, retention
from cxlib.errors import CxError
from tests.journeys.days import cells, days_log, posthog_case, spread
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of


def test_recurring_daily_cohorts_are_those_of_the_posthog_case(con, shared):
    log, expected = posthog_case(con, shared, "13_retention_day", "2020-06-20T23:59:59.999999")
    found = retention(log, period="day", periods=10, cohorts="recurring")
    table = found.pivot_table(index="cohort", columns="period", values="customers")
    days = pd.date_range("2020-06-10", "2020-06-20")
    for day, row in zip(days, expected["matrix"], strict=True):
        ours = table.loc[day].dropna().tolist() if day in table.index else [0] * len(row)
        assert ours == row, day
    assert found["complete"].all()


@pytest.mark.parametrize(
    ("on", "first", "second"),
    [("on", [2, 1, 0, 2], [1, 0, 0]), ("on_or_after", [2, 2, 2, 2], [1, 0, 0])],
)
def test_customers_are_retained_on_a_day_or_from_then_on(con, on, first, second):
    found = retention(days_log(con), period="day", on=on)
    by_cohort = [frame["customers"].tolist() for _, frame in found.groupby("cohort")]
    assert by_cohort == [first, second]
    assert found["n"].tolist() == [2, 2, 2, 2, 1, 1, 1]


def test_cells_that_are_not_over_are_marked(con):
    found = retention(days_log(con), period="day")
    assert found["complete"].tolist() == [True, True, True, False, True, True, False]


def test_cohorts_from_before_the_records_have_no_rate_and_not_one_of_zero(con):
    paths = {"a": "join@0", "b": "join@24 buy@60", "c": "join@49 buy@80"}
    log = replace(log_of(con, paths), observed_from=datetime(2024, 1, 2))
    found = retention(log, period="day", periods=1)
    assert found["observed"].tolist() == [False, False, True, True, True, True]
    assert found["retention"].isna().tolist() == [True, True, False, False, False, False]
    assert found.loc[0, "lower":"upper"].isna().all()
    assert found.loc[2:, "retention"].tolist() == [1, 1, 1, 1]
    assert retention(log_of(con, paths), period="day")["observed"].all()


def test_start_and_return_may_be_different_touchpoints(con):
    found = retention(days_log(con), period="day", start="join", returning="buy")
    assert found["customers"].tolist() == [1, 1, 0, 2, 0, 0, 0]
    assert found["value"].tolist() == [10, 10, 0, 20, 0, 0, 0]
    # Of the value of day 0; the cohort of c has none.
    assert found["revenue_retention"].tolist()[:4] == [1, 1, 0, 2]
    assert found["revenue_retention"].iloc[4:].isna().all()


def test_brackets_count_from_the_customers_own_start(con):
    # Since joining: a after 1, 24 and 72 hours, b after 77 hours.
    found = retention(
        days_log(con), period="day", start="join", returning="buy", brackets=["1 day", "4 days"]
    )
    assert cells(found, "label", "customers", "events") == [
        ("0 to 1 days", 1, 1),
        ("1 to 4 days", 2, 3),
        ("0 to 1 days", 0, 0),
        ("1 to 4 days", 0, 0),
    ]
    assert found["complete"].tolist() == [True, False, True, False]


def test_a_log_without_events_gives_no_rows_but_columns(con):
    empty = keep_events(days_log(con), where={"customer_id": "nobody"})
    found = retention(empty, by="channel")
    assert len(found) == 0
    assert found.columns[0] == "channel"
    assert len(retention(empty)) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: retention(log, period="months"), "did you mean 'month'"),
        (lambda log: retention(log, on="after"), "no way to count a return 'after'"),
        (lambda log: retention(log, cohorts="recuring"), "did you mean 'recurring'"),
        (lambda log: retention(log, start="joined"), "did you mean 'join'"),
        (lambda log: retention(log, periods=-1), "periods is -1, and must be at least 0"),
        (lambda log: retention(log, brackets=["7 days", "1 day"]), "do not rise"),
        (lambda log: retention(log, brackets=[]), "do not rise"),
        (lambda log: retention(log, by="cohort"), "no column 'cohort' to group by"),
    ],
)
def test_what_cannot_be_counted_says_why(con, call, message):
    with pytest.raises(CxError, match=message):
        call(days_log(con))


def retained_by_hand(rows, recurring):
    """Customers by (cohort day, days since), in plain Python."""
    found = defaultdict(set)
    for customer, events in paths_by_hand(rows).items():
        days = sorted({event["occurred_at"].date() for event in events})
        for cohort in days if recurring else days[:1]:
            for day in days:
                if day >= cohort:
                    found[cohort, (day - cohort).days].add(customer)
    return {key: len(customers) for key, customers in found.items()}


@few_examples
@given(rows=random_rows(), cohorts=st.sampled_from(["first", "recurring"]))
def test_retention_is_that_counted_by_hand_and_parts_add_up(con, rows, cohorts):
    rows = spread(rows)
    log = log_of(con, rows)
    found = retention(log, period="day", periods=25, cohorts=cohorts)
    counts = {(row.cohort.date(), row.period): row.customers for row in found.itertuples()}
    by_hand = retained_by_hand(rows, cohorts == "recurring")
    assert {key: n for key, n in counts.items() if n} == by_hand
    assert (found.loc[found["period"] == 0, "retention"] == 1).all()
    shuffled = retention(log_of(con, rows[::-1]), period="day", periods=25, cohorts=cohorts)
    pd.testing.assert_frame_equal(found, shuffled)
    if cohorts == "first":
        parts = retention(log, period="day", periods=25, by="channel")
        keys = ["cohort", "period"]
        summed = parts.groupby(keys)[["n", "customers", "events"]].sum()
        pd.testing.assert_frame_equal(summed, found.set_index(keys)[summed.columns.tolist()])


@few_examples
@given(rows=random_rows(), cohorts=st.sampled_from(["first", "recurring"]))
def test_on_or_after_counts_those_seen_then_or_later(con, rows, cohorts):
    rows = spread(rows)
    found = retention(
        log_of(con, rows), period="day", periods=25, cohorts=cohorts, on="on_or_after"
    )
    by_hand = defaultdict(int)
    for events in paths_by_hand(rows).values():
        days = sorted({event["occurred_at"].date() for event in events})
        for cohort in days if cohorts == "recurring" else days[:1]:
            for period in range((days[-1] - cohort).days + 1):
                by_hand[cohort, period] += 1
    counts = {(row.cohort.date(), row.period): row.customers for row in found.itertuples()}
    assert {key: n for key, n in counts.items() if n} == by_hand


@few_examples
@given(rows=random_rows())
def test_brackets_are_those_counted_by_hand(con, rows):
    rows += rows_of({"z": "visit"})
    log = log_of(con, rows)
    found = retention(log, start="visit", period="day", brackets=["2 hours", "9 hours", "2 days"])
    customers, events = defaultdict(set), defaultdict(int)
    for customer, own in paths_by_hand(rows).items():
        starts = [row for row in own if row["touchpoint"] == "visit"]
        for row in own if starts else []:
            hours = (row["occurred_at"] - starts[0]["occurred_at"]).total_seconds() / 3600
            place = (hours >= 2) + (hours >= 9)
            if 0 <= hours < 48:
                customers[place].add(customer)
                events[place] += 1
    sums = found.groupby("period")[["customers", "events"]].sum()
    for place, row in sums.iterrows():
        assert (row["customers"], row["events"]) == (len(customers[place]), events[place])

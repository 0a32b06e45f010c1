"""Retention, lifecycle, stickiness and re-entry."""

import json
from collections import defaultdict
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import keep_events, lifecycle, reentry, retention, split_journeys, stickiness
from cxlib.errors import CxError
from tests.journeys.logs import DAY_ONE, few_examples, log_of, paths_by_hand, random_rows, rows_of


def case(con, shared, name, observed_until):
    """Log and answers of one of PostHog's cases."""
    folder = shared / "cases" / "journeys"
    frame = pd.read_csv(folder / f"{name}.csv", parse_dates=["timestamp"])
    frame = frame.rename(columns={"event": "touchpoint", "timestamp": "occurred_at"})
    frame["event_id"] = [f"{position:02}" for position in range(len(frame))]
    log = log_of(con, frame.to_dict("records"), observed_until=observed_until)
    return log, json.loads((folder / f"{name}.json").read_text())


def test_recurring_daily_cohorts_are_those_of_the_case(con, shared):
    log, expected = case(con, shared, "13_retention_day", "2020-06-20T23:59:59.999999")
    found = retention(log, period="day", periods=10, cohorts="recurring")
    table = found.pivot_table(index="cohort", columns="period", values="customers")
    days = pd.date_range("2020-06-10", "2020-06-20")
    for day, row in zip(days, expected["matrix"], strict=True):
        ours = table.loc[day].dropna().tolist() if day in table.index else [0] * len(row)
        assert ours == row, day
    assert found["complete"].all()


def test_the_lifecycle_is_that_of_the_case(con, shared):
    log, expected = case(con, shared, "11_lifecycle", "2020-01-19T23:59:59.999999")
    found = lifecycle(log, period="day")
    assert found["period"].tolist() == list(pd.date_range("2020-01-09", "2020-01-19"))
    for ours, theirs in [
        ("new", "new"),
        ("returning", "returning"),
        ("resurrected", "resurrecting"),
    ]:
        assert found[ours].tolist() == expected[theirs]
    assert (-found["dormant"]).tolist() == expected["dormant"]
    later = found[found["period"] >= "2020-01-12"]
    assert later["resurrected"].tolist() == expected["sub_range_12_to_19"]["resurrecting"]


# --- counted by hand: a buys in days 0, 1 and 3, b in days 0 and 3, c in day 1

DAYS = {"a": "join@1 buy@2 buy@25 buy@73", "b": "join@3 buy@80", "c": "join@30"}


def days_log(con, **columns):
    rows = rows_of(DAYS, **columns)
    for row in rows:
        row["value"] = 10.0 if row["touchpoint"] == "buy" else None
    return log_of(con, rows, observed_until="2024-01-04T12:00:00")


def cells(frame, *columns):
    return list(frame[list(columns)].itertuples(index=False, name=None))


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


@pytest.mark.parametrize(
    ("period", "first"),
    [("week", "2024-01-01"), ("month", "2024-01-01"), ("quarter", "2024-01-01"),
     ("year", "2024-01-01")],
)  # fmt: skip
def test_periods_begin_where_the_calendar_says(con, period, first):
    # 2024-01-01 was a Monday; the day before was in another week, month, quarter and year.
    log = log_of(con, {"a": "visit@-0.5 visit@0"})
    found = lifecycle(log, period=period)
    assert found["period"].iloc[1] == pd.Timestamp(first)
    assert cells(found.head(2), "new", "returning") == [(1, 0), (0, 1)]


def test_stickiness_counts_the_days_of_each_customer(con):
    found = stickiness(days_log(con))
    assert cells(found, "active_periods", "customers", "n") == [(1, 1, 3), (2, 1, 3), (3, 1, 3)]
    assert found["at_least"].tolist() == pytest.approx([1, 2 / 3, 1 / 3])


def test_reentry_counts_only_journeys_that_had_their_time(con):
    # a ends at hour 1 and comes back after 99 hours; b ends at hour 0 and never comes back; the
    # last journeys of a (hour 100) and c (hour 1390) have not had 60 hours until hour 1440.
    log = log_of(con, {"a": "ask@0 buy@1 visit@100", "b": "buy@0", "c": "buy@1390"})
    log = split_journeys(log, gap="24 hours")
    found = reentry(log, within="100 hours")
    columns = ["from_touchpoint", "to_touchpoint", "journeys", "n", "share"]
    assert cells(found, *columns) == [
        ("buy", "(end)", 1, 2, 0.5),
        ("buy", "visit", 1, 2, 0.5),
        ("visit", "(end)", 1, 1, 1.0),
    ]
    assert found["median_days"].iloc[1] == pytest.approx(99 / 24)
    late = reentry(log, within="98 hours")
    assert late["to_touchpoint"].tolist() == ["(end)", "(end)"]


@pytest.mark.parametrize("noun", [retention, lifecycle, stickiness])
def test_a_log_without_events_gives_no_rows_but_columns(con, noun):
    empty = keep_events(days_log(con), where={"customer_id": "nobody"})
    found = noun(empty, by="channel")
    assert len(found) == 0
    assert found.columns[0] == "channel"
    assert len(noun(empty)) == 0


def test_without_journeys_nobody_comes_back(con):
    empty = keep_events(days_log(con), where={"customer_id": "nobody"})
    assert len(reentry(empty, within="1 day", by="channel")) == 0


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
        (lambda log: lifecycle(log, by="chanel"), "did you mean 'channel'"),
        (lambda log: stickiness(log, period="weak"), "did you mean 'week'"),
        (lambda log: reentry(log, within=30), "has no unit"),
    ],
)
def test_what_cannot_be_counted_says_why(con, call, message):
    with pytest.raises(CxError, match=message):
        call(days_log(con))


# --- properties


def spread(rows):
    """Rows over 20 days instead of 20 hours."""
    return [{**row, "occurred_at": DAY_ONE + 24 * (row["occurred_at"] - DAY_ONE)} for row in rows]


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
@given(rows=random_rows())
def test_the_lifecycle_reconciles_from_day_to_day(con, rows):
    rows = spread(rows)
    found = lifecycle(log_of(con, rows, observed_until="2024-01-25"), period="day")
    parts = found["new"] + found["returning"] + found["resurrected"]
    assert found["active"].tolist() == parts.tolist()
    gone_or_here = (found["returning"] + found["dormant"]).iloc[1:]
    assert found["active"].iloc[:-1].tolist() == gone_or_here.tolist()
    assert found["new"].sum() == len({row["customer_id"] for row in rows})
    active = pd.DataFrame(rows).groupby(lambda at: rows[at]["occurred_at"].date())
    by_hand = {day: frame["customer_id"].nunique() for day, frame in active}
    ours = {row.period.date(): row.active for row in found.itertuples() if row.active}
    assert ours == by_hand
    by_channel = lifecycle(
        log_of(con, rows, observed_until="2024-01-25"), period="day", by="channel"
    )
    summed = by_channel.groupby("period")[["active", "new", "dormant"]].sum()
    np.testing.assert_array_equal(summed, found[["active", "new", "dormant"]])


@few_examples
@given(rows=random_rows())
def test_stickiness_and_reentry_are_those_counted_by_hand(con, rows):
    rows = spread(rows)
    log = log_of(con, rows)
    days = [len({event["occurred_at"].date() for event in events})
            for events in paths_by_hand(rows).values()]  # fmt: skip
    found = stickiness(log)
    counted = dict(zip(found["active_periods"], found["customers"], strict=True))
    assert {number: n for number, n in counted.items() if n} == {n: days.count(n) for n in days}
    returns = reentry(split_journeys(log, gap="60 hours"), within="30 days")
    gaps = 0
    for events in paths_by_hand(rows).values():
        times = [event["occurred_at"] for event in events]
        gaps += sum(b - a > timedelta(hours=60) for a, b in pairwise(times))
    came = returns[returns["to_touchpoint"] != "(end)"]
    assert came["journeys"].sum() == gaps
    assert returns.groupby("from_touchpoint")["share"].sum().to_numpy() == pytest.approx(1)

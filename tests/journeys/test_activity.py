"""Lifecycle and stickiness."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from cxlib import keep_events, lifecycle, stickiness
from cxlib.errors import CxError
from tests.journeys.days import cells, days_log, posthog_case, spread
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows


def test_the_lifecycle_is_that_of_the_posthog_case(con, shared):
    log, expected = posthog_case(con, shared, "11_lifecycle", "2020-01-19T23:59:59.999999")
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


@pytest.mark.parametrize("noun", [lifecycle, stickiness])
def test_a_log_without_events_gives_no_rows_but_columns(con, noun):
    empty = keep_events(days_log(con), where={"customer_id": "nobody"})
    found = noun(empty, by="channel")
    assert len(found) == 0
    assert found.columns[0] == "channel"
    assert len(noun(empty)) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: lifecycle(log, by="chanel"), "did you mean 'channel'"),
        (lambda log: stickiness(log, period="weak"), "did you mean 'week'"),
    ],
)
def test_what_cannot_be_counted_says_why(con, call, message):
    with pytest.raises(CxError, match=message):
        call(days_log(con))


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
def test_stickiness_is_that_counted_by_hand(con, rows):
    rows = spread(rows)
    days = [
        len({event["occurred_at"].date() for event in events})
        for events in paths_by_hand(rows).values()
    ]
    found = stickiness(log_of(con, rows))
    counted = dict(zip(found["active_periods"], found["customers"], strict=True))
    assert {number: n for number, n in counted.items() if n} == {n: days.count(n) for n in days}

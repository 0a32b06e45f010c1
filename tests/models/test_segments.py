"""RFM segments."""

from datetime import datetime, timedelta
from itertools import product

import pandas as pd
import pytest
from hypothesis import given

from cxlib import rfm_segments
from cxlib.errors import CxError
from cxlib.models.segments import RFM_SEGMENTS
from tests.journeys.logs import DAY_ONE, few_examples, log_of, random_rows, rows_of


def purchases(con, amounts, **columns):
    """Customer a buys for the first amount on day 1, b for the second on day 2, and so on."""
    rows = []
    for day, (name, amount) in enumerate(zip("abcdefghij", amounts, strict=False)):
        rows += rows_of({name: f"buy@{24 * day}"}, value=amount, **columns)
    return log_of(con, rows)


def test_five_customers_that_differ_have_the_scores_one_to_five(con):
    found = rfm_segments(purchases(con, [10.0, 20, 30, 40, 50]), as_of="2024-02-01")
    assert found["customer_id"].tolist() == list("abcde")
    assert found["recency_score"].tolist() == [1, 2, 3, 4, 5]
    assert found["monetary_score"].tolist() == [1, 2, 3, 4, 5]
    assert found["recency_days"].tolist() == [31, 30, 29, 28, 27]
    assert found["monetary"].tolist() == [10, 20, 30, 40, 50]


def test_equal_values_have_equal_scores(con):
    found = rfm_segments(purchases(con, [10.0, 10, 10, 40, 50]), as_of="2024-02-01")
    # Nobody is worse than the three, three fifths are worse than 40, four than 50.
    assert found["monetary_score"].tolist() == [1, 1, 1, 4, 5]
    assert found["frequency_score"].tolist() == [1] * 5


def test_ten_customers_fill_each_fifth_with_two(con):
    found = rfm_segments(purchases(con, range(1, 11)), as_of="2024-02-01")
    assert found["monetary_score"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_an_event_at_the_date_is_not_before_it(con):
    log = log_of(con, rows_of({"a": "buy@0 buy@24", "b": "buy@24"}, value=5.0))
    found = rfm_segments(log, as_of=DAY_ONE + timedelta(days=1))
    assert found[["customer_id", "frequency", "monetary"]].to_numpy().tolist() == [["a", 1, 5.0]]
    assert found["as_of"].tolist() == [pd.Timestamp("2024-01-02")]


def test_a_day_of_silence_is_twenty_four_hours(con):
    log = log_of(con, rows_of({"a": "buy@0", "b": "buy@0.5"}))
    found = rfm_segments(log, as_of="2024-01-02")
    assert found["recency_days"].tolist() == [1, 0]


def test_missing_money_is_nothing(con):
    rows = rows_of({"a": "buy visit"}, value=None) + rows_of({"b": "buy"}, value=3.0)
    found = rfm_segments(log_of(con, rows), as_of="2024-02-01")
    assert found["monetary"].tolist() == [0, 3]


def test_only_the_given_touchpoints_count(con):
    log = log_of(con, rows_of({"a": "buy visit visit", "b": "visit"}, value=2.0))
    found = rfm_segments(log, as_of="2024-02-01", touchpoints="buy")
    assert found[["customer_id", "frequency", "monetary"]].to_numpy().tolist() == [["a", 1, 2.0]]


def test_another_column_may_hold_the_money(con):
    log = log_of(con, rows_of({"a": "buy"}, margin=7))
    assert rfm_segments(log, as_of="2024-02-01", money="margin")["monetary"].tolist() == [7]


def test_every_pair_of_scores_has_exactly_one_segment():
    for recency, worth in product(range(1, 6), range(2, 11)):
        names = [
            name
            for name, (first, second) in RFM_SEGMENTS.items()
            if first[0] <= recency <= first[1] and second[0] <= worth <= second[1]
        ]
        assert len(names) == 1, (recency, worth, names)


def test_segments_follow_their_table(con):
    found = rfm_segments(purchases(con, [10.0, 20, 30, 40, 50]), as_of="2024-02-01")
    # Frequency scores are all 1: sums of 2, 3, 4, 5 and 6.
    assert found["segment"].tolist() == [
        "hibernating",
        "hibernating",
        "occasional",
        "loyal",
        "loyal",
    ]


def test_before_the_first_event_there_are_no_customers(con):
    found = rfm_segments(purchases(con, [1.0]), as_of="2024-01-01")
    assert len(found) == 0
    assert found.columns.tolist() == [
        *("customer_id", "as_of", "recency_days", "frequency", "monetary"),
        *("recency_score", "frequency_score", "monetary_score", "segment"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"as_of": "2024-03-02"}, "as_of 2024-03-02T00:00:00 is after observed_until 2024-03-01"),
        ({"money": "valeu"}, "no column 'valeu' in the log; did you mean 'value'"),
        ({"money": "channel"}, "'channel' is string, and must be a number"),
        ({"touchpoints": "by"}, "did you mean 'buy'"),
        ({"as_of": "soon"}, "the moment 'soon' is not a date or time"),
    ],
)
def test_what_cannot_be_computed_says_why(con, options, message):
    with pytest.raises(CxError, match=message):
        rfm_segments(purchases(con, [1.0]), **{"as_of": "2024-02-01"} | options)


@few_examples
@given(rows=random_rows())
def test_segments_are_those_of_plain_python_and_read_nothing_later(con, rows):
    as_of = datetime(2024, 1, 1, 12, 30)
    rows = [row | {"value": float(position)} for position, row in enumerate(rows)]
    found = rfm_segments(log_of(con, rows), as_of=as_of).set_index("customer_id")
    before = [row for row in rows if row["occurred_at"] < as_of]
    assert set(found.index) == {row["customer_id"] for row in before}
    for customer, facts in found.iterrows():
        own = [row for row in before if row["customer_id"] == customer]
        assert facts["frequency"] == len(own)
        assert facts["monetary"] == sum(row["value"] for row in own)
        worse = (found["monetary"] < facts["monetary"]).sum()
        assert facts["monetary_score"] == 1 + 5 * worse // len(found)
    if before:
        again = rfm_segments(log_of(con, before[::-1]), as_of=as_of).set_index("customer_id")
        pd.testing.assert_frame_equal(again, found)

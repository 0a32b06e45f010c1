import math

import pytest

from cxlib import CxError, journeys_from_frame, keep_events, summary

DAYS = [
    ("a", "a/1", "visit", "2024-01-01", "web"),
    ("a", "a/1", "buy", "2024-01-05", "shop"),
    ("a", "a/2", "visit", "2024-02-01", "web"),
    ("b", "b/1", "visit", "2024-01-02", "shop"),
    ("b", "b/1", "ask", "2024-01-02", "shop"),
    ("b", "b/1", "buy", "2024-01-04", "shop"),
    ("c", "c/1", "visit", "2024-02-28", "web"),
]


@pytest.fixture
def log():
    names = ("customer_id", "journey_id", "touchpoint", "occurred_at", "channel")
    columns = dict(zip(names, map(list, zip(*DAYS, strict=True)), strict=True))
    return journeys_from_frame(columns, observed_until="2024-03-01", closes_after="7 days")


def test_customers_journeys_and_events_are_counted_once(log):
    row = summary(log).iloc[0]
    assert (row["customers"], row["journeys"], row["events"]) == (3, 4, 7)


def test_ended_and_open_journeys_make_up_all(log):
    row = summary(log).iloc[0]
    assert (row["ended"], row["open"]) == (3, 1)


def test_medians_are_those_of_ended_journeys(log):
    row = summary(log).iloc[0]
    # Lengths 2, 1, 3 and durations 4, 0, 2 days; the open journey of c does not count.
    assert (row["median_length"], row["median_duration_days"]) == (2, 2)


def test_a_journey_belongs_to_the_group_of_its_first_event(log):
    frame = summary(log, by="channel").set_index("channel")
    assert frame["journeys"].to_dict() == {"shop": 1, "web": 3}
    assert frame["events"].sum() == 7


def test_a_log_without_events_gives_zeros_and_no_medians(log):
    row = summary(keep_events(log, since="2025-01-01")).iloc[0]
    assert (row["customers"], row["journeys"], row["events"], row["open"]) == (0, 0, 0, 0)
    assert math.isnan(row["median_length"])


def test_an_unknown_group_names_the_closest_column(log):
    with pytest.raises(CxError, match=r"no column 'chanel'.*did you mean 'channel'"):
        summary(log, by="chanel")

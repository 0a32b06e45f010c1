"""Spans and moments as people write them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pytest

from cxlib import parse_moment, parse_span
from cxlib.errors import CxError


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30 days", timedelta(days=30)),
        ("1 day", timedelta(days=1)),
        ("90s", timedelta(seconds=90)),
        ("30 min", timedelta(minutes=30)),
        (" 1.5 Hours ", timedelta(minutes=90)),
        ("2 weeks", timedelta(days=14)),
        (timedelta(seconds=5), timedelta(seconds=5)),
    ],
)
def test_a_number_and_a_unit_make_a_span(text, span):
    assert parse_span(text) == span


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (30, "the span 30 has no unit"),
        ("30", "is not a number and a unit"),
        ("1 month", "a month has no fixed length"),
        ("2 years", "a year has no fixed length"),
        ("3 fortnights", "unknown unit 'fortnights'"),
        ("-1 days", "is not a number and a unit"),
        (timedelta(days=-1), "is negative"),
    ],
)
def test_what_is_no_span_says_why(text, message):
    with pytest.raises(CxError, match=message):
        parse_span(text)


NOON = datetime(2024, 7, 1, 12)


@pytest.mark.parametrize(
    "value",
    [
        "2024-07-01T12:00",
        "2024-07-01 12:00:00",
        "2024-07-01T12:00Z",
        "2024-07-01T14:00+02:00",
        NOON,
        NOON.replace(tzinfo=UTC),
        datetime(2024, 7, 1, 7, tzinfo=timezone(timedelta(hours=-5))),
        pd.Timestamp("2024-07-01T12:00", tz="UTC"),
    ],
)
def test_every_way_to_write_a_moment_is_utc_without_a_zone(value):
    moment = parse_moment(value)
    assert moment == NOON
    assert type(moment) is datetime
    assert moment.tzinfo is None


@pytest.mark.parametrize("value", ["2024-07-01", date(2024, 7, 1)])
def test_a_date_is_its_first_instant(value):
    assert parse_moment(value) == datetime(2024, 7, 1)


def test_nanoseconds_are_cut_to_microseconds():
    assert parse_moment(pd.Timestamp("2024-07-01T00:00:00.123456789")).microsecond == 123456


@pytest.mark.parametrize("value", ["01/07/2024", "yesterday", 20240701, None])
def test_what_is_no_moment_says_so(value):
    with pytest.raises(CxError, match="is not a date or time"):
        parse_moment(value)

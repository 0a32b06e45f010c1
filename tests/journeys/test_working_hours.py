from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cxlib import CxError, WorkingHours

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
BEGIN = datetime(2024, 3, 25)  # the week in which Europe puts its clocks forward
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe"])
shifts = st.sampled_from([("09:00", "17:00"), ("00:00", "24:00"), ("01:30", "03:00"),
                          ("20:00", "24:00")])  # fmt: skip


def minutes_by_hand(hours: WorkingHours, start: datetime, end: datetime) -> int:
    """Minute by minute: what does the clock on the wall show, and is that worked?"""
    zone, minute, total = ZoneInfo(hours.zone), timedelta(minutes=1), 0
    while start < end:
        wall = start.replace(tzinfo=UTC).astimezone(zone)
        shown = f"{wall:%H:%M}"
        is_day = DAYS[wall.weekday()] in hours.days and f"{wall:%Y-%m-%d}" not in hours.holidays
        total += is_day and hours.opening <= shown < hours.closing
        start += minute
    return total


@given(zones, shifts, st.integers(0, 9 * 1440), st.integers(0, 3 * 1440), st.sets(
    st.sampled_from(DAYS), min_size=1))  # fmt: skip
@example("Europe/Berlin", ("09:00", "17:00"), 5 * 1440, 2 * 1440, set(DAYS))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_count_of_minutes_on_the_wall_clock_gives_the_same(zone, shift, since, length, days):
    hours = WorkingHours(
        days=sorted(days), opening=shift[0], closing=shift[1], zone=zone, holidays=["2024-03-29"]
    )
    if shift == ("01:30", "03:00") and zone != "UTC":
        return  # the clock skips or repeats these; the notes say how they are read
    start = BEGIN + timedelta(minutes=since)
    end = start + timedelta(minutes=length)
    assert hours.hours_between(start, end) * 60 == pytest.approx(minutes_by_hand(hours, start, end))


def test_the_engine_counts_what_python_counts(con):
    office = WorkingHours(zone="America/Los_Angeles", holidays=["2024-03-29"])
    starts = [BEGIN + timedelta(hours=7 * n, seconds=n, microseconds=n) for n in range(25)]
    ends = [start + timedelta(hours=5 * n) for n, start in enumerate(starts)]
    frame = pd.DataFrame({"n": range(26), "a": [*starts, None], "b": [*ends, BEGIN]})
    frame = frame.astype({"a": "datetime64[us]", "b": "datetime64[us]"})
    table = con.create_table("waits_in_working_hours", frame)
    added = office.add_hours(table, "a", "b", name="hours", since=BEGIN, until=max(ends))
    found = added.order_by("n").to_pandas().hours
    expected = [office.hours_between(a, b) for a, b in zip(starts, ends, strict=True)]
    assert found[:25].to_list() == pytest.approx(expected)
    assert pd.isna(found[25])
    assert list(added.columns) == ["n", "a", "b", "hours"]


def test_a_working_day_over_midnight_of_utc_is_one_day():
    office = WorkingHours(zone="America/Los_Angeles")
    assert office.hours_between("2024-01-05T17:00", "2024-01-06T01:00") == 8.0
    assert office.hours_between("2024-01-06T01:00", "2024-01-08T17:00") == 0.0


def test_a_day_without_the_hour_of_summer_time_is_shorter():
    nights = WorkingHours(days=["sunday"], opening="00:00", closing="24:00", zone="Europe/Berlin")
    assert nights.hours_between("2024-03-30T00:00", "2024-04-01T00:00") == 23.0
    assert nights.hours_between("2024-10-26T00:00", "2024-10-28T00:00") == 25.0


def test_a_wait_that_runs_backwards_is_negative():
    assert WorkingHours().hours_between("2024-01-08T12:00", "2024-01-08T10:00") == -2.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": ["mnday"]}, "no day of the week 'mnday'; did you mean 'monday'"),
        ({"days": []}, "no day is worked; name at least one"),
        ({"opening": "9 am"}, "the time '9 am' is not a time of the day; write it as '09:00'"),
        ({"closing": "09:00"}, "the closing '09:00' is not after the opening '09:00'"),
        ({"zone": "Berlin"}, "no time zone 'Berlin'; did you mean 'Europe/Berlin'"),
        ({"holidays": ["Easter"]}, "the moment 'Easter' is not a date"),
    ],
)
def test_bad_hours_say_how_to_mend_them(options, message):
    with pytest.raises(CxError, match=message):
        WorkingHours(**options)


def test_an_unknown_setting_names_the_closest_one():
    with pytest.raises(CxError, match="no setting 'open' of working hours; did you mean 'opening'"):
        WorkingHours.from_mapping({"open": "08:00"})

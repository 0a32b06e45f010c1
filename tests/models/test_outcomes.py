"""Time to event."""

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given

from cxlib import add_customer_columns, rfm_segments, time_to_event
from cxlib.errors import CxError
from tests.journeys.logs import DAY_ONE, few_examples, log_of, random_rows, rows_of


def cells(frame):
    return list(frame.itertuples(index=False, name=None))


def durations(con, paths, observed_until="2024-03-01", window_start=None, **options):
    log = log_of(con, paths, observed_until=observed_until)
    options = {"start": "join", "end": "leave", "window_start": window_start} | options
    return cells(time_to_event(log, **options))


# --- without late entry


def test_equal_times_are_one_row_with_their_count(con):
    paths = {"a": "join leave@240", "b": "join leave@240", "c": "join"}
    assert durations(con, paths) == [(0, 10, True, 2), (0, 60, False, 1)]


@pytest.mark.parametrize(
    ("hours", "days"), [(0, 1), (1, 1), (24, 1), (24.001, 2), (47, 2), (48, 2), (240, 10)]
)
def test_an_end_has_the_number_of_the_unit_in_which_it_falls(con, hours, days):
    assert durations(con, {"a": f"join@0 leave@{hours}"}) == [(0, days, True, 1)]


@pytest.mark.parametrize(
    ("observed_until", "days"),
    [("2024-01-01T23:59:59", 0), ("2024-01-02", 1), ("2024-01-31T23:59:59", 30)],
)
def test_a_censored_time_is_the_whole_units_that_were_seen(con, observed_until, days):
    paths = {"a": "join", "without a start": "leave@0"}
    assert durations(con, paths, observed_until) == [(0, days, False, 1)]


@pytest.mark.parametrize(("unit", "length"), [("hours", 336), ("days", 14), ("weeks", 2)])
def test_the_unit_is_in_the_name_of_the_columns(con, unit, length):
    log = log_of(con, {"a": "join@0 leave@336"})
    frame = time_to_event(log, start="join", end="leave", window_start=None, unit=unit)
    assert frame.columns.tolist() == [f"entry_{unit}", f"duration_{unit}", "event", "n"]
    assert frame.dtypes.astype(str).tolist() == ["int64", "int64", "bool", "int64"]
    assert cells(frame) == [(0, length, True, 1)]


def test_the_first_start_counts_and_the_first_end_after_it(con):
    paths = {"a": "leave@0 join@24 join@48 leave@72 leave@96"}
    assert durations(con, paths) == [(0, 2, True, 1)]


def test_an_end_at_the_same_time_counts_even_when_its_id_is_first(con):
    assert durations(con, {"a": "leave@24 join@24"}) == [(0, 1, True, 1)]


def test_the_same_touchpoint_may_start_and_end(con):
    # The first purchase is not its own repeat.
    paths = {"a": "buy@0 buy@48", "b": "buy@0"}
    assert durations(con, paths, start="buy", end="buy") == [(0, 2, True, 1), (0, 60, False, 1)]


def test_one_of_several_starts_and_ends_is_enough(con):
    paths = {"a": "join@0 stop@24", "b": "begin@0 leave@48"}
    found = durations(con, paths, start=["join", "begin"], end=["leave", "stop"])
    assert found == [(0, 1, True, 1), (0, 2, True, 1)]


def test_customers_without_a_start_are_not_at_risk(con):
    assert durations(con, {"a": "visit leave", "b": "join leave@24"}) == [(0, 1, True, 1)]


def test_nobody_at_risk_is_a_frame_without_rows(con):
    log = log_of(con, {"a": "join@0 leave@24", "b": "visit@50"})
    frame = time_to_event(log, start="join", end="leave", window_start="2024-01-04")
    assert frame.columns.tolist() == ["entry_days", "duration_days", "event", "n"]
    assert len(frame) == 0


# --- late entry


def test_who_started_before_the_window_enters_late(con):
    # Window from day 10 on: joined on day 0, 5 and 20.
    paths = {"a": "join@0", "b": "join@120 leave@480", "c": "join@480 leave@720"}
    assert durations(con, paths, window_start="2024-01-11") == [
        (0, 10, True, 1),
        (5, 15, True, 1),
        (10, 60, False, 1),
    ]


def test_who_ended_before_the_window_or_with_it_is_left_out(con):
    paths = {"a": "join@0 leave@120", "b": "join@0 leave@240", "c": "join@0 leave@264"}
    assert durations(con, paths, window_start="2024-01-11") == [(10, 11, True, 1)]


def test_a_late_entry_counts_from_the_next_whole_unit(con):
    # Joined half a day before the window: day 1 is not seen as a whole, day 2 is.
    paths = {"a": "join@228", "b": "join@228 leave@276"}
    assert durations(con, paths, window_start="2024-01-11") == [
        (1, 2, True, 1),
        (1, 50, False, 1),
    ]


def test_who_ends_within_the_unit_of_a_late_entry_is_left_out(con):
    # Enters at 10.5 days, leaves at 10.75.
    paths = {"a": "join@228 leave@486", "b": "join"}
    found = durations(con, paths, window_start="2024-01-20T23:00")
    assert found == [(20, 60, False, 1)]


def test_who_starts_with_the_window_is_not_late(con):
    paths = {"a": "join@240 leave@240", "b": "join@240 leave@288"}
    assert durations(con, paths, window_start="2024-01-11") == [(0, 1, True, 1), (0, 2, True, 1)]


def test_a_clock_from_the_window_lets_later_starts_enter_late(con):
    paths = {
        "early": "join@0 leave@480",
        "late": "join@360 leave@480",
        "gone": "join@0 leave@24",
        "stays": "join@0",
    }
    found = durations(con, paths, window_start="2024-01-11", origin="window_start")
    assert found == [(0, 10, True, 1), (0, 50, False, 1), (5, 10, True, 1)]


# --- groups


def test_groups_are_as_they_were_at_the_start(con):
    rows = rows_of({"a": "join@0"}, channel="web") + rows_of({"b": "join@0"}, channel=None)
    end = rows_of({"a": "visit leave@48"}, channel="app")[1:]
    log = log_of(con, rows + end)
    frame = time_to_event(log, start="join", end="leave", window_start=None, by="channel")
    assert cells(frame) == [("(none)", 0, 60, False, 1), ("web", 0, 2, True, 1)]


def with_segments(con, as_of):
    paths = {"a": "join@0 buy@24 buy@480", "b": "join@0 leave@960", "c": "join@24"}
    log = log_of(con, paths)
    return add_customer_columns(log, rfm_segments(log, as_of=as_of), columns=["segment"])


@pytest.mark.parametrize("window_start", [None, "2024-01-20"])
def test_segments_taken_after_observation_starts_are_refused(con, window_start):
    """The usual mistake: whoever is in a segment of 1 February lived until then."""
    with pytest.raises(CxError, match=r"as of 2024-02-01.* \(immortal time\); give window_start="):
        time_to_event(
            with_segments(con, "2024-02-01"),
            start="join",
            end="leave",
            window_start=window_start,
            by="segment",
        )


@pytest.mark.parametrize("origin", ["start", "window_start"])
def test_segments_are_followed_from_the_day_on_which_they_were_taken(con, origin):
    log = with_segments(con, "2024-02-01")
    frame = time_to_event(
        log,
        start="join",
        end="leave",
        window_start="2024-02-01",
        by="segment",
        origin=origin,
    )
    assert frame["n"].sum() == 3
    assert (frame["entry_days"].min() > 0) == (origin == "start")


def test_a_group_without_a_date_is_not_asked_for_one(con):
    log = with_segments(con, "2024-02-01")
    frame = time_to_event(log, start="join", end="leave", window_start=None, by="source")
    assert frame["n"].sum() == 3


# --- what cannot be answered


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "joined"}, "did you mean 'join'"),
        ({"end": ["leave", "leaves"]}, "did you mean 'leave'"),
        ({"unit": "day"}, "no unit 'day'; did you mean 'days'"),
        ({"unit": "months"}, "no unit 'months'"),
        ({"origin": "begin"}, "no origin 'begin'"),
        ({"origin": "window_start"}, "origin='window_start' needs a window_start"),
        ({"window_start": "2024-03-01"}, "is not before observed_until 2024-03-01T00:00:00"),
        ({"by": "chanel"}, "did you mean 'channel'"),
    ],
)
def test_what_cannot_be_answered_says_why(con, options, message):
    with pytest.raises(CxError, match=message):
        durations(con, {"a": "join leave"}, **options)


def test_the_window_must_be_stated(con):
    with pytest.raises(TypeError, match="window_start"):
        time_to_event(log_of(con, {"a": "join leave"}), start="join", end="leave")


# --- against plain Python


@few_examples
@given(rows=random_rows())
def test_durations_are_those_of_plain_python(con, rows):
    rows = [*rows, *rows_of({"z": "visit leave"})]
    log = log_of(con, rows)
    window = DAY_ONE + timedelta(hours=6, minutes=30)
    frame = time_to_event(
        log, start="visit", end="leave", window_start=window, unit="hours", by="channel"
    )
    expected = expected_by_hand(rows, window, log.observed_until)
    assert cells(frame) == [(*key, n) for key, n in sorted(expected.items())]
    pd.testing.assert_frame_equal(
        frame,
        time_to_event(
            log_of(con, rows[::-1]),
            start="visit",
            end="leave",
            window_start=window,
            unit="hours",
            by="channel",
        ),
    )


def expected_by_hand(rows, window, observed_until):
    hour, counts = timedelta(hours=1), {}
    for customer in {row["customer_id"] for row in rows}:
        own = [row for row in rows if row["customer_id"] == customer]
        own = sorted(own, key=lambda row: (row["occurred_at"], row["event_id"]))
        starts = [row for row in own if row["touchpoint"] == "visit"]
        if not starts:
            continue
        origin = starts[0]["occurred_at"]
        ends = [
            row["occurred_at"]
            for row in own
            if row["touchpoint"] == "leave" and row["occurred_at"] >= origin
        ]
        end = min(ends, default=None)
        if end is not None and origin < window and end <= window:
            continue
        entry = max(0, -((origin - window) // hour))
        if end is None:
            duration = (observed_until - origin) // hour
        else:
            duration = max(1, -((origin - end) // hour))
        if entry == 0 or entry < duration:
            key = (starts[0].get("channel") or "(none)", entry, duration, end is not None)
            counts[key] = counts.get(key, 0) + 1
    return counts

"""Logs from frames."""

from datetime import UTC, datetime

import ibis
import pandas as pd
import pytest

from cxlib import journeys_from_frame
from cxlib.errors import CxError
from tests.journeys.logs import events_of

THREE = {
    "customer_id": ["a", "a", "b"],
    "touchpoint": ["visit", "buy", "visit"],
    "occurred_at": ["2024-01-01T10:00", "2024-01-01T09:00", "2024-01-02"],
}


def build(frame, observed_until="2024-03-01", closes_after="7 days", **options):
    return journeys_from_frame(
        frame, observed_until=observed_until, closes_after=closes_after, **options
    )


def test_rows_without_ids_are_numbered_so_that_text_order_is_row_order():
    rows = {name: values[:1] * 12 for name, values in THREE.items()}
    log = build(rows)
    ids = log.events.order_by("event_id").event_id.to_list()
    assert ids[:2] == ["01", "02"]
    assert ids[-1] == "12"


def test_equal_times_without_ids_keep_the_order_of_the_rows():
    log = build(
        {
            "customer_id": ["a"] * 3,
            "touchpoint": ["visit", "ask", "buy"],
            "occurred_at": ["2024-01-01"] * 3,
        }
    )
    assert log.events.order_by("step").touchpoint.to_list() == ["visit", "ask", "buy"]


def test_times_with_a_zone_become_utc():
    frame = pd.DataFrame(THREE).assign(
        occurred_at=pd.to_datetime(["2024-01-01T10:00+02:00"] * 3, utc=True).tz_convert(
            "Asia/Tokyo"
        )
    )
    assert events_of(build(frame), "occurred_at")[0] == (datetime(2024, 1, 1, 8),)


def test_texts_with_different_offsets_become_utc():
    times = ["2024-01-01T10:00+02:00", "2024-01-01T10:00Z", "2024-01-01T10:00"]
    log = build(THREE | {"occurred_at": times})
    assert [row[0].hour for row in events_of(log, "occurred_at")] == [8, 10, 10]


def test_nanoseconds_and_years_beyond_them_both_fit():
    old = pd.DataFrame(THREE).assign(occurred_at=[datetime(1600, 1, 1)] * 3)
    assert events_of(build(old), "occurred_at")[0] == (datetime(1600, 1, 1),)
    fine = pd.DataFrame(THREE).assign(occurred_at=pd.to_datetime(["2024-01-01 00:00:00.5"] * 3))
    assert fine["occurred_at"].dtype == "datetime64[ns]"
    assert events_of(build(fine), "occurred_at")[0] == (datetime(2024, 1, 1, 0, 0, 0, 500_000),)


def test_the_cut_off_may_carry_a_zone():
    cut_off = datetime(2024, 3, 1, tzinfo=UTC)
    assert build(THREE, observed_until=cut_off).observed_until == datetime(2024, 3, 1)


def test_columns_are_renamed():
    frame = pd.DataFrame(THREE).rename(columns={"customer_id": "user", "touchpoint": "event"})
    log = build(frame, rename={"user": "customer_id", "event": "touchpoint"})
    assert events_of(log, "customer_id", "touchpoint")[1] == ("a", "buy")


def test_a_table_is_renamed_too():
    table = ibis.memtable(
        pd.DataFrame(THREE).assign(
            user=["a", "a", "b"],
            event_id=["1", "2", "3"],
            occurred_at=pd.to_datetime(["2024-01-01"] * 3).astype("datetime64[us]"),
        )
    )
    log = build(table.drop("customer_id"), rename={"user": "customer_id"})
    assert events_of(log, "customer_id") == [("a",), ("a",), ("b",)]


def test_the_frame_is_unchanged():
    frame = pd.DataFrame(THREE)
    before = frame.copy(deep=True)
    build(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_numbers_as_ids_become_text():
    log = build(THREE | {"customer_id": [1, 1, 2]})
    assert events_of(log, "customer_id", "journey_id") == [("1", "1"), ("1", "1"), ("2", "2")]


def test_a_frame_without_rows_is_a_log_without_events():
    log = build(pd.DataFrame(THREE).iloc[:0])
    assert log.events.count().to_pandas() == 0
    assert log.journeys.count().to_pandas() == 0


def test_a_column_without_any_value_is_kept():
    log = build(pd.DataFrame(THREE).assign(campaign=None))
    assert events_of(log, "campaign") == [(None,)] * 3


def test_a_missing_column_says_how_to_name_it():
    frame = pd.DataFrame(THREE).rename(columns={"customer_id": "user_id"})
    with pytest.raises(CxError, match=r"no column 'customer_id' .* rename="):
        build(frame)


def test_renaming_a_column_that_is_not_there_shows_the_closest():
    with pytest.raises(CxError, match="no column 'touchpont' to rename; did you mean 'touchpoint'"):
        build(THREE, rename={"touchpont": "touchpoint"})


def test_a_table_without_event_ids_is_refused_because_it_has_no_row_order():
    table = ibis.memtable(pd.DataFrame(THREE))
    with pytest.raises(CxError, match="no column 'event_id'"):
        build(table)


@pytest.mark.parametrize("name", ["customer_id", "touchpoint", "occurred_at"])
def test_missing_values_in_a_required_column_are_counted(name):
    values = [*THREE[name][:2], None]
    with pytest.raises(CxError, match=f"'{name}' is empty in 1 rows"):
        build(THREE | {name: values})


def test_repeated_event_ids_are_counted():
    with pytest.raises(CxError, match="1 rows repeat an 'event_id'"):
        build(THREE | {"event_id": ["1", "2", "2"]})


def test_reserved_names_are_refused():
    with pytest.raises(CxError, match=r"1 events have a touchpoint named \(start\), \(end\)"):
        build(THREE | {"touchpoint": ["visit", "(end)", "buy"]})


def test_events_after_the_cut_off_are_refused():
    with pytest.raises(CxError, match="1 events are later than observed_until 2024-01-01T12"):
        build(THREE, observed_until="2024-01-01T12:00")


def test_an_unreadable_time_is_shown():
    with pytest.raises(CxError, match=r"'occurred_at' cannot be read as time .*yesterday"):
        build(THREE | {"occurred_at": ["2024-01-01", "yesterday", "2024-01-01"]})


def test_numbers_as_times_are_refused():
    with pytest.raises(CxError, match="'occurred_at' holds numbers"):
        build(THREE | {"occurred_at": [1, 2, 3]})


def test_a_silence_without_unit_is_refused():
    with pytest.raises(CxError, match="the span 7 has no unit"):
        build(THREE, closes_after=7)

"""Order, journeys, steps and ends."""

from datetime import datetime, timedelta

import ibis
import pandas as pd
import pytest

from cxlib.errors import CxError
from cxlib.journeys.prepare import fill_contract, prepare_events
from cxlib.tables import check_contract
from tests.journeys.logs import events_of, log_of, rows_of


def test_prepared_tables_meet_their_contracts(con):
    log = log_of(con, {"a": "visit buy", "b": "visit"})
    check_contract(log.events, "events")
    check_contract(log.journeys, "journeys")


def test_a_step_is_the_position_and_the_last_event_leads_to_the_end(con):
    log = log_of(con, {"a": "visit ask buy", "b": "visit"})
    assert events_of(log, "event_id", "step", "next_touchpoint", "is_open") == [
        ("a-000", 1, "ask", False),
        ("a-001", 2, "buy", False),
        ("a-002", 3, "(end)", False),
        ("b-000", 1, "(end)", False),
    ]


def test_the_time_of_the_next_event_is_missing_only_on_the_last(con):
    log = log_of(con, {"a": "visit ask@30"})
    assert events_of(log, "next_at") == [(datetime(2024, 1, 2, 6),), (None,)]


def test_last_journeys_are_numbered_on_from_what_was_before(con):
    rows = pd.DataFrame(rows_of({"a": "x y x@100 y x@200", "b": "x y"}))
    rows["occurred_at"] = rows["occurred_at"].astype("datetime64[us]")
    rules = {"observed_until": datetime(2024, 3, 1), "closes_after": None}
    rules["split_after"] = timedelta(days=2)
    whole = prepare_events(con.create_table("whole", rows), **rules)
    last = con.create_table("last", rows[4:])
    before = {"a": (4, 2), "b": (0, 0)}
    last = last.mutate(
        cx_events_before=last.customer_id.cases(*((k, n) for k, (n, _) in before.items())),
        cx_journeys_before=last.customer_id.cases(*((k, n) for k, (_, n) in before.items())),
    )
    columns = ["event_id", "journey_id", "cx_place", "step", "next_touchpoint", "is_open"]
    found = prepare_events(last, **rules)
    assert not {"cx_events_before", "cx_journeys_before"} & set(found.columns)
    found = found.select(columns).order_by("event_id").to_pandas()
    expected = whole.select(columns).order_by("event_id").to_pandas().tail(3)
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True))
    assert found["journey_id"].tolist() == ["a/3", "b/1", "b/1"]


def test_equal_times_are_taken_in_the_order_of_event_ids(con):
    rows = rows_of({"a": "visit@0 ask@0 buy@0"})
    log = log_of(con, reversed(rows))
    assert events_of(log, "touchpoint", "step") == [("visit", 1), ("ask", 2), ("buy", 3)]


@pytest.mark.parametrize(
    ("closes_after", "last"), [("1 day", "(end)"), ("2 days", "(open)"), (None, "(open)")]
)
def test_a_journey_is_open_until_its_silence_is_longer_than_given(con, closes_after, last):
    # The last event is exactly two days before the cut-off.
    log = log_of(con, {"a": "visit"}, observed_until="2024-01-03", closes_after=closes_after)
    assert events_of(log, "next_touchpoint") == [(last,)]


def test_only_the_last_journey_of_a_customer_can_be_open(con):
    rows = [
        row | {"journey_id": journey}
        for row, journey in zip(rows_of({"a": "visit buy visit"}), ["x", "x", "y"], strict=True)
    ]
    log = log_of(con, rows, closes_after=None)
    assert events_of(log, "journey_id", "is_open") == [("x", False), ("x", False), ("y", True)]


def test_overlapping_journeys_leave_the_one_with_the_last_event_open(con):
    ids = ["x", "y", "x"]
    rows = [
        row | {"journey_id": journey}
        for row, journey in zip(rows_of({"a": "visit ask buy"}), ids, strict=True)
    ]
    log = log_of(con, rows, closes_after=None)
    assert events_of(log, "step", "is_open") == [(1, True), (1, False), (2, True)]


def test_an_end_touchpoint_closes_the_last_journey(con):
    log = log_of(con, {"a": "visit leave", "b": "visit"}, closes_after=None)
    events = prepare_events(
        log.events, observed_until=log.observed_until, closes_after=None, end=["leave"]
    )
    ends = events.filter(events.next_at.isnull()).order_by("customer_id").next_touchpoint
    assert ends.to_list() == ["(end)", "(open)"]


def test_a_missing_journey_id_becomes_the_customer(con):
    rows = [rows_of({"a": "visit"})[0] | {"journey_id": None}]
    rows += [rows_of({"b": "visit"})[0] | {"journey_id": "s1"}]
    assert events_of(log_of(con, rows), "journey_id") == [("a",), ("s1",)]


def test_a_journey_id_that_customers_share_is_split_by_customer(con):
    rows = [row | {"journey_id": "s1"} for row in rows_of({"a": "visit", "b": "visit buy"})]
    log = log_of(con, rows)
    assert events_of(log, "journey_id", "step") == [("a/s1", 1), ("b/s1", 1), ("b/s1", 2)]


@pytest.mark.parametrize(
    "given",
    [
        [("a", "x"), ("b", "x"), ("c", "a/x")],
        [("a", "b/c"), ("a/b", "c"), ("a/a", "b/c")],
        [("a", "b"), ("z", "b"), ("a/b", None), ("y", "a%2Fb"), ("a%2Fb", None)],
    ],
)
def test_a_journey_has_one_customer_whatever_their_ids(con, given):
    rows = []
    for customer, journey in given:
        rows += [row | {"journey_id": journey} for row in rows_of({customer: "visit buy"})]
    journeys = log_of(con, rows).journeys.to_pandas()
    assert sorted(journeys["customer_id"]) == sorted(customer for customer, _ in given)
    assert journeys["length"].tolist() == [2] * len(given)


def test_the_journey_table_has_one_row_per_journey_with_its_path(con):
    log = log_of(con, {"a": "visit ask visit", "b": "buy@5"})
    rows = log.journeys.order_by("journey_id").to_pandas()
    assert rows["length"].tolist() == [3, 1]
    assert [list(path) for path in rows["path"]] == [["visit", "ask", "visit"], ["buy"]]
    assert (rows["ended_at"] - rows["started_at"]).tolist() == [
        timedelta(hours=2),
        timedelta(0),
    ]


def test_a_path_of_ten_steps_or_more_keeps_its_order(con):
    words = [f"t{position}" for position in range(12)]
    log = log_of(con, {"a": " ".join(words)})
    assert list(log.journeys.to_pandas()["path"][0]) == words


def test_preparing_twice_changes_nothing(con):
    log = log_of(con, {"a": "visit buy", "b": "visit"})
    again = prepare_events(
        log.events, observed_until=log.observed_until, closes_after=log.closes_after
    )
    assert again.columns == log.events.columns
    before, after = (table.order_by("event_id").to_pandas() for table in (log.events, again))
    pd.testing.assert_frame_equal(after, before)


def test_further_columns_of_the_source_stay(con):
    log = log_of(con, rows_of({"a": "visit"}, plan="pro"))
    assert events_of(log, "plan", "value", "source") == [("pro", None, "frame")]


def test_a_missing_required_column_says_how_to_name_it():
    table = ibis.memtable({"event_id": ["1"], "user_id": ["a"]})
    with pytest.raises(CxError, match=r"no column 'customer_id' \(it has 'event_id', 'user_id'\)"):
        fill_contract(table)


def test_a_time_that_is_text_in_a_table_is_refused():
    table = ibis.memtable(
        {"event_id": ["1"], "customer_id": ["a"], "touchpoint": ["x"], "occurred_at": ["2024"]}
    )
    with pytest.raises(CxError, match="'occurred_at' is string, and must be a timestamp"):
        fill_contract(table)

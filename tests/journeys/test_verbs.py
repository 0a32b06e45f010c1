"""Verbs: a log in, another log out."""

import json
from datetime import datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given

from cxlib import (
    add_customer_columns,
    assign_stages,
    keep_events,
    keep_journeys,
    materialize,
    merge_repeats,
    split_journeys,
)
from cxlib.errors import CxError
from cxlib.tables import check_contract
from tests.journeys.logs import (
    events_of,
    few_examples,
    log_of,
    paths_by_hand,
    random_rows,
    rows_of,
)

# --- split_journeys


@pytest.mark.parametrize(("case", "gap"), [("timeout_1m", "1 minute"), ("boundary_30m", "30 min")])
def test_a_gap_splits_when_it_is_longer_than_the_silence(con, shared, case, gap):
    """Case 05: Retentioneering's sessions."""
    rows, expected = _sessions(shared, case)
    split = split_journeys(log_of(con, rows, observed_until="2026-01-01"), gap=gap)
    numbers = [int(row[0].rsplit("/")[1]) for row in events_of(split, "journey_id")]
    assert numbers == expected["session_index"]


def test_a_separator_starts_a_journey(con, shared):
    """Case 05, by a separator event that is then dropped."""
    rows, expected = _sessions(shared, "separator")
    split = split_journeys(log_of(con, rows, observed_until="2026-01-01"), start="sep")
    kept = keep_events(split, touchpoints=expected["kept_events"])
    assert [row[0] for row in events_of(kept, "touchpoint")] == expected["kept_events"]
    numbers = [int(row[0].rsplit("/")[1]) for row in events_of(kept, "journey_id")]
    assert numbers == expected["session_index"]


def _sessions(shared, case):
    folder = shared / "cases" / "journeys"
    frame = pd.read_csv(folder / "05_sessions.csv", parse_dates=["timestamp"])
    frame = frame[frame["case"] == case].reset_index(drop=True)
    frame = frame.rename(columns={"event": "touchpoint", "timestamp": "occurred_at"})
    frame["event_id"] = [f"{position:02}" for position in frame.index]
    expected = json.loads((folder / "05_sessions.json").read_text())[case]
    return frame.drop(columns="case").to_dict("records"), expected


def test_a_gap_of_the_exact_silence_does_not_split_by_a_microsecond(con):
    rows = rows_of({"a": "visit visit visit"})
    rows[2]["occurred_at"] += timedelta(microseconds=1)
    split = split_journeys(log_of(con, rows), gap="1 hour")
    assert events_of(split, "journey_id") == [("a/1",), ("a/1",), ("a/2",)]


def test_an_end_touchpoint_is_the_last_of_its_journey(con):
    split = split_journeys(log_of(con, {"a": "visit leave visit leave"}), end=["leave"])
    assert events_of(split, "journey_id", "step", "next_touchpoint") == [
        ("a/1", 1, "leave"),
        ("a/1", 2, "(end)"),
        ("a/2", 1, "leave"),
        ("a/2", 2, "(end)"),
    ]


def test_an_end_touchpoint_closes_the_journey_however_fresh_it_is(con):
    log = log_of(con, {"a": "visit leave", "b": "visit"}, observed_until="2024-01-02")
    split = split_journeys(log, end="leave")
    assert events_of(split, "is_open") == [(False,), (False,), (True,)]


def test_the_gap_is_also_the_silence_that_closes_unless_another_is_given(con):
    log = log_of(con, {"a": "visit"}, observed_until="2024-01-03", closes_after=None)
    by_gap = split_journeys(log, gap="1 day")
    assert by_gap.closes_after == timedelta(days=1)
    assert events_of(by_gap, "is_open") == [(False,)]
    given = split_journeys(log, gap="1 day", closes_after="5 days")
    assert events_of(given, "is_open") == [(True,)]


def test_without_anything_to_split_by_it_says_so(con):
    with pytest.raises(CxError, match="nothing says where to split"):
        split_journeys(log_of(con, {"a": "visit"}))


def test_splitting_at_an_unknown_touchpoint_shows_the_closest(con):
    with pytest.raises(CxError, match="did you mean 'visit'"):
        split_journeys(log_of(con, {"a": "visit"}), start="visits")


# --- keep_events


def test_kept_events_have_new_steps_and_their_journeys_keep_their_end(con):
    log = log_of(con, {"a": "visit ask buy", "b": "ask"})
    kept = keep_events(log, touchpoints=["visit", "ask"])
    assert events_of(kept, "event_id", "step", "next_touchpoint") == [
        ("a-000", 1, "ask"),
        ("a-001", 2, "(end)"),
        ("b-000", 1, "(end)"),
    ]


def test_dropping_the_last_events_does_not_close_an_open_journey(con):
    log = log_of(con, {"a": "visit buy@200"}, observed_until="2024-01-10", closes_after="2 days")
    kept = keep_events(log, touchpoints="visit")
    assert events_of(kept, "next_touchpoint") == [("(open)",)]


def test_until_moves_the_cut_off_and_opens_the_journeys_that_it_cuts(con):
    log = log_of(con, {"a": "visit buy@24", "b": "visit"})
    kept = keep_events(log, until="2024-01-02")
    assert kept.observed_until == datetime(2024, 1, 2)
    assert events_of(kept, "customer_id", "next_touchpoint") == [("a", "(open)"), ("b", "(end)")]


def test_since_is_kept_and_until_is_not(con):
    log = log_of(con, {"a": "visit ask buy"})
    kept = keep_events(log, since="2024-01-01T01:00", until="2024-01-01T02:00")
    assert events_of(kept, "touchpoint", "step") == [("ask", 1)]


def test_until_after_the_cut_off_leaves_the_cut_off(con):
    log = log_of(con, {"a": "visit"})
    assert keep_events(log, until="2030-01-01").observed_until == log.observed_until


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"channel": "web"}, ["a-000"]),
        ({"channel": ["web", "app"]}, ["a-000", "b-000"]),
        ({"channel": None}, ["c-000"]),
        ({"channel": ["web", None]}, ["a-000", "c-000"]),
        ({"channel": "web", "customer_id": "b"}, []),
        (lambda events: events.channel == "app", ["b-000"]),
    ],
)
def test_a_condition_is_values_of_columns_or_a_function(con, where, kept):
    rows = [
        row
        for name, channel in [("a", "web"), ("b", "app"), ("c", None)]
        for row in rows_of({name: "visit"}, channel=channel)
    ]
    log = keep_events(log_of(con, rows), where=where)
    assert [row[0] for row in events_of(log, "event_id")] == kept


def test_an_unknown_column_in_a_condition_shows_the_closest(con):
    with pytest.raises(CxError, match="no column 'chanel' to filter by; did you mean 'channel'"):
        keep_events(log_of(con, {"a": "visit"}), where={"chanel": "web"})


def test_keeping_an_unknown_touchpoint_shows_the_closest(con):
    with pytest.raises(CxError, match="did you mean 'visit'"):
        keep_events(log_of(con, {"a": "visit"}), touchpoints=["visti"])


# --- keep_journeys

THREE = {"a": "visit ask buy", "b": "ask visit", "c": "visit"}


@pytest.mark.parametrize(
    ("conditions", "kept"),
    [
        ({"containing": "ask"}, ["a", "b"]),
        ({"containing": ["buy", "ask"]}, ["a", "b"]),
        ({"starting_with": "visit"}, ["a", "c"]),
        ({"ending_with": "visit"}, ["b", "c"]),
        ({"min_length": 2}, ["a", "b"]),
        ({"containing": "ask", "starting_with": "visit"}, ["a"]),
        ({"where": {"length": 1}}, ["c"]),
        ({"where": lambda journeys: journeys.length > 1, "ending_with": "visit"}, ["b"]),
        ({}, ["a", "b", "c"]),
    ],
)
def test_journeys_are_kept_whole(con, conditions, kept):
    log = keep_journeys(log_of(con, THREE), **conditions)
    journeys = log.journeys.order_by("journey_id").to_pandas()
    assert journeys["journey_id"].tolist() == kept
    lengths = {name: len(path.split()) for name, path in THREE.items()}
    assert journeys["length"].tolist() == [lengths[name] for name in kept]
    assert len(events_of(log, "step")) == sum(lengths[name] for name in kept)


def test_keeping_journeys_with_an_unknown_touchpoint_shows_the_closest(con):
    with pytest.raises(CxError, match="did you mean 'buy'"):
        keep_journeys(log_of(con, THREE), ending_with="buyy")


# --- assign_stages


@pytest.mark.parametrize("stages", [{"awareness": ["visit", "ask"]}, {"visit": "awareness"}])
def test_stages_are_set_from_their_touchpoints_and_others_stay(con, stages):
    log = log_of(con, rows_of({"a": "visit buy ask"}, stage="old"))
    log = assign_stages(log, stages)
    last = "awareness" if "ask" in str(stages) else "old"
    assert events_of(log, "stage") == [("awareness",), ("old",), (last,)]


def test_a_touchpoint_with_two_stages_is_refused(con):
    with pytest.raises(CxError, match="'visit' is given two stages, 'first' and 'second'"):
        assign_stages(log_of(con, {"a": "visit"}), {"first": ["visit"], "second": ["visit"]})


def test_a_stage_for_an_unknown_touchpoint_shows_the_closest(con):
    with pytest.raises(CxError, match="did you mean 'visit'"):
        assign_stages(log_of(con, {"a": "visit"}), {"vist": "awareness"})


# --- merge_repeats


def test_a_run_is_its_first_event_with_the_sum_of_values_and_the_mean_sentiment(con):
    rows = [
        row | {"value": value, "sentiment": sentiment}
        for row, value, sentiment in zip(
            rows_of({"a": "visit visit visit buy visit"}),
            [1.0, 2.0, None, 4.0, None],
            [0.5, None, -0.5, None, 1.0],
            strict=True,
        )
    ]
    merged = merge_repeats(log_of(con, rows))
    assert events_of(merged, "event_id", "step", "repeats", "value", "sentiment") == [
        ("a-000", 1, 3, 3.0, 0.0),
        ("a-003", 2, 1, 4.0, None),
        ("a-004", 3, 1, None, 1.0),
    ]


def test_repeats_across_journeys_stay(con):
    merged = merge_repeats(log_of(con, {"a": "visit", "b": "visit visit"}))
    assert events_of(merged, "event_id", "repeats") == [("a-000", 1), ("b-000", 2)]


def test_merging_again_keeps_counting(con):
    log = merge_repeats(log_of(con, {"a": "visit visit ask visit"}))
    again = merge_repeats(keep_events(log, touchpoints="visit"))
    assert events_of(again, "repeats") == [(3,)]


@few_examples
@given(rows=random_rows())
def test_merging_gives_the_runs_of_plain_python(con, rows):
    merged = merge_repeats(log_of(con, rows))
    for customer, events in paths_by_hand(rows).items():
        words = [row["touchpoint"] for row in events]
        runs = [word for word, before in zip(words, [None, *words], strict=False) if word != before]
        own = merged.events.filter(merged.events.customer_id == customer).order_by("step")
        assert own.touchpoint.to_list() == runs
        assert sum(own.repeats.to_list()) == len(words)


# --- materialize, add_customer_columns


def test_a_materialized_log_is_the_same(con):
    log = merge_repeats(log_of(con, THREE))
    held = materialize(log)
    assert events_of(held, *held.events.columns) == events_of(log, *log.events.columns)
    check_contract(held.journeys, "journeys")


def test_customer_columns_add_no_events_and_leave_unknown_customers_empty(con):
    facts = pd.DataFrame({"customer_id": ["a", "z"], "plan": ["pro", "basic"], "age": [40, 50]})
    log = add_customer_columns(log_of(con, {"a": "visit buy", "b": "visit"}), facts, ["plan"])
    assert events_of(log, "plan") == [("pro",), ("pro",), (None,)]
    assert "age" not in log.events.columns


def test_a_table_of_the_engine_adds_columns_too(con):
    log = log_of(con, {"a": "visit", "b": "visit visit"})
    facts = log.events.group_by("customer_id").aggregate(events=log.events.count())
    assert events_of(add_customer_columns(log, facts, "events"), "events") == [(1,), (2,), (2,)]


def test_the_date_of_facts_comes_with_them(con):
    facts = pd.DataFrame(
        {"customer_id": ["a"], "segment": ["loyal"], "as_of": [pd.Timestamp("2024-02-01")]}
    ).astype({"as_of": "datetime64[us]"})
    log = add_customer_columns(log_of(con, {"a": "visit"}), facts, ["segment"])
    assert events_of(log, "segment_as_of") == [(datetime(2024, 2, 1),)]


def test_a_customer_in_two_rows_is_refused(con):
    facts = pd.DataFrame({"customer_id": ["a", "a"], "plan": ["pro", "basic"]})
    with pytest.raises(CxError, match="1 rows of the customer table repeat a 'customer_id'"):
        add_customer_columns(log_of(con, {"a": "visit"}), facts, ["plan"])


def test_a_column_that_the_table_lacks_shows_the_closest(con):
    facts = pd.DataFrame({"customer_id": ["a"], "plan": ["pro"]})
    with pytest.raises(CxError, match="'plans' in the customer table; did you mean 'plan'"):
        add_customer_columns(log_of(con, {"a": "visit"}), facts, ["plans"])


def test_a_column_that_the_log_has_already_is_refused(con):
    facts = pd.DataFrame({"customer_id": ["a"], "channel": ["web"]})
    with pytest.raises(CxError, match="the log has a column 'channel' already"):
        add_customer_columns(log_of(con, {"a": "visit"}), facts, ["channel"])


# --- every verb


@pytest.mark.parametrize(
    "verb",
    [
        lambda log: split_journeys(log, gap="3 hours"),
        lambda log: keep_events(log, where={"channel": ["web", None]}),
        lambda log: keep_events(log, until="2024-01-01T10:00"),
        lambda log: keep_journeys(log, min_length=2),
        lambda log: assign_stages(log, {}),
        merge_repeats,
        materialize,
    ],
)
@few_examples
@given(rows=random_rows())
def test_a_verb_leaves_its_input_and_does_not_care_about_the_order_of_rows(con, verb, rows):
    log = log_of(con, rows)
    before = events_of(log, *log.events.columns)
    after = verb(log)
    columns = after.events.columns
    assert set(log.events.columns) <= set(columns)
    assert events_of(log, *log.events.columns) == before
    assert events_of(verb(log_of(con, rows[::-1])), *columns) == events_of(after, *columns)


@pytest.mark.parametrize(
    "verb",
    [
        lambda log: split_journeys(log, gap="3 hours"),
        lambda log: keep_events(log, until="2024-01-01T10:00"),
        lambda log: keep_journeys(log, min_length=2),
        merge_repeats,
    ],
)
def test_what_a_verb_gives_meets_the_contracts(con, verb):
    log = verb(log_of(con, {"a": "visit visit buy", "b": "ask@2 buy@20"}))
    check_contract(log.events, "events")
    check_contract(log.journeys, "journeys")
    assert log.journeys.length.sum().to_pandas() == log.events.count().to_pandas()

"""Transitions and flows."""

import json
from collections import Counter
from datetime import timedelta

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import flows, keep_events, keep_journeys, split_journeys, transitions
from cxlib.errors import CxError
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

CASE_NODES = {"path_start": "(start)", "path_end": "(end)"}


# --- transitions: cases with known answers


@pytest.fixture
def graph(shared):
    """Case 03: Retentioneering's transition graph."""
    folder = shared / "cases" / "journeys"
    frame = pd.read_csv(folder / "03_transition_graph.csv", parse_dates=["timestamp"])
    frame["event_id"] = frame["input_order"].map("{:02}".format)
    frame = frame.rename(columns={"event": "touchpoint", "timestamp": "occurred_at"})
    return frame, json.loads((folder / "03_transition_graph.json").read_text())


def by_customer_or_session(con, frame, key):
    if key == "session":
        frame = frame.assign(journey_id=frame["session_id"])
    return log_of(con, frame.drop(columns="input_order").to_dict("records"))


def matrix(frame, weight, expected):
    nodes = [CASE_NODES.get(name, name) for name in expected["index"]]
    table = frame.pivot_table(index="from_touchpoint", columns="to_touchpoint", values=weight)
    return table.reindex(index=nodes, columns=nodes).fillna(0).to_numpy()


@pytest.mark.parametrize("key", ["customer", "session"])
def test_counts_are_those_of_the_case(con, graph, key):
    frame, expected = graph
    found = transitions(by_customer_or_session(con, frame, key))
    np.testing.assert_array_equal(
        matrix(found, "count", expected), expected[f"count_by_{key}"], strict=False
    )


@pytest.mark.parametrize(
    ("weight", "answer"),
    [
        ("probability", lambda expected: expected["proba_out_by_customer"]),
        ("probability_in", lambda expected: expected["proba_in_by_customer"]),
        ("share", lambda expected: np.array(expected["count_by_customer"]) / 21),
        ("per_journey", lambda expected: np.array(expected["count_by_customer"]) / 3),
    ],
)
def test_weights_are_those_of_the_case(con, graph, weight, answer):
    frame, expected = graph
    found = transitions(by_customer_or_session(con, frame, "customer"))
    np.testing.assert_allclose(matrix(found, weight, expected), answer(expected), rtol=1e-12)


def test_the_difference_of_groups_is_that_of_the_case(con, graph):
    frame, expected = graph
    found = transitions(by_customer_or_session(con, frame, "session"), by="country")
    us, uk = (
        matrix(found[found["country"] == country], "count", expected) for country in ("US", "UK")
    )
    np.testing.assert_array_equal(us - uk, expected["diff_country_US_minus_UK_count_by_session"])


# --- transitions: counted by hand

TINY = {"a": "visit@0 ask@2 visit@3 ask@9", "b": "visit@0 ask@10", "c": "ask@1"}


def row(frame, start, end, **group):
    found = frame[(frame["from_touchpoint"] == start) & (frame["to_touchpoint"] == end)]
    for name, value in group.items():
        found = found[found[name] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_moves_journeys_and_customers_are_told_apart(con):
    found = row(transitions(log_of(con, TINY)), "visit", "ask")
    assert (found["count"], found["journeys"], found["customers"]) == (3, 2, 2)
    assert found["share"] == 3 / 10
    assert found["per_journey"] == 3 / 3


def test_customers_count_once_however_many_journeys_they_have(con):
    log = split_journeys(log_of(con, {"a": "visit@0 ask@1 visit@20 ask@21"}), gap="5 hours")
    found = row(transitions(log), "visit", "ask")
    assert (found["count"], found["journeys"], found["customers"]) == (2, 2, 1)


def test_waits_are_hours_with_their_fractions(con):
    # Waits of 2, 6 and 10 hours; the 95th percentile lies 9/10 of the way between the last two.
    found = row(transitions(log_of(con, TINY)), "visit", "ask")
    assert found["median_wait_hours"] == 6
    assert found["p95_wait_hours"] == pytest.approx(9.6)
    short = log_of(con, {"a": "visit@0.99 ask@1.01"})
    assert row(transitions(short), "visit", "ask")["median_wait_hours"] == pytest.approx(0.02)


def test_starts_and_ends_have_no_wait(con):
    found = transitions(log_of(con, {"a": "visit"}))
    assert found["median_wait_hours"].isna().all()
    assert found["median_wait_hours"].dtype == "float64"


def test_a_journey_that_goes_on_leads_to_open(con):
    found = transitions(log_of(con, {"a": "visit@0", "b": "visit@1400"}))
    assert row(found, "visit", "(open)")["count"] == 1
    assert row(found, "visit", "(end)")["count"] == 1


def test_the_most_frequent_come_first_and_equal_ones_by_name(con):
    found = transitions(log_of(con, TINY))
    assert found["count"].is_monotonic_decreasing
    pairs = found[found["count"] == 1][["from_touchpoint", "to_touchpoint"]]
    assert pairs.apply(tuple, axis=1).is_monotonic_increasing


def test_a_log_without_events_has_no_transitions_but_their_columns(con):
    empty = keep_events(log_of(con, TINY), where={"customer_id": "nobody"})
    found = transitions(empty, by="channel")
    assert len(found) == 0
    assert found.columns[:3].tolist() == ["channel", "from_touchpoint", "to_touchpoint"]
    assert not found.isna().any(axis=None)


def test_an_unknown_group_shows_the_closest(con):
    with pytest.raises(CxError, match="did you mean 'channel'"):
        transitions(log_of(con, TINY), by="chanel")


@few_examples
@given(rows=random_rows())
def test_transitions_are_those_of_a_graph_built_by_hand(con, rows):
    graph = nx.MultiDiGraph()
    for events in paths_by_hand(rows).values():
        path = ["(start)", *(event["touchpoint"] for event in events), "(end)"]
        nx.add_path(graph, path)
    expected = Counter((start, end) for start, end, _ in graph.edges)
    found = transitions(log_of(con, rows))
    pairs = zip(found["from_touchpoint"], found["to_touchpoint"], strict=True)
    assert dict(zip(pairs, found["count"], strict=True)) == expected
    for start, probability in found.groupby("from_touchpoint")["probability"].sum().items():
        assert probability == pytest.approx(1), start


# --- flows: counted by hand

FOUR = {"a": "visit ask buy", "b": "visit buy", "c": "visit ask leave", "d": "ask visit"}


def cells(frame, *columns):
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_flows_count_journeys_by_step(con):
    found = flows(log_of(con, FOUR))
    assert cells(found, "step", "from_touchpoint", "to_touchpoint", "journeys") == [
        (1, "visit", "ask", 2),
        (1, "ask", "visit", 1),
        (1, "visit", "buy", 1),
        (2, "ask", "buy", 1),
        (2, "ask", "leave", 1),
        (2, "buy", "(end)", 1),
        (2, "visit", "(end)", 1),
        (3, "buy", "(end)", 1),
        (3, "leave", "(end)", 1),
    ]
    assert found.loc[found["step"] == 1, "of_step"].tolist() == [0.5, 0.25, 0.25]


def test_steps_are_the_moves_that_are_followed(con):
    assert flows(log_of(con, FOUR), steps=1)["step"].unique().tolist() == [1]
    assert flows(log_of(con, FOUR), steps=1)["journeys"].sum() == 4


def test_the_most_frequent_of_each_step_are_named_and_the_rest_bundled(con):
    # Step 1: visit 3, ask 1. Step 2: ask 2, buy 1, visit 1. Step 3: buy 1, leave 1.
    found = flows(log_of(con, FOUR), keep=1)
    assert cells(found, "step", "from_touchpoint", "to_touchpoint", "journeys") == [
        (1, "visit", "ask", 2),
        (1, "(other)", "(other)", 1),
        (1, "visit", "(other)", 1),
        (2, "(other)", "(end)", 2),
        (2, "ask", "(other)", 1),
        (2, "ask", "buy", 1),
        (3, "(other)", "(end)", 1),
        (3, "buy", "(end)", 1),
    ]


def test_customers_are_counted_after_bundling(con):
    # Two journeys of one customer, bundled from different touchpoints.
    log = split_journeys(log_of(con, {"a": "ask@0 ask@20 visit@40 buy@60"}), gap="5 hours")
    found = flows(log, keep=1)
    bundled = row(found, "(other)", "(end)")
    assert (bundled["journeys"], bundled["customers"]) == (2, 1)


def test_groups_share_the_names_and_add_up(con):
    rows = [
        {**event, "channel": channel}
        for channel, paths in [
            ("web", {"a": "visit ask", "b": "visit"}),
            (None, {"c": "buy", "d": "ask visit"}),
        ]
        for event in rows_of(paths)
    ]
    log = log_of(con, rows)
    parts, whole = flows(log, keep=1, by="channel"), flows(log, keep=1)
    assert parts["channel"].unique().tolist() == ["(none)", "web"]
    assert row(parts, "visit", "(end)", channel="web", step=1)["journeys"] == 1
    assert parts[parts["channel"] == "(none)"]["from_touchpoint"].tolist() == ["(other)"] * 3
    keys = ["step", "from_touchpoint", "to_touchpoint"]
    summed = parts.groupby(keys)["journeys"].sum()
    pd.testing.assert_series_equal(summed, whole.set_index(keys)["journeys"].sort_index())
    assert parts.groupby(["channel", "step"])["of_step"].sum().tolist() == [1, 1, 1, 1]


def test_around_an_anchor_steps_are_offsets_and_starts_are_shown(con):
    # d starts with the anchor; b does not have it.
    found = flows(log_of(con, FOUR), around="ask", before=2, after=1)
    assert cells(found, "step", "from_touchpoint", "to_touchpoint", "journeys") == [
        (-2, "(start)", "visit", 2),
        (-1, "visit", "ask", 2),
        (-1, "(start)", "ask", 1),
        (0, "ask", "buy", 1),
        (0, "ask", "leave", 1),
        (0, "ask", "visit", 1),
    ]
    assert found.loc[found["step"] == 0, "journeys"].sum() == 3
    assert found.loc[found["step"] == -1, "journeys"].sum() == 3


@pytest.mark.parametrize(("occurrence", "before_it"), [("first", "(start)"), ("last", "visit")])
def test_the_anchor_is_the_first_or_the_last_occurrence(con, occurrence, before_it):
    log = log_of(con, {"a": "ask visit ask"})
    found = flows(log, around="ask", before=1, after=1, occurrence=occurrence)
    assert found.loc[found["step"] == -1, "from_touchpoint"].tolist() == [before_it]


def test_the_anchor_may_be_the_end_of_the_picture(con):
    found = flows(log_of(con, FOUR), around="ask", before=1, after=0)
    assert found["to_touchpoint"].unique().tolist() == ["ask"]


def test_an_open_journey_flows_to_open(con):
    found = flows(log_of(con, {"a": "visit"}, closes_after=None))
    assert found["to_touchpoint"].tolist() == ["(open)"]


def test_a_log_without_events_has_no_flows_but_their_columns(con):
    empty = keep_events(log_of(con, FOUR), where={"customer_id": "nobody"})
    found = flows(empty)
    assert found.columns.tolist() == [
        *("step", "from_touchpoint", "to_touchpoint"),
        *("journeys", "customers", "of_step"),
    ]
    assert len(found) == 0
    assert found["journeys"].dtype == "int64"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0, and must be at least 1"),
        ({"keep": 0}, "keep is 0, and must be at least 1"),
        ({"around": "ask", "before": -1}, "before is -1, and must be at least 0"),
        ({"around": "ask", "before": 0, "after": 0}, r"before \+ after is 0"),
        ({"around": "asks"}, "no touchpoint 'asks' in the log; did you mean 'ask'"),
        ({"around": "ask", "occurrence": "frist"}, "did you mean 'first'"),
        ({"by": "chanel"}, "no column 'chanel' to group by; did you mean 'channel'"),
        ({"by": "step"}, "the result has a column 'step' of its own"),
    ],
)
def test_what_cannot_be_drawn_says_why(con, options, message):
    with pytest.raises(CxError, match=message):
        flows(log_of(con, FOUR), **options)


# --- flows and transitions reconcile


@few_examples
@given(rows=random_rows(), keep=st.integers(1, 5))
def test_step_one_has_every_journey_and_every_step_those_that_got_there(con, rows, keep):
    log = split_journeys(log_of(con, rows), gap="4 hours")
    found = flows(log, steps=30, keep=keep)
    lengths = log.journeys.to_pandas()["length"]
    totals = found.groupby("step")["journeys"].sum().to_dict()
    assert totals == {step: int((lengths >= step).sum()) for step in range(1, lengths.max() + 1)}
    assert found.groupby("step")["of_step"].sum().to_numpy() == pytest.approx(1)


@few_examples
@given(rows=random_rows())
def test_all_steps_together_are_the_transitions_without_starts(con, rows):
    log = log_of(con, rows)
    pair = ["from_touchpoint", "to_touchpoint"]
    summed = flows(log, steps=30, keep=10).groupby(pair)["journeys"].sum()
    counts = transitions(log).query("from_touchpoint != '(start)'").set_index(pair)["count"]
    assert summed.to_dict() == counts.to_dict()


@few_examples
@given(rows=random_rows())
def test_around_has_each_journey_with_the_anchor_once_per_step_beside_it(con, rows):
    log = log_of(con, rows)
    anchor = rows[0]["touchpoint"]
    found = flows(log, around=anchor, before=1, after=1)
    totals = found.groupby("step")["journeys"].sum().to_dict()
    n = int(keep_journeys(log, containing=anchor).journeys.count().to_pandas())
    assert totals == {-1: n, 0: n}


@few_examples
@given(rows=random_rows())
def test_parts_add_up_to_the_whole(con, rows):
    log = log_of(con, rows)
    keys = ["from_touchpoint", "to_touchpoint"]
    for noun, column, first in [(flows, "journeys", ["step"]), (transitions, "count", [])]:
        parts = noun(log, by="channel").groupby([*first, *keys])[column].sum()
        assert parts.to_dict() == noun(log).set_index([*first, *keys])[column].to_dict()


@few_examples
@given(rows=random_rows())
def test_the_order_of_rows_does_not_matter_and_the_log_is_unchanged(con, rows):
    log, other = log_of(con, rows), log_of(con, rows[::-1])
    before = log.events.order_by("event_id").to_pandas()
    pd.testing.assert_frame_equal(transitions(log), transitions(other))
    pd.testing.assert_frame_equal(flows(log, keep=2), flows(other, keep=2))
    pd.testing.assert_frame_equal(log.events.order_by("event_id").to_pandas(), before)


def test_a_wait_over_a_year_is_exact(con):
    rows = rows_of({"a": "visit ask"})
    rows[1]["occurred_at"] = rows[0]["occurred_at"] + timedelta(days=500)
    found = transitions(log_of(con, rows, observed_until="2030-01-01"))
    assert row(found, "visit", "ask")["median_wait_hours"] == 500 * 24

"""The step matrix."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import flows, keep_events, step_matrix
from cxlib.errors import CxError
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

NODES = ["(start)", "A", "B", "C", "(end)"]


@pytest.fixture
def case(shared):
    """Case 04: Retentioneering's step matrix, on the log of case 03."""
    folder = shared / "cases" / "journeys"
    frame = pd.read_csv(folder / "03_transition_graph.csv", parse_dates=["timestamp"])
    frame["event_id"] = frame["input_order"].map("{:02}".format)
    frame = frame.rename(columns={"event": "touchpoint", "timestamp": "occurred_at"})
    return frame, json.loads((folder / "04_step_matrix.json").read_text())


def case_log(con, frame, journey):
    frame = frame.assign(journey_id=frame[journey]).drop(columns="input_order")
    return log_of(con, frame.to_dict("records"))


def grid(frame, steps):
    table = frame.pivot_table(index="touchpoint", columns="step", values="share")
    return table.reindex(index=NODES, columns=steps).fillna(0).to_numpy()


def test_from_the_start_it_is_that_of_the_case(con, case):
    frame, expected = case
    found = step_matrix(case_log(con, frame, "customer_id"), steps=5)
    answer = np.array(expected["step_matrix_by_customer_max_steps_5"])[:, 1:]
    np.testing.assert_allclose(grid(found, range(1, 6)), answer, rtol=1e-12)


def test_from_the_end_it_is_that_of_the_case(con, case):
    frame, expected = case
    found = step_matrix(case_log(con, frame, "session_id"), steps=5, align="end")
    answer = np.array(expected["aligned_on_path_end_by_session"]["rows"])[:, :-1]
    np.testing.assert_allclose(grid(found, range(-5, 0)), answer, rtol=1e-12)


def test_around_an_anchor_it_is_that_of_the_case(con, case):
    frame, expected = case
    log = case_log(con, frame, "customer_id")
    found = step_matrix(log, around="C", before=2, after=2)
    answer = expected["anchored_on_first_C_by_customer(only paths containing C)"]["rows"]
    np.testing.assert_allclose(grid(found, range(-2, 3)), answer, rtol=1e-12)


FOUR = {"a": "visit ask buy", "b": "visit buy", "c": "visit ask leave", "d": "ask visit"}


def cells(frame, *columns):
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_journeys_that_are_over_stay_in_the_picture(con):
    found = step_matrix(log_of(con, FOUR), steps=4)
    assert cells(found, "step", "touchpoint", "journeys", "n") == [
        (1, "visit", 3, 4),
        (1, "ask", 1, 4),
        (2, "ask", 2, 4),
        (2, "buy", 1, 4),
        (2, "visit", 1, 4),
        (3, "(end)", 2, 4),
        (3, "buy", 1, 4),
        (3, "leave", 1, 4),
        (4, "(end)", 4, 4),
    ]


def test_an_open_journey_stays_in_open_and_has_no_end_to_count_from(con):
    log = log_of(con, {"a": "visit@0", "b": "ask@1400"})
    found = step_matrix(log, steps=2)
    assert cells(found[found["step"] == 2], "touchpoint", "journeys") == [
        ("(end)", 1),
        ("(open)", 1),
    ]
    assert cells(step_matrix(log, steps=1, align="end"), "step", "touchpoint", "n") == [
        (-1, "visit", 1)
    ]


def test_all_but_the_most_frequent_are_bundled(con):
    # In the first two steps: visit 4, ask 3, buy 1.
    found = step_matrix(log_of(con, FOUR), steps=2, keep=2)
    assert cells(found[found["step"] == 2], "touchpoint", "journeys") == [
        ("ask", 2),
        ("(other)", 1),
        ("visit", 1),
    ]


@pytest.mark.parametrize(("occurrence", "after_it"), [("first", "visit"), ("last", "(end)")])
def test_the_anchor_is_the_first_or_the_last_occurrence(con, occurrence, after_it):
    log = log_of(con, {"a": "ask visit ask"})
    found = step_matrix(log, around="ask", before=0, after=1, occurrence=occurrence)
    assert found["touchpoint"].tolist() == ["ask", after_it]


def test_a_journey_belongs_to_the_group_of_its_first_event(con):
    rows = rows_of(FOUR, channel="web")
    rows[1]["channel"] = "app"
    rows[0]["channel"] = None
    found = step_matrix(log_of(con, rows), steps=2, by="channel")
    assert cells(found, "channel", "step", "touchpoint", "journeys", "n") == [
        ("(none)", 1, "visit", 1, 1),
        ("(none)", 2, "ask", 1, 1),
        ("web", 1, "visit", 2, 3),
        ("web", 1, "ask", 1, 3),
        ("web", 2, "ask", 1, 3),
        ("web", 2, "buy", 1, 3),
        ("web", 2, "visit", 1, 3),
    ]


def test_a_log_without_events_has_no_steps_but_their_columns(con):
    empty = keep_events(log_of(con, FOUR), where={"customer_id": "nobody"})
    found = step_matrix(empty, by="channel")
    assert len(found) == 0
    assert found.columns.tolist() == ["channel", "step", "touchpoint", "journeys", "n", "share"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0, and must be at least 1"),
        ({"align": "ends"}, "no alignment 'ends'; did you mean 'end'"),
        ({"around": "asks"}, "did you mean 'ask'"),
        ({"around": "ask", "occurrence": "frist"}, "did you mean 'first'"),
        ({"by": "chanel"}, "did you mean 'channel'"),
        ({"by": "step"}, "the result has a column 'step' of its own"),
    ],
)
def test_what_cannot_be_counted_says_why(con, options, message):
    with pytest.raises(CxError, match=message):
        step_matrix(log_of(con, FOUR), **options)


def by_hand(rows, low, high, anchor):
    """Where each journey is at each step; ``anchor`` gives its step 0 from its path."""
    found = Counter()
    for events in paths_by_hand(rows).values():
        path = [event["touchpoint"] for event in events]
        if (zero := anchor(path)) is None:
            continue
        for step in range(low, high + 1):
            at = zero + step
            found[step, "(start)" if at < 0 else "(end)" if at >= len(path) else path[at]] += 1
    return found


@few_examples
@given(rows=random_rows(), align=st.sampled_from(["start", "end", "around"]))
def test_it_is_that_counted_by_hand_and_each_step_sums_to_one(con, rows, align):
    log, name = log_of(con, rows), rows[0]["touchpoint"]
    options, low, high, anchor = {
        "start": ({"steps": 6}, 1, 6, lambda path: -1),
        "end": ({"steps": 6, "align": "end"}, -6, -1, len),
        "around": ({"around": name, "before": 2, "after": 2}, -2, 2,
                   lambda path: path.index(name) if name in path else None),
    }[align]  # fmt: skip
    found = step_matrix(log, **options)
    counts = zip(found["step"], found["touchpoint"], found["journeys"], strict=True)
    assert {(step, at): n for step, at, n in counts} == by_hand(rows, low, high, anchor)
    assert found.groupby("step")["share"].sum().to_numpy() == pytest.approx(1)
    assert found["n"].eq(found["n"].iloc[0]).all()


@few_examples
@given(rows=random_rows())
def test_parts_add_up_row_order_is_irrelevant_and_flows_agree(con, rows):
    log = log_of(con, rows)
    whole = step_matrix(log, steps=5)
    pd.testing.assert_frame_equal(whole, step_matrix(log_of(con, rows[::-1]), steps=5))
    keys = ["step", "touchpoint"]
    parts = step_matrix(log, steps=5, by="channel").groupby(keys)["journeys"].sum()
    assert parts.to_dict() == whole.set_index(keys)["journeys"].to_dict()
    moves = flows(log, steps=5, keep=9).groupby(["step", "from_touchpoint"])["journeys"].sum()
    visited = whole[~whole["touchpoint"].isin(["(end)", "(open)"])]
    assert visited.set_index(keys)["journeys"].to_dict() == moves.to_dict()

"""A column of the user's may have any name, whether it groups or merely stands there."""

import re

import pandas as pd
import pytest

from cxlib import assign_stages, flows, stage_times, time_to_event
from cxlib.errors import CxError
from tests.journeys.logs import log_of, rows_of
from tests.journeys.nouns import NOUNS

# Names that measures give to columns on their way, or once gave.
NAMES = [
    "after",
    "anchor_step",
    "back_at",
    "bin",
    "change",
    "duration",
    "ended_at",
    "entropy",
    "hours",
    "length",
    "open",
    "path",
    "place",
    "position",
    "rank",
    "reason",
    "started_at",
    "wait",
    "_at",
    "_rank",
]
PATHS = {"a": "visit buy@2 visit@4", "b": "visit visit@1 buy@9", "c": "buy visit@30"}
PLANS = {"a": "pro", "b": "basic", "c": "pro"}


def rows():
    found = rows_of(PATHS)
    for row in found:
        desk = "desk" if row["touchpoint"] == "visit" else "sales"
        row |= {"department": desk, "plan": PLANS[row["customer_id"]]}
    return found


def log_with(con, names):
    """The same log, with further columns that say what ``plan`` says."""
    return log_of(con, [row | dict.fromkeys(names, row["plan"]) for row in rows()])


@pytest.mark.parametrize("name", sorted(NOUNS))
def test_a_group_may_have_any_name_that_the_result_has_not(con, name):
    want = NOUNS[name](log_with(con, []), by="plan")
    log = log_with(con, NAMES)
    free = [column for column in NAMES if column not in want]
    found = NOUNS[name](log, by=["plan", *_taken_off(name, log, free)])
    same = [column for column in found if column in NAMES and column not in want]
    assert len(same) > len(NAMES) // 2
    for column in same:
        assert found[column].tolist() == found["plan"].tolist()
    pd.testing.assert_frame_equal(found.drop(columns=same), want)


def _taken_off(name, log, columns):
    """Those columns that a measure does not refuse in so many words."""
    left = list(columns)
    while left:
        try:
            NOUNS[name](log, by=["plan", *left])
        except CxError as error:
            said = re.match(r"the result has a column '(\w+)' of its own", str(error))
            left.remove(said[1])
        else:
            return left
    raise AssertionError("every name is refused")


@pytest.mark.parametrize("name", sorted(NOUNS))
def test_a_name_of_the_result_is_refused_in_a_sentence(con, name):
    log = log_with(con, NAMES)
    taken = [column for column in NAMES if column in NOUNS[name](log)]
    for column in taken:
        with pytest.raises(CxError, match=f"the result has a column '{column}' of its own"):
            NOUNS[name](log, by=column)


@pytest.mark.parametrize("name", sorted(NOUNS))
def test_columns_that_nobody_asks_for_change_nothing(con, name):
    pd.testing.assert_frame_equal(NOUNS[name](log_with(con, NAMES)), NOUNS[name](log_with(con, [])))


def test_a_flow_around_a_touchpoint_and_stages_know_no_column_of_the_user(con):
    for measure in (
        lambda log: flows(log, around="buy"),
        lambda log: stage_times(assign_stages(log, {"visit": "look", "buy": "take"}), ["look"]),
        lambda log: time_to_event(log, start="visit", end="buy", window_start=None),
    ):
        pd.testing.assert_frame_equal(measure(log_with(con, NAMES)), measure(log_with(con, [])))


def test_time_to_an_event_is_grouped_by_any_name(con):
    want = time_to_event(log_with(con, []), start="visit", end="buy", window_start=None, by="plan")
    found = time_to_event(
        log_with(con, ["rank", "started_at"]),
        start="visit",
        end="buy",
        window_start=None,
        by=["plan", "rank", "started_at"],
    )
    assert found["rank"].tolist() == found["started_at"].tolist() == found["plan"].tolist()
    pd.testing.assert_frame_equal(found.drop(columns=["rank", "started_at"]), want)

"""Handoffs of logs that nobody made for these tests, and of a company whose truth is known."""

import pytest

from cxlib import (
    CxError,
    handoffs,
    handoffs_per_journey,
    keep_events,
    load_journeys,
    open_store,
    planted_truth,
    sequence_indicators,
    split_journeys,
)
from tests.journeys.examples import example_log

CASE = ["opened_ticket", "called_support", "talked_to_technical", "talked_to_billing",
        "returned_to_front_desk", "rated_support"]  # fmt: skip


@pytest.mark.shared
def test_handoffs_of_the_receipt_log_are_those_of_a_recount(shared, con):
    log = example_log("receipt", shared, con)
    events = log.events.order_by(["journey_id", "step"]).to_pandas()
    events = events[events.department.notna()]
    after = events.groupby("journey_id").department.shift(-1)
    moved = events[after.notna() & (events.department != after)]
    frame = handoffs(log)
    counted = moved.groupby([moved.department, after[moved.index]]).size()
    found = frame.set_index(["from_department", "to_department"]).handoffs
    assert found.to_dict() == counted.to_dict()
    assert (frame.returned + frame.handed_on + frame.ended + frame.open == frame.handoffs).all()


@pytest.mark.shared
def test_a_log_without_departments_still_has_indicators(shared, con):
    log = example_log("ecom", shared, con)
    with pytest.raises(CxError, match="no event of the log has a department"):
        handoffs(log)
    frame = sequence_indicators(log).set_index("indicator")
    assert (frame.n == log.journeys.count().to_pandas()).all()
    assert (
        frame.loc[["entropy", "complexity", "volatility"], ["p10", "p90"]]
        .stack()
        .between(0, 1)
        .all()
    )


def test_the_planted_cost_of_a_handoff_is_seen_in_the_scores(demo_workspace):
    log = load_journeys(open_store(demo_workspace))
    cases = split_journeys(
        keep_events(log, touchpoints=CASE), start=["opened_ticket", "called_support"]
    )
    frame = handoffs_per_journey(cases, departments=["front_desk", "technical", "billing"], most=2)
    none, many = frame[frame.handoffs == 0].iloc[0], frame[frame.handoffs == 2].iloc[0]
    assert planted_truth().mood_effects["handoff"] < 0
    assert many.n_sentiment >= 10
    assert many.sentiment_upper < none.sentiment_lower

"""Each measure that can be compared says of each side what it says of that log alone."""

import pytest

import cxlib as cx
from cxlib import CxError, compare
from tests.journeys.logs import log_of, rows_of

WEB = {"a": "visit", "b": "visit buy", "c": "visit ask buy", "x": "visit visit ask@30 visit@50"}
APP = {"e": "visit", "f": "visit ask", "a": "visit visit@2 buy@40", "y": "visit@1 ask buy@26"}
DEPARTMENTS = {"visit": "desk", "ask": "field", "buy": "sales"}
SCORES = {"visit": 0.5, "ask": -0.5, "buy": None}
PLAN = cx.JourneyMap(name="Order", stages=[{"stage": "all", "steps": ["visit", "buy"]}])

CASES = [
    (cx.transitions, {}, "probability", "count"),
    (cx.transitions, {"value": "share"}, "share", "count"),
    (cx.transitions, {"value": "per_journey"}, "per_journey", "count"),
    (cx.flows, {"steps": 4}, "of_step", "journeys"),
    (cx.step_matrix, {"steps": 4}, "share", "journeys"),
    (cx.dropoff, {}, "dropoff_rate", "ended"),
    (cx.funnel, {"steps": ["visit", "buy"]}, "step_conversion_rate", "reached"),
    (cx.stickiness, {"period": "day"}, "share", "customers"),
    (cx.reentry, {"within": "3 days"}, "share", "journeys"),
    (cx.common_paths, {}, "share", "journeys"),
    (cx.stage_transitions, {"stages": ["desk", "field", "sales"]}, "probability", "count"),
    (cx.handoffs, {}, "share", "handoffs"),
    (cx.handoffs, {"value": "return_rate"}, "return_rate", "returned"),
    (cx.handoffs, {"value": "sentiment_after"}, "sentiment_after", "n_after"),
    (cx.ping_pong, {}, "return_rate", "returned"),
    (cx.handoffs_per_journey, {}, "share", "journeys"),
    (cx.repeat_contact, {"contacts": "visit", "within": "2 days"}, "repeat_rate", "repeats"),
    (cx.planned_vs_actual, {"journey_map": PLAN}, "as_planned_share", "as_planned"),
    (cx.planned_vs_actual, {"journey_map": PLAN, "value": "mean_fitness"}, "mean_fitness", "n"),
    (
        cx.escalation,
        {"self_service": "visit", "human": "ask", "within": "1 day"},
        "share",
        "attempts",
    ),
]


def with_departments(paths):
    return [
        event
        | {
            "department": DEPARTMENTS[event["touchpoint"]],
            "stage": DEPARTMENTS[event["touchpoint"]],
            "sentiment": SCORES[event["touchpoint"]],
        }
        for event in rows_of(paths)
    ]


def test_each_side_is_what_the_measure_says_of_its_log(con):
    web, app = (cx.materialize(log_of(con, with_departments(paths))) for paths in (WEB, APP))
    for measure, options, value, count in CASES:
        found = compare(measure, web, app, resamples=50, **options)
        keys = found.columns[: found.columns.get_loc("compared")].tolist()
        own = {name: option for name, option in options.items() if name != "value"}
        for side, log in (("a", web), ("b", app)):
            alone = measure(log, **own)
            alone = alone[alone[count] > 0]
            seen = found[found[f"n_{side}"] > 0]
            if keys:
                alone, seen = alone.set_index(keys), seen.set_index(keys)
            one = seen[side][seen[side] != 0].to_dict()
            assert one == pytest.approx(alone[value][alone[value] != 0].to_dict()), (measure, side)


def test_paths_are_cut_where_both_logs_together_are(con):
    one = log_of(con, {"a": "visit", "b": "visit", "c": "ask"})
    two = log_of(con, {"d": "buy", "e": "buy", "f": "buy", "g": "ask"})
    found = compare(cx.common_paths, one, two, top=2)
    # buy 3 times, ask and visit twice: ask comes first by name.
    assert set(found["path"]) == {"buy", "ask"}
    assert found.set_index("path").loc["ask", ["count_a", "n_a", "count_b", "n_b"]].tolist() == [
        *(1, 3, 1, 4)
    ]


def test_indicators_are_of_the_values_of_both_logs(con):
    one, two = log_of(con, {"a": "visit buy"}), log_of(con, {"b": "visit ask buy"})
    found = compare(cx.sequence_indicators, one, two).set_index("indicator")
    # Two of three values that both logs have: log 2 of log 3.
    assert found.loc["entropy", "a"] == pytest.approx(0.6309, abs=1e-4)
    assert found.loc["entropy", "b"] == pytest.approx(1)


def test_a_value_that_the_options_do_not_give_says_so(con):
    web, app = (log_of(con, with_departments(paths)) for paths in (WEB, APP))
    with pytest.raises(CxError, match="counts no 'outcomes' here; give the option"):
        compare(cx.handoffs, web, app, value="outcome_rate")

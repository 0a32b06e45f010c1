"""What deviating goes with, the steps as they happen, and maps suggested by the log."""

import math

import pytest
from hypothesis import assume, given
from scipy import stats

from cxlib import (
    actual_steps,
    add_fitness,
    deviation_outcomes,
    keep_events,
    keep_journeys,
    plan_deviations,
    planned_vs_actual,
    split_journeys,
    step_evidence,
    suggest_map,
)
from cxlib.errors import CxError
from cxlib.journeys.maps import JourneyMap
from tests.journeys.examples import example_log
from tests.journeys.logs import few_examples, log_of, random_rows, rows_of


def plan_of(*steps):
    return JourneyMap(name="plan", stages=[{"stage": "all", "steps": steps}])


PLAN = plan_of("visit", "buy")


def row_of(frame, kind, touchpoint):
    found = frame[(frame["kind"] == kind) & (frame["touchpoint"] == touchpoint)]
    assert len(found) == 1
    return found.iloc[0]


# --- outcomes


def test_the_share_with_a_deviation_stands_beside_that_without(con):
    paths = {f"s{n}": "visit chat buy" + (" leave" if n < 3 else "") for n in range(4)}
    paths |= {f"t{n}": "visit buy" + (" leave" if n < 1 else "") for n in range(6)}
    found = deviation_outcomes(log_of(con, paths), PLAN, outcome="leave", smallest=1)
    row = row_of(found, "inserted", "chat")
    assert row[["n", "value", "n_others"]].tolist() == [4, 0.75, 6]
    assert row["value_others"] == pytest.approx(1 / 6)
    assert row["difference"] == pytest.approx(0.75 - 1 / 6)
    # Newcombe's method 10, from the Wilson intervals of 3 of 4 and of 1 of 6.
    low, high = wilson(3, 4)
    other_low, other_high = wilson(1, 6)
    down = math.hypot(0.75 - low, other_high - 1 / 6)
    up = math.hypot(high - 0.75, 1 / 6 - other_low)
    assert row["lower"] == pytest.approx(row["difference"] - down)
    assert row["upper"] == pytest.approx(row["difference"] + up)
    assert "leave" not in set(found["touchpoint"])


def wilson(successes, n):
    interval = stats.binomtest(successes, n).proportion_ci(method="wilson")
    return interval.low, interval.high


def test_later_outcomes_are_looked_for_in_the_whole_log_and_after_the_journey(con):
    whole = split_journeys(
        log_of(
            con,
            {
                "a": "visit@0 leave@40",  # skips buy, leaves in time
                "b": "visit@0 leave@60",  # skips buy, leaves too late
                "c": "visit@0 buy@1",
                "d": "visit@0 buy@1 leave@2",  # has left already
                "e": "visit@1430",  # is still open
                "f": "visit@1400",  # ended, but was not watched for two days
            },
            closes_after="12 hours",
        ),
        gap="12 hours",
    )
    first = keep_journeys(whole, containing="visit")
    found = deviation_outcomes(
        first, PLAN, outcome="leave", within="48 hours", followed_in=whole, smallest=1
    )
    row = row_of(found, "skipped", "buy")
    assert row[["n", "value", "n_others", "value_others"]].tolist() == [2, 0.5, 1, 0]
    any_row = row_of(found, "any", "(any)")
    assert any_row[["n", "n_others"]].tolist() == [2, 1]


def test_means_are_compared_by_welch(con):
    rows = []
    for number, score in enumerate([0.1, 0.2, 0.6]):
        rows += rows_of({f"s{number}": "visit chat buy"}, sentiment=score)
    for number, score in enumerate([0.5, 0.9, 1.0, 0.8]):
        rows += rows_of({f"t{number}": "visit buy"}, sentiment=score)
    rows += rows_of({"u": "visit buy"}, sentiment=None)
    found = deviation_outcomes(log_of(con, rows), PLAN, outcome="sentiment", smallest=1)
    row = row_of(found, "inserted", "chat")
    assert row[["n", "n_others"]].tolist() == [3, 4]
    assert row["value"] == pytest.approx(0.3)
    assert row["value_others"] == pytest.approx(0.8)
    welch = stats.ttest_ind([0.1, 0.2, 0.6], [0.5, 0.9, 1.0, 0.8], equal_var=False)
    error = (0.3 - 0.8) / welch.statistic
    assert row["upper"] - row["difference"] == pytest.approx(1.959964 * error, rel=1e-5)


def test_durations_are_those_of_ended_journeys(con):
    paths = {"a": "visit@0 chat@1 buy@48", "b": "visit@0 buy@24", "c": "visit@1400 chat@1410"}
    found = deviation_outcomes(log_of(con, paths), PLAN, outcome="duration_days", smallest=1)
    row = row_of(found, "inserted", "chat")
    assert row[["n", "value", "n_others", "value_others"]].tolist() == [1, 2, 1, 1]
    assert math.isnan(row["lower"])


def test_small_rows_are_left_out(con):
    paths = {"a": "visit chat buy", "b": "visit buy"}
    assert deviation_outcomes(log_of(con, paths), PLAN, outcome="duration_days").empty


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"outcome": "by"}, "no touchpoint 'by' in the log; did you mean 'buy'"),
        ({"outcome": "sentiment", "within": "2 days"}, "within= counts a touchpoint after"),
        ({"outcome": "buy", "within": "2 days"}, "within= and followed_in= belong together"),
    ],
)
def test_an_outcome_that_cannot_be_counted_is_refused(con, words, message):
    with pytest.raises(CxError, match=message):
        deviation_outcomes(log_of(con, {"a": "visit buy"}), PLAN, **words)


def test_a_span_of_an_outcome_needs_a_unit(con):
    log = log_of(con, {"a": "visit buy"})
    with pytest.raises(CxError, match="the span 2 has no unit"):
        deviation_outcomes(log, PLAN, outcome="buy", within=2, followed_in=log)


# --- steps as they happen


def test_steps_show_how_often_how_soon_and_how_they_feel(con):
    plan = plan_of(
        "visit",
        {"one_of": ["ask", "chat"], "target_time": "3 hours"},
        {"touchpoint": "buy", "optional": True},
        "leave",
    )
    rows = rows_of({"a": "visit@0 note@1 ask@2 ask@9", "b": "visit@0 chat@4 buy@5"}, sentiment=0.5)
    rows += rows_of({"c": "ask@0"}, sentiment=-1.0)
    with_leave = rows + rows_of({"d": "leave"}, sentiment=None)
    found = actual_steps(log_of(con, with_leave), plan).set_index("touchpoint")
    step = found.loc["ask or chat"]
    assert step[["journeys", "n", "share"]].tolist() == [3, 4, 0.75]
    assert step[["waits", "median_hours", "within_target"]].tolist() == [2, 3, 0.5]
    assert step["scored"] == 4
    assert step["sentiment"] == pytest.approx((3 * 0.5 - 1) / 4)
    assert step["sentiment_lower"] < step["sentiment"] < step["sentiment_upper"]
    assert found.loc["leave", ["journeys", "scored", "waits"]].tolist() == [1, 0, 0]
    assert math.isnan(found.loc["leave", "sentiment"])
    assert math.isnan(found.loc["visit", "median_hours"])
    assert found["target_hours"].fillna(0).tolist() == [0, 3, 0, 0]


def test_the_steps_of_a_log_without_events_have_no_share(con):
    empty = keep_events(log_of(con, {"a": "visit"}), where={"customer_id": "nobody"})
    found = actual_steps(empty, PLAN)
    assert found["journeys"].tolist() == [0, 0]
    assert found["share"].isna().all()


# --- suggested maps


def test_a_map_is_suggested_as_the_journeys_go(con):
    # Eight journeys as planned; x and y in both orders alike; z in a quarter; w in one only.
    paths = {f"p{n}": "a x y b" if n % 2 else "a y x b" for n in range(6)}
    paths |= {"q1": "a x y z b", "q2": "a y x z b", "q3": "a w x"}
    log = log_of(con, paths)
    plan = suggest_map(log, smallest=1, at_least=0.2)
    steps = [{one.label for one in step.members} for step in plan.steps]
    assert steps == [{"a"}, {"x", "y"}, {"z"}, {"b"}]
    optional = {one.label: one.optional for step in plan.steps for one in step.members}
    assert optional == {"a": False, "x": False, "y": False, "z": True, "b": False}
    assert plan.stage_names == ["journey"]
    evidence = step_evidence(log, smallest=1, at_least=0.2).set_index("touchpoint")
    assert evidence.loc["a", ["journeys", "n", "both", "before_next"]].tolist() == [9, 9, 8, 1.0]
    assert evidence.loc["y", ["next_touchpoint", "both", "before_next"]].tolist() == ["x", 8, 0.5]
    assert evidence.loc["z", "share"] == pytest.approx(2 / 9)
    assert evidence.loc["b", "next_touchpoint"] == "(end)"


def test_stages_of_the_log_are_those_of_the_suggested_map(con):
    rows = [
        {**row, "stage": {"pay": "buy", "rate": "use"}.get(row["touchpoint"], "choose")}
        for row in rows_of({f"p{n}": "look pay rate" for n in range(12)})
    ]
    plan = suggest_map(log_of(con, rows))
    assert plan.stage_names == ["choose", "buy", "use"]


def test_a_planted_plan_is_found_again(con):
    # Every journey does the plan, but one in five skips a step or swaps two neighbours.
    plan, paths = ["s1", "s2", "s3", "s4", "s5", "s6"], {}
    for number in range(60):
        path = list(plan)
        if number % 5 == 0:
            at = number // 5 % 5
            path[at], path[at + 1] = path[at + 1], path[at]
        elif number % 5 == 1:
            path.pop(number // 5 % 6)
        paths[f"p{number:02}"] = " ".join(path)
    found = suggest_map(log_of(con, paths))
    assert [step.label for step in found.steps] == plan
    assert not any(step.optional for step in found.steps)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"at_least": 5}, "at_least is 5, and must be a share between 0 and 1"),
        ({"any_order_within": 0.7}, "any_order_within is 0.7, and must lie between 0 and 0.5"),
        ({"at_least": 0.9}, "no touchpoint is in 90% of the journeys; lower at_least"),
    ],
)
def test_a_map_that_cannot_be_suggested_says_why(con, words, message):
    with pytest.raises(CxError, match=message):
        suggest_map(log_of(con, {"a": "visit", "b": "buy"}), **words)


def test_no_map_is_suggested_from_nothing(con):
    empty = keep_events(log_of(con, {"a": "visit"}), where={"customer_id": "nobody"})
    with pytest.raises(CxError, match="the log has no events to suggest a journey map from"):
        suggest_map(empty)


@few_examples
@given(rows=random_rows())
def test_any_log_can_be_held_against_the_map_that_it_suggests(con, rows):
    log = log_of(con, rows)
    assume(len({row["touchpoint"] for row in rows}) > 1)
    plan = suggest_map(log, smallest=1)
    assert 0 <= planned_vs_actual(log, plan)["mean_fitness"].iloc[0] <= 1
    assert JourneyMap.model_validate(plan.model_dump(exclude_defaults=True)) == plan


@pytest.mark.shared
@pytest.mark.parametrize("name", ["helpdesk", "receipt"])
def test_the_example_logs_are_held_against_the_maps_that_they_suggest(name, shared):
    log = example_log(name, shared)
    plan = suggest_map(log)
    whole = planned_vs_actual(log, plan, open_journeys="whole").iloc[0]
    each = add_fitness(log, plan, open_journeys="whole").journeys
    found = each.aggregate(n=each.count(), fitness=each.fitness.mean()).to_pandas().iloc[0]
    assert whole["n"] == found["n"]
    assert whole["mean_fitness"] == pytest.approx(found["fitness"])
    deviations = plan_deviations(log, plan)
    assert (deviations["journeys"] <= deviations["n"]).all()

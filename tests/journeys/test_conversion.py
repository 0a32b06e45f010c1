"""Funnels and conversion times."""

import json
import re
import warnings
from datetime import timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxlib import conversion_times, funnel, keep_events, split_journeys, transitions
from cxlib.errors import CxError, CxWarning
from cxlib.intervals import wilson_interval
from cxlib.journeys.conversion.attempts import attempt_table
from cxlib.journeys.conversion.measures import _mark
from cxlib.journeys.conversion.rules import read_plan
from tests.journeys.funnel_by_hand import funnel_by_hand
from tests.journeys.logs import DAY_ONE, EXAMPLES, few_examples, log_of, random_rows, rows_of

TOUCHPOINTS = ["ask", "buy", "visit", "leave"]
UNTIL = 26
many_examples = settings(
    max_examples=min(3 * EXAMPLES, settings.default.max_examples),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def log_until(con, rows, hours=UNTIL):
    return log_of(con, rows, observed_until=DAY_ONE + timedelta(hours=hours), closes_after=None)


def reached(frame):
    return frame["reached"].tolist()


# Cases with known answers.


def case(con, shared, name, part=None):
    folder = shared / "cases" / "journeys"
    frame = pd.read_csv(folder / f"{name}.csv", parse_dates=["timestamp"])
    if part is not None:
        frame = frame[frame["case"] == part].drop(columns="case").reset_index(drop=True)
    names = {"event": "touchpoint", "timestamp": "occurred_at"}
    rows = frame.rename(columns=names).assign(event_id=[f"{i:03}" for i in range(len(frame))])
    expected = json.loads((folder / f"{name}.json").read_text())
    return log_of(con, rows.to_dict("records"), observed_until="2022-01-01"), expected


def test_case_01_rates_are_of_all_and_of_the_step_before(con, shared):
    log, expected = case(con, shared, "01_funnel_ordered_basic")
    found = funnel(log, expected["steps"])
    for row, want in zip(found.itertuples(), expected["expected"], strict=True):
        assert (row.touchpoint, row.reached) == (want["step"], want["unique_paths"])
        assert row.conversion_rate == pytest.approx(want["conversion_rate"])
        assert row.step_conversion_rate == pytest.approx(want["step_conversion_rate"])


@pytest.mark.parametrize("part", ["repeat_after", "order_matters", "monotone", "revisit", "none"])
def test_case_02_repeats_order_and_nobody_at_a_step(con, shared, part):
    log, expected = case(con, shared, "02_funnel_ordered_edges", part)
    found = funnel(log, expected[part]["steps"])
    assert reached(found) == expected[part]["counts"]
    if part == "none":
        assert found["step_conversion_rate"].tolist() == expected[part]["step_conversion_rate"]


def test_case_06_conversion_from_one_touchpoint_to_another(con, shared):
    log, expected = case(con, shared, "06_conversion_rate", "order")
    found = funnel(log, ["Y", "X"]).iloc[1]
    want = expected["order"]
    assert (found["entering"], found["reached"]) == (want["paths_with_start"], want["converted"])
    assert found["step_conversion_rate"] == want["conversion_rate"]
    log, expected = case(con, shared, "06_conversion_rate", "repeat")
    assert reached(funnel(log, ["A", "A"])) == [2, 1]
    log, expected = case(con, shared, "06_conversion_rate", "occurrence")
    assert reached(funnel(log, ["A", "B"]))[1] == expected["occurrence"]["first"]["converted"]
    assert reached(funnel(log, ["A", "B"], entry="last")) == [1, 0]


def test_case_06_a_path_that_ends_right_after_is_a_move_to_the_end(con, shared):
    log, expected = case(con, shared, "06_conversion_rate", "exit_rate")
    found = transitions(log).set_index(["from_touchpoint", "to_touchpoint"])
    move, want = found.loc[("error", "(end)")], expected["exit_rate"]
    assert (move["count"], move["probability"]) == (want["converted"], want["conversion_rate"])


def test_case_08_any_order_counts_how_many_steps_were_taken(con, shared):
    log, expected = case(con, shared, "08_funnel_any_order")
    found = funnel(log, expected["steps"], order="any")
    assert reached(found) == expected["counts"]
    assert found["touchpoint"].tolist() == ["any 1 of 3", "any 2 of 3", "any 3 of 3"]


def test_case_08b_times_are_of_the_first_conversion_of_each(con, shared):
    log, expected = case(con, shared, "08b_funnel_any_order_times")
    found = funnel(log, expected["steps"], order="any", within=expected["window"])
    assert reached(found) == expected["counts"]
    seconds = (found["mean_step_hours"] * 3600).round(6).tolist()[1:]
    assert seconds == list(expected["average_conversion_time_s"].values())


def test_case_10_conversion_times_come_in_bins_of_whole_seconds(con, shared):
    log, expected = case(con, shared, "10_time_to_convert")
    steps = ["step one", "step two", "step three"]
    options = {"to_step": 2, "within": expected["window"]}
    for bins, want in ((None, "auto_bins"), (7, "bins_with_bin_count_7")):
        found = conversion_times(log, steps, bins=bins, **options)
        edges = (found["from_hours"] * 3600).round(6).tolist()
        assert [list(pair) for pair in zip(edges, found["reached"], strict=True)] == expected[want]
    assert found["mean_hours"].iloc[0] * 3600 == pytest.approx(expected["average"])


# Counted by hand.

PATHS = {"a": "visit ask buy", "b": "visit buy ask", "c": "ask", "d": "visit@0 buy@30"}


def test_what_becomes_of_those_who_enter_adds_up(con):
    found = funnel(log_of(con, PATHS), ["visit", "ask", "buy"])
    assert reached(found) == [3, 2, 1]
    assert found["total"].tolist() == [4, 4, 4]
    assert found["entering"].tolist() == [4, 3, 2]
    assert found["dropped"].tolist() == [1, 1, 1]
    assert found["entry_conversion_rate"].tolist() == pytest.approx([1, 2 / 3, 1 / 3])
    lower, upper = wilson_interval([3, 2, 1], [4, 3, 2])
    assert found["lower"].tolist() == pytest.approx(lower)
    assert found["upper"].tolist() == pytest.approx(upper)


def test_a_window_is_inclusive_and_a_window_of_nothing_wants_the_same_moment(con):
    log = log_of(con, {"a": "visit@0 buy@5", "b": "visit@0 buy@0"})
    assert reached(funnel(log, ["visit", "buy"], within="5 hours")) == [2, 2]
    assert reached(funnel(log, ["visit", "buy"], within="4 hours")) == [2, 1]
    assert reached(funnel(log, ["visit", "buy"], within="0 days")) == [2, 1]


def test_an_attempt_stands_where_its_first_events_put_it(con):
    # Buying at 12 is too late after asking at 1; that asking at 10 would do is no help.
    log = log_of(con, {"a": "visit@0 ask@1 ask@10 buy@12"})
    assert reached(funnel(log, ["visit", "ask", "buy"], within_step="9 hours")) == [1, 1, 0]


def test_what_comes_too_soon_does_not_count(con):
    log = log_of(con, {"a": "visit@0 buy@1 buy@5"})
    found = funnel(log, ["visit", "buy"], at_least="2 hours")
    assert found["median_step_hours"].iloc[1] == 5


def test_the_best_attempt_gets_furthest(con):
    log = log_of(con, {"a": "visit@0 visit@50 ask@51 visit@200"})
    options = {"within": "2 hours", "censoring": "as_failed"}
    assert reached(funnel(log, ["visit", "ask"], entry="first", **options)) == [1, 0]
    assert reached(funnel(log, ["visit", "ask"], entry="last", **options)) == [1, 0]
    assert reached(funnel(log, ["visit", "ask"], entry="best", **options)) == [1, 1]


def test_an_exclusion_ends_an_attempt_or_removes_it(con):
    log = log_of(con, {"a": "visit leave buy", "b": "visit buy leave", "c": "visit"})
    steps = ["visit", "buy"]
    assert reached(funnel(log, steps, exclude="leave")) == [3, 1]
    found = funnel(log, steps, exclude="leave", on_exclude="drop_whole")
    assert reached(found) == [2, 1]
    assert found["total"].tolist() == [2, 2]


def test_attempts_follow_one_another(con):
    # visit ... ask, then visit ... ask; the second visit belongs to the first attempt.
    log = log_of(con, {"a": "visit visit ask visit ask visit"})
    assert reached(funnel(log, ["visit", "ask"], count="attempts")) == [3, 2]


def test_a_property_that_is_held_is_the_same_at_all_steps(con):
    rows = rows_of({"a": "visit@0 buy@5", "b": "visit@0"}, channel="web")
    rows += [row | {"event_id": "x"} for row in rows_of({"b": "buy@3"}, channel="app")]
    log = log_of(con, rows)
    assert reached(funnel(log, ["visit", "buy"])) == [2, 2]
    assert reached(funnel(log, ["visit", "buy"], hold="channel")) == [2, 1]


def test_equal_times_are_taken_in_order_or_in_either(con):
    log = log_of(con, {"a": "buy@0 visit@0", "b": "visit@0 buy@0"})
    assert reached(funnel(log, ["visit", "buy"])) == [2, 1]
    assert reached(funnel(log, ["visit", "buy"], ties="either")) == [2, 2]


def test_an_optional_step_is_counted_and_not_needed(con):
    found = funnel(log_of(con, PATHS), ["visit", "ask", "buy"], optional="ask")
    assert reached(found) == [3, 1, 3]
    assert found["entering"].tolist() == [4, 3, 3]


def test_a_step_is_a_set_or_a_condition(con):
    log = log_of(con, rows_of(PATHS, channel="web"))
    assert reached(funnel(log, ["visit", {"ask", "buy"}])) == [3, 3]
    found = funnel(log, [{"channel": "web"}, lambda events: events.touchpoint == "buy"])
    assert found["touchpoint"].tolist() == ["channel = web", "step 2"]
    assert reached(found) == [4, 3]
    named = funnel(log, {"came": "visit", "wanted more": ["ask", "buy"]})
    assert named["touchpoint"].tolist() == ["came", "wanted more"]


def test_open_windows_are_estimated_left_out_or_failed(con):
    # Two visits whose ten hours are over, one of them bought; two that were seen for 5 hours.
    paths = {"a": "visit@0 buy@2", "b": "visit@0", "c": "visit@15", "d": "visit@15 buy@19"}
    log = log_until(con, paths, hours=20)

    def rate(censoring):
        found = funnel(log, ["visit", "buy"], within="10 hours", censoring=censoring).iloc[1]
        assert (found["reached"], found["dropped"], found["open"]) == (2, 1, 1)
        return found["step_conversion_rate"], found["n"]

    assert rate("as_failed") == (0.5, 4)
    assert rate("exclude") == (0.5, 2)
    # At 2 hours 1 of 4, at 4 hours 1 of 3; then c leaves, and b never buys.
    assert rate("kaplan_meier") == (pytest.approx(1 - 3 / 4 * 2 / 3), 3)
    assert rate(None) == rate("kaplan_meier")


def test_the_estimate_is_that_of_lifelines(con):
    from lifelines import KaplanMeierFitter

    rng = np.random.default_rng(3)
    rows, durations, seen = [], [], []
    for number in range(120):
        start, wait = int(rng.integers(0, 60)), int(rng.integers(1, 50))
        paths = {f"c{number:03}": f"visit@{start}"}
        if start + wait <= 60:
            paths[f"c{number:03}"] += f" buy@{start + wait}"
        rows += rows_of(paths)
        durations.append(min(wait, 60 - start))
        seen.append(start + wait <= 60)
    found = funnel(log_until(con, rows, hours=60), ["visit", "buy"], within="30 hours").iloc[1]
    fitted = KaplanMeierFitter().fit(durations, seen)
    assert found["open"] > 5
    assert found["step_conversion_rate"] == pytest.approx(1 - fitted.predict(30))


def test_a_window_that_nobody_was_followed_for_warns(con):
    log = log_until(con, {"a": "visit@20 buy@21", "b": "visit@20"})
    with pytest.warns(CxWarning, match="no attempt was followed for the whole window of 3 days"):
        found = funnel(log, ["visit", "buy"], within="3 days")
    assert found["step_conversion_rate"].iloc[1] == 0.5


def test_a_trend_counts_the_starts_of_each_period(con):
    log = log_of(con, {"a": "visit@0 buy@30", "b": "visit@25 buy@26", "c": "ask@26"})
    found = funnel(log, ["visit", "buy"], over="day")
    assert found["period"].dt.strftime("%m-%d").tolist() == ["01-01"] * 2 + ["01-02"] * 2
    assert reached(found) == [1, 1, 1, 1]
    assert found["total"].tolist() == [1, 1, 2, 2]


def test_customers_who_never_enter_belong_to_the_group_they_began_in(con):
    rows = rows_of({"a": "visit buy", "b": "ask"}, channel="web")
    rows += rows_of({"c": "visit", "d": "visit buy"}, channel=None)
    found = funnel(log_of(con, rows), ["visit", "buy"], by="channel")
    assert found["channel"].tolist() == ["(none)", "(none)", "web", "web"]
    assert found["total"].tolist() == [2, 2, 2, 2]
    assert reached(found) == [2, 1, 1, 1]


# Little and bad input.


def test_one_event_is_a_funnel_that_nobody_finished(con):
    found = funnel(log_of(con, {"a": "visit", "b": "buy"}), ["visit", "buy"])
    assert reached(found) == [1, 0]
    alone = keep_events(log_of(con, {"a": "visit", "b": "buy"}), where={"customer_id": "a"})
    assert reached(funnel(alone, ["visit", "visit"])) == [1, 0]
    assert not funnel(alone, ["visit", "visit"])["step_conversion_rate"].isna().any()


def test_a_log_without_events_has_no_rows_but_its_columns(con):
    nothing = keep_events(log_of(con, PATHS), where={"customer_id": "nobody"})
    found = funnel(nothing, ["visit", "buy"], by="channel", within="1 day")
    assert len(found) == 0
    assert found.columns.tolist()[:4] == ["channel", "step", "touchpoint", "total"]
    assert len(conversion_times(nothing, ["visit", "buy"])) == 0


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        (["visitt", "buy"], {}, "there is no touchpoint 'visitt' in the log; did you mean 'visit'"),
        (["visit"], {}, "a funnel has 2 to 20 steps, and this one 1"),
        ("visit", {}, "give them in a list"),
        (["visit", 3], {}, "the step 3 is no touchpoint"),
        ([{"chanel": "web"}, "buy"], {}, "there is no column 'chanel' for a step"),
        (["visit", "buy"], {"within": 7}, "the span 7 has no unit"),
        (["visit", "buy"], {"order": "loose"}, "there is no order 'loose'"),
        (["visit", "buy"], {"over": "dya"}, "there is no period 'dya'; did you mean 'day'"),
        (["visit", "buy"], {"hold": "chanel"}, "did you mean 'channel'"),
        (["visit", "buy"], {"by": "step"}, "the result has a column 'step' of its own"),
        (["visit", "buy"], {"optional": 1}, "the first and the last step cannot be optional"),
        (["visit", "buy"], {"optional": 5}, "there is no step 5 to be optional"),
        (["visit", "buy"], {"optional": "bye"}, "there is no step 'bye' to be optional"),
        (["visit", "buy"], {"censoring": "exclude"}, "no window is open"),
        (["visit", "buy"], {"exclude": "visit"}, "can be 'visit' and 'visit' at once"),
        (["visit", "visit"], {"order": "any"}, "can be 'visit' and 'visit' at once"),
        (["visit", {"customer_id": "a"}], {"ties": "either"}, "'customer_id = a' at once"),
        (["visit", "buy"], {"order": "strict", "exclude": "ask"}, "nothing lies between"),
        (["visit", "buy"], {"order": "strict", "ties": "either"}, "reads the order"),
        (["visit", "ask", "buy"], {"order": "strict", "optional": 2}, "need order='ordered'"),
        (["visit", "buy"], {"order": "any", "at_least": "1 day"}, "in a given order"),
        (["visit", "buy"], {"count": "attempts", "ties": "either"}, "follow one another"),
        (["visit", "buy"], {"count": "attempts", "entry": "best"}, "nothing to choose"),
        (["visit", "buy"], {"at_least": "2 days", "within_step": "1 day"}, "no step can follow"),
        (["visit", "buy"], {"exclude_between": (1, 2)}, "which is not given"),
        (["visit", "buy"], {"exclude": "ask", "exclude_between": (2, 1)}, "an earlier step"),
        (["visit", "buy"], {"exclude": "ask", "exclude_between": (1, 3)}, "names step 3"),
    ],
)
def test_what_cannot_be_answered_says_why(con, steps, options, message):
    with pytest.raises(CxError, match=re.escape(message)):
        funnel(log_of(con, PATHS), steps, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 0}, "bins is 0, and must be 1 to 1,000"),
        ({"to_step": 4}, "there is no step 4 that must be taken; give two of [1, 2]"),
        ({"from_step": 2}, "from_step is 2, and must come before to_step, which is 2"),
    ],
)
def test_times_that_do_not_exist_are_refused(con, options, message):
    with pytest.raises(CxError, match=re.escape(message)):
        conversion_times(log_of(con, PATHS), ["visit", "buy"], **options)


def test_a_column_with_too_many_values_is_refused(con):
    rows = [row for n in range(1_001) for row in rows_of({f"c{n:04}": "visit buy"}, plan=f"p{n}")]
    with pytest.raises(CxError, match="has 1,001 values, too many to group by"):
        funnel(log_of(con, rows), ["visit", "buy"], by="plan")


# Against plain Python.


@st.composite
def any_rules(draw):
    """Steps and rules that agree with one another."""
    rules = {
        "order": draw(st.sampled_from(["ordered", "ordered", "strict", "any"])),
        "count": draw(st.sampled_from(["customers", "journeys", "attempts"])),
        "ties": draw(st.sampled_from(["order", "either"])),
    }
    if rules["order"] == "strict" or rules["count"] == "attempts":
        rules["ties"] = "order"
    if rules["count"] != "attempts":
        rules["entry"] = draw(st.sampled_from(["first", "last", "best"]))
    apart = rules["order"] == "any" or rules["ties"] == "either"
    shuffled = draw(st.permutations(TOUCHPOINTS))
    steps = [{name} for name in shuffled[: draw(st.integers(2, 3))]]
    spare = shuffled[3]
    kind = draw(st.sampled_from(["plain", "repeats", "exclude", "optional", "sets"]))
    if kind == "repeats" and not apart:
        steps = draw(
            st.lists(st.sampled_from([{n} for n in TOUCHPOINTS[:2]]), min_size=2, max_size=4)
        )
    elif kind == "sets" and not apart:
        steps[-1] = steps[-1] | {spare} | steps[0]
    elif kind == "optional" and rules["order"] == "ordered" and len(steps) == 3:
        rules["optional"] = (2,)
    if kind in ("exclude", "optional") and rules["order"] != "strict":
        rules["exclude"] = spare
        rules["on_exclude"] = draw(st.sampled_from(["drop_at_step", "drop_whole"]))
        if len(steps) == 3 and "optional" not in rules and draw(st.booleans()):
            rules["exclude_between"] = draw(st.sampled_from([(1, 2), (2, 3)]))
    hours = st.one_of(st.none(), st.integers(0, 12))
    for name in ("within", "within_step"):
        if (span := draw(hours)) is not None:
            rules[name] = span
    span = draw(st.sampled_from([0, 0, 1, 3]))
    if rules["order"] != "any" and 0 < span <= rules.get("within_step", span):
        rules["at_least"] = span
    if draw(st.integers(0, 3)) == 0:
        rules["hold"] = "channel"
    return steps, rules


def as_text(rules):
    spans = ("within", "within_step", "at_least")
    return {name: f"{value} hours" if name in spans else value for name, value in rules.items()}


def with_journeys(rows):
    """Rows whose journeys are told apart by an arbitrary digit of theirs."""
    return [
        row | {"journey_id": row["customer_id"] + str(int(row["event_id"]) % 2)} for row in rows
    ]


def by_hand(rows, steps, rules):
    held = {name: value for name, value in rules.items() if name != "exclude"}
    if "exclude" in rules:
        held["exclude"] = lambda row: row["touchpoint"] == rules["exclude"]
    fits = [lambda row, step=step: row["touchpoint"] in step for step in steps]
    return funnel_by_hand(rows, fits, until=UNTIL, **held)


@many_examples
@given(rows=random_rows(), chosen=any_rules())
def test_every_attempt_is_what_plain_python_finds(con, rows, chosen):
    steps, rules = chosen
    rows = with_journeys(rows)
    rows += [
        {"event_id": f"9{i}", "customer_id": "z", "journey_id": "z", "channel": "web",
         "occurred_at": DAY_ONE, "touchpoint": name}
        for i, name in enumerate(TOUCHPOINTS)
    ]  # fmt: skip
    log = log_until(con, rows)
    censoring = {"censoring": "as_failed"}
    plan = read_plan(log, steps, as_text(rules))
    marked, _, _ = _mark(log, plan, None, None, [])
    until = (DAY_ONE + timedelta(hours=UNTIL) - pd.Timestamp(0)) // timedelta(microseconds=1)
    table = attempt_table(marked, plan, [], until).to_pandas()
    zero = (DAY_ONE - pd.Timestamp(0)) // timedelta(microseconds=1)

    def clock(value):
        return (value - zero) / 3.6e9

    found = []
    for row in table.to_dict("records"):
        times = [clock(row[f"at_{rank}"]) for rank in range(1, row["reached"] + 1)]
        skips = {
            number: clock(row[f"skip_at_{number}"])
            for number in range(len(steps))
            if row.get(f"did_{number}")
        }
        found.append((row["unit"], times, bool(row["is_open"]), bool(row["dropped_whole"]), skips))
    whole = rules.get("on_exclude") == "drop_whole"
    want = [
        (a.unit, a.times, a.is_open, whole and a.excluded, a.skips)
        for a in by_hand(rows, steps, rules)
    ]
    assert sorted(found, key=str) == sorted(want, key=str)
    frame = funnel(log, steps, **as_text(rules), **censoring)
    kept = [item for item in want if not item[3]]
    required = [i for i in range(len(steps)) if i + 1 not in rules.get("optional", ())]
    for index, count in enumerate(reached(frame)):
        if index in required:
            assert count == sum(len(item[1]) > required.index(index) for item in kept)
        else:
            assert count == sum(index in item[4] for item in kept)


@few_examples
@given(rows=random_rows(), chosen=any_rules(), seed=st.integers(0, 9))
def test_counts_reconcile_and_do_not_depend_on_the_order_of_rows(con, rows, chosen, seed):
    steps, rules = chosen
    rows = with_journeys(rows)
    rows += rows_of({"z": "ask@0 buy@0 visit@0 leave@0"}, journey_id="z", channel="web")
    options = as_text(rules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CxWarning)
        found = funnel(log_until(con, rows), steps, **options)
        shuffled = pd.DataFrame(rows).sample(frac=1, random_state=seed).to_dict("records")
        pd.testing.assert_frame_equal(found, funnel(log_until(con, shuffled), steps, **options))
        parts = funnel(log_until(con, rows), steps, by="channel", **options)
    assert (found["entering"] == found["reached"] + found["dropped"] + found["open"]).all()
    required = found[~found["step"].isin(rules.get("optional", ()))]
    assert required["reached"].is_monotonic_decreasing
    assert required["entry_conversion_rate"].dropna().is_monotonic_decreasing
    assert found["step_conversion_rate"].dropna().between(0, 1).all()
    sums = parts.groupby("step")[["total", "entering", "reached", "dropped", "open"]].sum()
    assert sums.to_numpy().tolist() == found[sums.columns].to_numpy().tolist()


@few_examples
@given(rows=random_rows())
def test_the_first_two_steps_of_a_strict_funnel_are_the_transition(con, rows):
    rows = [*rows, *rows_of({"z": "visit ask"})]
    log = split_journeys(log_until(con, rows), gap="3 hours")
    moves = transitions(log).set_index(["from_touchpoint", "to_touchpoint"])
    move = moves.loc[("visit", "ask")]
    options = {"order": "strict", "hold": "journey_id"}
    assert reached(funnel(log, ["visit", "ask"], count="attempts", **options))[1] == move["count"]
    for count in ("customers", "journeys"):
        found = funnel(log, ["visit", "ask"], count=count, entry="best", **options)
        assert reached(found)[1] == move[count]


@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
def test_the_same_expression_is_one_for_spark(con, order):
    options = {"exclude": "leave"} if order != "strict" else {}
    log = log_of(con, rows_of(PATHS | {"e": "leave"}, channel="web"))
    plan = read_plan(log, ["visit", "ask", "buy"], {"order": order, "within": "7 days", **options})
    marked, groups, _ = _mark(log, plan, "channel", "month", [])
    assert "OVER" in ibis.to_sql(attempt_table(marked, plan, groups, 0), dialect="databricks")

"""Planned against actual on a log: fitness, deviations, and what they go with."""

from collections import Counter

import pytest
from hypothesis import assume, given

from cxlib import (
    add_fitness,
    keep_events,
    plan_deviations,
    planned_vs_actual,
    split_journeys,
)
from cxlib.errors import CxError, CxWarning
from cxlib.journeys.maps import JourneyMap
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of
from tests.journeys.plan_by_hand import lcs


def plan_of(*steps):
    return JourneyMap(name="plan", stages=[{"stage": "all", "steps": steps}])


# Hour 1400 is within seven days of the end of the records: these journeys are still open.
TINY = {
    "a": "visit ask buy",
    "b": "visit chat buy buy",
    "c": "buy visit",
    "d": "visit@1400",
    "e": "chat@1400 ask@1401",
}
PLAN = plan_of("visit", {"touchpoint": "ask", "optional": True}, "buy")
FITNESS = ["fitness", "deviations", "skipped", "inserted", "repeated", "out_of_order"]


def fitness_by_hand(log):
    rows = log.journeys.order_by("journey_id").select("journey_id", *FITNESS).to_pandas()
    return {name: tuple(rest) for name, *rest in rows.itertuples(index=False)}


def test_each_journey_carries_its_deviations(con):
    found = fitness_by_hand(add_fitness(log_of(con, TINY), PLAN))
    assert found["a"] == (1.0, 0, 0, 0, 0, 0)
    assert found["b"] == (pytest.approx(1 - 2 / 6), 2, 0, 1, 1, 0)
    # "buy" came first and is taken for the plan; "visit" is missing there and extra here.
    assert found["c"] == (pytest.approx(1 - 2 / 4), 2, 0, 0, 0, 1)
    assert found["d"] == (1.0, 0, 0, 0, 0, 0)
    # It stands at "ask": to have no "visit" counts, to have no "buy" yet does not.
    assert found["e"] == (pytest.approx(1 - 2 / 4), 2, 1, 1, 0, 0)


def test_an_open_journey_can_be_held_against_the_whole_plan_or_left_out(con):
    log = log_of(con, TINY)
    whole = fitness_by_hand(add_fitness(log, PLAN, open_journeys="whole"))
    assert whole["d"] == (pytest.approx(1 - 1 / 3), 1, 1, 0, 0, 0)
    left_out = add_fitness(log, PLAN, open_journeys="exclude").journeys.to_pandas()
    assert left_out.set_index("journey_id")["fitness"].isna().to_dict() == {
        "a": False, "b": False, "c": False, "d": True, "e": True,
    }  # fmt: skip
    assert planned_vs_actual(log, PLAN, open_journeys="exclude")["n"].tolist() == [3]


def test_touchpoints_outside_the_plan_can_be_ignored(con):
    found = fitness_by_hand(add_fitness(log_of(con, TINY), PLAN, outside="ignored"))
    assert found["b"] == (pytest.approx(1 - 1 / 5), 1, 0, 0, 1, 0)


def test_a_journey_with_nothing_to_compare_has_no_fitness_and_is_not_counted(con):
    log = log_of(con, {"a": "visit buy", "b": "chat@1400"})
    kept = add_fitness(log, PLAN, outside="ignored").journeys.order_by("journey_id").to_pandas()
    assert kept["fitness"].isna().tolist() == [False, True]
    assert planned_vs_actual(log, PLAN, outside="ignored")["n"].tolist() == [1]
    assert plan_deviations(log, PLAN, outside="ignored").empty


def test_fitness_adds_columns_and_no_rows_and_can_be_grouped_by(con):
    log = log_of(con, TINY)
    found = add_fitness(log, PLAN)
    assert found.events.count().to_pandas() == log.events.count().to_pandas() == 12
    assert "fitness" not in log.events.columns
    apart = planned_vs_actual(log_of(con, rows_of(TINY, channel="web")), PLAN, by="channel")
    assert apart["channel"].tolist() == ["web"]
    with pytest.raises(CxError, match="the log has a column 'fitness' already; rename it first"):
        add_fitness(found, PLAN)


def test_the_summary_is_the_mean_of_the_journeys(con):
    row = planned_vs_actual(log_of(con, TINY), PLAN).iloc[0]
    assert (row["n"], row["open"], row["as_planned"]) == (5, 2, 2)
    assert row["as_planned_share"] == 0.4
    each = [1, 4 / 6, 0.5, 1, 0.5]
    assert row["mean_fitness"] == pytest.approx(sum(each) / 5)
    spread = sum((one - sum(each) / 5) ** 2 for one in each) / 4
    half = 1.959964 * (spread / 5) ** 0.5
    assert row["fitness_lower"] == pytest.approx(sum(each) / 5 - half, abs=1e-6)
    assert row["mean_deviations"] == pytest.approx(6 / 5)
    assert row["mean_inserted"] == pytest.approx(2 / 5)


def test_deviations_count_journeys_once(con):
    found = plan_deviations(log_of(con, TINY | {"f": "visit chat chat buy"}), PLAN)
    rows = {
        (row.kind, row.touchpoint, row.stage): (row.journeys, row.n) for row in found.itertuples()
    }
    assert rows == {
        ("inserted", "chat", "(none)"): (3, 6),
        ("repeated", "buy", "all"): (1, 6),
        ("skipped", "visit", "all"): (1, 6),
        ("out_of_order", "visit", "all"): (1, 6),
    }
    assert found["touchpoint"].iloc[0] == "chat"
    assert found["share"].iloc[0] == 0.5


def test_a_group_is_that_of_the_first_event(con):
    rows = rows_of({"a": "visit buy"}, channel="web") + rows_of({"b": "visit ask"}, channel="app")
    rows[1]["channel"] = "app"
    found = plan_deviations(log_of(con, rows), PLAN, by="channel")
    assert found[["channel", "kind", "touchpoint", "n"]].to_numpy().tolist() == [
        ["app", "skipped", "buy", 1]
    ]
    summary = planned_vs_actual(log_of(con, rows), PLAN, by="channel")
    assert summary["channel"].tolist() == ["app", "web"]
    assert summary["as_planned"].tolist() == [0, 1]


def test_one_of_several_touchpoints_is_enough(con):
    plan = plan_of("visit", {"one_of": ["ask", "chat"]})
    found = fitness_by_hand(add_fitness(log_of(con, {"a": "visit chat", "b": "visit"}), plan))
    assert found["a"][0] == 1
    skipped = plan_deviations(log_of(con, {"a": "visit chat", "b": "visit"}), plan)
    assert skipped["touchpoint"].tolist() == ["ask or chat"]


def test_a_log_without_events_gives_no_row(con):
    empty = keep_events(log_of(con, TINY), where={"customer_id": "nobody"})
    for frame in (
        planned_vs_actual(empty, PLAN),
        planned_vs_actual(empty, PLAN, by="channel"),
        plan_deviations(empty, PLAN),
        plan_deviations(empty, PLAN, by="channel"),
    ):
        assert frame.empty
        assert "n" in frame.columns
    assert add_fitness(empty, PLAN).journeys.to_pandas().empty


def test_a_plan_that_the_log_does_not_know_is_refused(con):
    log = log_of(con, TINY)
    with pytest.raises(CxError, match=r"no touchpoint of the plan 'plan' is in the log.*'visit'"):
        planned_vs_actual(log, plan_of("visited"))
    with pytest.warns(CxWarning, match="everybody skipped a step.*did you mean 'visit'"):
        found = planned_vs_actual(log, plan_of("visited", "buy"))
    assert found["mean_skipped"].iloc[0] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"open_journeys": "so far"}, "no rule 'so far' for open_journeys; did you mean 'so_far'"),
        ({"outside": "ignore"}, "no rule 'ignore' for outside; did you mean 'ignored'"),
        ({"by": "chanel"}, "did you mean 'channel'"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_an_unknown_rule_shows_the_closest(con, words, message):
    with pytest.raises(CxError, match=message):
        planned_vs_actual(log_of(con, TINY), PLAN, **words)


@few_examples
@given(rows=random_rows())
def test_fitness_is_that_of_the_textbook_and_parts_add_up(con, rows):
    assume({"visit", "ask", "buy"} <= {row["touchpoint"] for row in rows})
    plan = plan_of("visit", "ask", "buy", "ask")
    log = split_journeys(log_of(con, rows, closes_after="1 hour"), gap="5 hours")
    found = add_fitness(log, plan, open_journeys="whole").journeys.to_pandas()
    steps = ["visit", "ask", "buy", "ask"]
    for row in found.itertuples():
        path = list(row.path)
        deviations = len(path) + 4 - 2 * lcs(path, steps)
        assert row.deviations == deviations
        assert row.fitness == pytest.approx(1 - deviations / (len(path) + 4))
        counted = row.skipped + row.inserted + row.repeated + 2 * row.out_of_order
        assert counted == deviations
    parts = planned_vs_actual(log, plan, by="channel", open_journeys="whole")
    whole = planned_vs_actual(log, plan, open_journeys="whole")
    assert parts["n"].sum() == whole["n"].sum() == len(found)
    assert (parts["n"] * parts["mean_fitness"]).sum() == pytest.approx(found["fitness"].sum())
    inserted = Counter(name for path in found["path"] for name in set(path) if name == "leave")
    deviations = plan_deviations(log, plan)
    rows = deviations[deviations["kind"] == "inserted"]
    assert dict(zip(rows["touchpoint"], rows["journeys"], strict=True)) == inserted


@few_examples
@given(rows=random_rows())
def test_row_order_does_not_matter(con, rows):
    assume({"visit", "buy"} <= {row["touchpoint"] for row in rows})
    one = planned_vs_actual(log_of(con, rows), PLAN)
    events = [row for path in paths_by_hand(rows).values() for row in path]
    other = planned_vs_actual(log_of(con, events), PLAN)
    assert one.equals(other)

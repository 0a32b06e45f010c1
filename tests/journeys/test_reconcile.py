"""Whatever two measures say of the same thing, they say the same number."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxlib
from cxlib import load_journeys, materialize, open_store, split_journeys
from cxlib.errors import CxWarning
from cxlib.journeys.log import Journeys
from cxlib.journeys.maps import JourneyMap
from tests.journeys.examples import example_log
from tests.journeys.logs import DAY_ONE, few_examples, log_of, random_rows, rows_of
from tests.journeys.nouns import NOUNS

# Examples, with a column that has a few values.
GROUPS = {
    "demo": "channel",
    "ecom": "source",
    "helpdesk": "department",
    "receipt": "department",
    "teleclaims": "department",
    "ravenstack": "channel",
}
ALL = 10_000
EVER = {"period": "year", "periods": 100}


@st.composite
def random_logs(draw: st.DrawFn) -> Callable[..., Journeys]:
    """Log of a few dozen events, in journeys of which some are still open; made by a connection."""
    rows = draw(random_rows())
    for position, row in enumerate(rows):
        row["value"] = float(position) if position % 3 else None
        row["department"] = "desk" if row["touchpoint"] in ("ask", "leave") else "sales"
    until = DAY_ONE + timedelta(hours=draw(st.sampled_from([21, 26, 400])))
    gap = draw(st.sampled_from(["2 hours", "6 hours", "3 days"]))
    return lambda con: materialize(split_journeys(log_of(con, rows, observed_until=until), gap=gap))


def most_frequent(log: Journeys, number: int) -> list[str]:
    """Touchpoints to put into a funnel; the same again where the log has few."""
    counts = cxlib.dropoff(log).sort_values("visits", ascending=False, kind="stable")
    return (counts["touchpoint"].tolist() * number)[:number]


def pair_sums(frame: pd.DataFrame, count: str) -> dict[tuple[str, str], int]:
    return frame.groupby(["from_touchpoint", "to_touchpoint"])[count].sum().to_dict()


# --- moves: summary, transitions, flows, dropoff


def check_moves(log: Journeys) -> None:
    whole = cxlib.summary(log).iloc[0]
    moves = cxlib.transitions(log)
    counts = pair_sums(moves, "count")
    out = moves.groupby("from_touchpoint")["count"].sum()
    into = moves.groupby("to_touchpoint")["count"].sum()
    assert moves["count"].sum() == whole["events"] + whole["journeys"]
    assert out["(start)"] == whole["journeys"] == whole["ended"] + whole["open"]
    assert (into.get("(end)", 0), into.get("(open)", 0)) == (whole["ended"], whole["open"])

    ends = cxlib.dropoff(log).set_index("touchpoint")
    assert ends["visits"].sum() == whole["events"]
    assert ends["expected"].sum() == pytest.approx(ends["ended"].sum())
    for touchpoint, row in ends.iterrows():
        assert out[touchpoint] == into[touchpoint] == row["visits"]
        assert counts.get((touchpoint, "(end)"), 0) == row["ended"]
        assert counts.get((touchpoint, "(open)"), 0) == row["open"]

    links = cxlib.flows(log, steps=ALL, keep=ALL)
    counts = {pair: n for pair, n in counts.items() if pair[0] != "(start)"}
    assert pair_sums(links, "journeys") == counts
    bundled = cxlib.flows(log, steps=ALL, keep=2)
    totals = [frame.groupby("step")["journeys"].sum() for frame in (links, bundled)]
    assert totals[0].tolist() == totals[1].tolist()
    assert totals[0].iloc[0] == whole["journeys"]
    goes_on = links[~links["to_touchpoint"].isin(["(end)", "(open)"])]
    assert goes_on.groupby("step")["journeys"].sum().tolist() == totals[0].iloc[1:].tolist()


# --- places: step matrix, flows, dropoff, summary


def check_places(log: Journeys, anchor: str) -> None:
    whole = cxlib.summary(log).iloc[0]
    matrix = cxlib.step_matrix(log, steps=6, keep=ALL)
    for keep in (ALL, 2):
        frame = cxlib.step_matrix(log, steps=6, keep=keep)
        assert frame.groupby("step")["share"].sum().to_numpy() == pytest.approx(np.ones(6))
        assert (frame.groupby("step")["journeys"].sum() == whole["journeys"]).all()
    over = matrix["touchpoint"].isin(["(end)", "(open)"])
    here = matrix[~over].groupby(["step", "touchpoint"])["journeys"].sum()
    links = cxlib.flows(log, steps=6, keep=ALL)
    leaving = links.groupby(["step", "from_touchpoint"])["journeys"].sum()
    assert here.to_dict() == leaving.to_dict()
    # Who has ended by a step is who moved to the end before it.
    gone = links[links["to_touchpoint"].isin(["(end)", "(open)"])]
    for step in range(1, 7):
        moved = gone.loc[gone["step"] < step, "journeys"].sum()
        assert matrix.loc[over & (matrix["step"] == step), "journeys"].sum() == moved

    last = cxlib.step_matrix(log, steps=1, keep=ALL, align="end")
    ended = cxlib.dropoff(log).set_index("touchpoint")["ended"]
    assert last.set_index("touchpoint")["journeys"].to_dict() == ended[ended > 0].to_dict()

    middle = cxlib.step_matrix(log, around=anchor, before=1, after=1, keep=ALL)
    around = cxlib.flows(log, around=anchor, before=1, after=1, keep=ALL)
    entered = cxlib.funnel(log, [anchor, anchor], count="journeys").iloc[0]
    assert (middle["n"] == entered["reached"]).all()
    assert around.loc[around["step"] == 0, "journeys"].sum() == entered["reached"]
    before = middle[middle["step"] == -1].set_index("touchpoint")["journeys"]
    came = around[around["step"] == -1].set_index("from_touchpoint")["journeys"]
    assert before.to_dict() == came.to_dict()


# --- funnels: entering = converted + dropped + open; the strict ones are transitions


RULES = [
    {},
    {"order": "strict"},
    {"order": "any"},
    {"within": "10 hours"},
    {"within_step": "3 hours", "count": "journeys", "entry": "best", "censoring": "exclude"},
    {"within": "3 hours", "count": "attempts", "censoring": "as_failed"},
]


def check_funnel(log: Journeys, steps: list[str], rules: dict[str, str]) -> None:
    if rules.get("order") == "any" and len(set(steps)) < len(steps):
        rules = {}  # in any order steps must differ
    found = quiet(cxlib.funnel, log, steps, **rules)
    parts = found["reached"] + found["dropped"] + found["open"]
    assert (found["entering"] == parts).all()
    assert found["entering"].iloc[1:].tolist() == found["reached"].iloc[:-1].tolist()
    if (unit := rules.get("count", "customers")) != "attempts":
        assert (found["total"] == cxlib.summary(log)[unit].iloc[0]).all()
    over = quiet(cxlib.funnel, log, steps, over="month", **rules)
    trend = over.groupby("step")[["entering", "reached", "dropped", "open"]].sum()
    assert (trend.to_numpy() == found[trend.columns].to_numpy()).all()


def check_conversions(log: Journeys, pair: list[str]) -> None:
    moves = cxlib.transitions(log).set_index(["from_touchpoint", "to_touchpoint"])
    move = moves.loc[tuple(pair)] if tuple(pair) in moves.index else dict.fromkeys(moves, 0)
    strict = {"order": "strict", "hold": "journey_id"}
    for unit in ("customers", "journeys"):
        best = cxlib.funnel(log, pair, count=unit, entry="best", **strict)
        assert best["reached"].iloc[1] == move[unit]
    if pair[0] != pair[1]:
        tries = cxlib.funnel(log, pair, count="attempts", **strict)
        assert tries["reached"].iloc[1] == move["count"]
    times = cxlib.conversion_times(log, pair)
    assert times["reached"].sum() == cxlib.funnel(log, pair)["reached"].iloc[1]


def quiet(function: Callable[..., pd.DataFrame], *args, **options) -> pd.DataFrame:
    """The result; that a window is longer than the log is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CxWarning)
        return function(*args, **options)


# --- paths: common paths, next steps, subsequences, indicators, stages


def check_paths(log: Journeys, steps: list[str]) -> None:
    whole = cxlib.summary(log).iloc[0]
    paths = cxlib.common_paths(log, steps=ALL, top=ALL)
    assert paths["journeys"].sum() == whole["journeys"]
    assert paths["open"].sum() == whole["open"]
    assert paths["coverage"].iloc[-1] == pytest.approx(1)

    moves = cxlib.transitions(log)
    counts = pair_sums(moves, "count")
    journeys = pair_sums(moves, "journeys")
    bets = cxlib.next_steps(log, order=1, top=ALL, min_n=1)
    for row in bets.itertuples():
        assert counts[row.context, row.next_touchpoint] == row.count
        assert counts.get((row.context, "(open)"), 0) == row.open
    pairs = cxlib.subsequences(log, length=2, min_share=1e-9, top=ALL)
    found = {row.touchpoints: row.journeys for row in pairs.itertuples()}
    nodes = ("(start)", "(end)", "(open)")
    assert found == {pair: n for pair, n in journeys.items() if not set(pair) & set(nodes)}

    indicators = cxlib.sequence_indicators(log)
    assert (indicators["journeys"] == whole["journeys"]).all()
    assert cxlib.planned_vs_actual(log, plan_of(steps))["n"].iloc[0] == whole["journeys"]
    stays = cxlib.stage_times(log, plan_of(steps))
    assert (stays["n"] == stays["left"] + stays["ended"] + stays["open"]).all()
    stages = cxlib.stage_transitions(log, plan_of(steps))
    into = stages.groupby("to_stage")["count"].sum()
    out = stages.groupby("from_stage")["count"].sum()
    for row in stays.itertuples():
        assert into.get(row.stage, 0) == out.get(row.stage, 0) == row.n
    assert out["(start)"] == into.get("(end)", 0) + into.get("(open)", 0)


# --- customers: retention, lifecycle, stickiness, reentry


def check_customers(log: Journeys) -> None:
    whole = cxlib.summary(log).iloc[0]
    cohorts = cxlib.retention(log, **EVER)
    start = cohorts[cohorts["period"] == 0].set_index("cohort")
    assert start["n"].sum() == start["customers"].sum() == whole["customers"]
    assert cohorts["events"].sum() == whole["events"]
    value = log.events.value.sum().to_pandas()
    assert cohorts["value"].sum() == pytest.approx(0.0 if pd.isna(value) else value)

    life = cxlib.lifecycle(log, period="year").set_index("period")
    new = life["new"][life["new"] > 0]
    assert new.to_dict() == start["n"].to_dict()
    year = cohorts["cohort"].dt.year + cohorts["period"]
    active = cohorts.groupby(year)["customers"].sum()
    assert {moment.year: n for moment, n in life["active"].items()} == active.to_dict()
    recurring = cxlib.retention(log, cohorts="recurring", **EVER)
    again = recurring[recurring["period"] == 0].set_index("cohort")["n"]
    assert again.to_dict() == life["active"][life["active"] > 0].to_dict()

    periods = cxlib.stickiness(log, period="year")
    assert periods["customers"].sum() == whole["customers"]
    assert (periods["active_periods"] * periods["customers"]).sum() == life["active"].sum()

    seen = log.observed_until - timedelta(hours=6)
    journeys = log.journeys.filter(~log.journeys.is_open & (log.journeys.ended_at <= seen))
    back = cxlib.reentry(log, within="6 hours")
    assert back["journeys"].sum() == journeys.count().to_pandas()
    n = back.drop_duplicates("from_touchpoint")["n"].sum() if len(back) else 0
    assert n == back["journeys"].sum()
    shares = back.groupby("from_touchpoint")["share"].sum()
    assert shares.to_numpy() == pytest.approx(np.ones(len(shares)))


# --- groups: parts add up to the whole


@dataclass(frozen=True)
class Parts:
    """A measure, the columns that name its rows, and those whose parts add up."""

    measure: Callable[..., pd.DataFrame]
    keys: tuple[str, ...]
    counts: tuple[str, ...]


NEED_DEPARTMENTS = ("handoffs", "handoffs_per_journey", "ping_pong")
MOVE = ("from_touchpoint", "to_touchpoint")
STATES = ("active", "new", "returning", "resurrected", "dormant")
PARTS = {
    "summary": Parts(
        lambda log, _, **by: cxlib.summary(log, **by),
        (),
        ("journeys", "events", "ended", "open"),
    ),
    "transitions": Parts(lambda log, _, **by: cxlib.transitions(log, **by), MOVE, ("count",)),
    "flows": Parts(
        lambda log, _, **by: cxlib.flows(log, keep=2, **by), ("step", *MOVE), ("journeys",)
    ),
    "step_matrix": Parts(
        lambda log, _, **by: cxlib.step_matrix(log, keep=2, **by),
        ("step", "touchpoint"),
        ("journeys",),
    ),
    "dropoff": Parts(
        lambda log, _, **by: cxlib.dropoff(log, **by),
        ("touchpoint",),
        ("visits", "ended", "open", "n", "expected"),
    ),
    "funnel": Parts(
        lambda log, steps, **by: quiet(cxlib.funnel, log, steps, within="3 hours", **by),
        ("step", "touchpoint"),
        ("total", "entering", "reached", "dropped", "open"),
    ),
    "conversion_times": Parts(
        lambda log, steps, **by: cxlib.conversion_times(log, steps, **by), (), ("reached",)
    ),
    "retention": Parts(
        lambda log, _, **by: cxlib.retention(log, **EVER, **by),
        ("cohort", "period"),
        ("n", "customers", "events", "value"),
    ),
    "lifecycle": Parts(lambda log, _, **by: cxlib.lifecycle(log, **by), ("period",), STATES),
    "stickiness": Parts(
        lambda log, _, **by: cxlib.stickiness(log, **by), ("active_periods",), ("customers",)
    ),
    "abandonment": Parts(
        lambda log, _, **by: cxlib.abandonment(log, **by), ("touchpoint",), ("n", "ended")
    ),
    "common_paths": Parts(
        lambda log, _, **by: cxlib.common_paths(log, top=ALL, **by),
        ("path", "continues"),
        ("journeys", "open"),
    ),
    "escalation": Parts(
        lambda log, steps, **by: cxlib.escalation(
            log, self_service=steps[0], human=steps[1], within="3 hours", **by
        ),
        ("result",),
        ("attempts", "n", "open"),
    ),
    "handoffs": Parts(
        lambda log, _, **by: cxlib.handoffs(log, **by),
        ("from_department", "to_department"),
        ("handoffs", "returned", "handed_on", "ended", "open", "n"),
    ),
    "handoffs_per_journey": Parts(
        lambda log, _, **by: cxlib.handoffs_per_journey(log, **by),
        ("handoffs",),
        ("journeys", "open"),
    ),
    "next_steps": Parts(
        lambda log, _, **by: cxlib.next_steps(log, order=1, top=ALL, min_n=1, **by),
        ("context", "next_touchpoint"),
        ("count",),
    ),
    "ping_pong": Parts(
        lambda log, _, **by: cxlib.ping_pong(log, **by),
        ("from_department", "to_department"),
        ("n", "returned"),
    ),
    "plan_deviations": Parts(
        lambda log, steps, **by: cxlib.plan_deviations(log, plan_of(steps), **by),
        ("kind", "touchpoint"),
        ("journeys",),
    ),
    "planned_vs_actual": Parts(
        lambda log, steps, **by: cxlib.planned_vs_actual(log, plan_of(steps), **by),
        (),
        ("n", "open", "as_planned"),
    ),
    "repeat_contact": Parts(
        lambda log, steps, **by: cxlib.repeat_contact(
            log, contacts=steps[0], within="3 hours", **by
        ),
        ("reason",),
        ("contacts", "open", "n", "repeats"),
    ),
    "sequence_indicators": Parts(
        lambda log, _, **by: cxlib.sequence_indicators(log, **by),
        ("indicator",),
        ("journeys", "open", "n"),
    ),
    "stage_times": Parts(
        lambda log, steps, **by: cxlib.stage_times(log, plan_of(steps), **by),
        ("stage",),
        ("n", "left", "ended", "open"),
    ),
    "stage_transitions": Parts(
        lambda log, steps, **by: cxlib.stage_transitions(log, plan_of(steps), **by),
        ("from_stage", "to_stage"),
        ("count",),
    ),
    "subsequences": Parts(
        lambda log, _, **by: cxlib.subsequences(log, length=2, min_share=1e-9, top=ALL, **by),
        ("sequence",),
        ("journeys", "occurrences"),
    ),
    "reentry": Parts(
        lambda log, _, **by: cxlib.reentry(log, within="6 hours", **by), MOVE, ("journeys",)
    ),
}


def plan_of(steps: list[str]) -> JourneyMap:
    stages = [{"stage": f"stage of {name}", "steps": [name]} for name in dict.fromkeys(steps)]
    return JourneyMap(name="plan", stages=stages)


def check_parts(log: Journeys, steps: list[str], by: str, name: str) -> None:
    parts = PARTS[name]
    whole, apart = parts.measure(log, steps), parts.measure(log, steps, by=by)
    keys, counts = list(parts.keys), list(parts.counts)
    if not keys:
        assert apart[counts].sum().tolist() == whole[counts].sum().tolist()
        return
    sums = apart.groupby(keys)[counts].sum()
    want = whole.set_index(keys)[counts].sort_index()
    pd.testing.assert_frame_equal(sums, want, check_dtype=False)


# --- the tests


@few_examples
@given(make=random_logs())
def test_moves_and_places_reconcile(con, make):
    log = make(con)
    check_moves(log)
    check_places(log, log.events.touchpoint.min().to_pandas())


@few_examples
@given(make=random_logs())
def test_paths_and_stages_are_those_of_the_moves(con, make):
    log = make(con)
    check_paths(log, most_frequent(log, 2))


@few_examples
@given(make=random_logs(), rules=st.sampled_from(RULES))
def test_those_who_enter_a_step_convert_drop_out_or_are_open(con, make, rules):
    log = make(con)
    check_funnel(log, most_frequent(log, 3), rules)


@few_examples
@given(make=random_logs())
def test_conversions_are_transitions_where_the_steps_follow_at_once(con, make):
    log = make(con)
    check_conversions(log, most_frequent(log, 2))


@few_examples
@given(make=random_logs())
def test_customers_are_the_same_in_every_measure(con, make):
    check_customers(make(con))


@few_examples
@given(make=random_logs(), name=st.sampled_from(sorted(PARTS)))
def test_groups_add_up_to_the_whole(con, make, name):
    log = make(con)
    check_parts(log, most_frequent(log, 2), "channel", name)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_groups_add_up_to_the_whole_by_hand(con, name):
    rows = rows_of({"a": "visit@0 buy@1", "b": "visit@1 visit@2 buy@9"}, channel="web")
    rows += rows_of({"c": "buy@0 visit@4 buy@5"}, channel=None)
    rows[1]["channel"] = "app"
    for row in rows:
        row["department"] = "desk" if row["touchpoint"] == "visit" else "sales"
    log = log_of(con, rows, observed_until=DAY_ONE + timedelta(hours=10))
    check_parts(split_journeys(log, gap="3 hours"), ["visit", "buy"], "channel", name)


@pytest.mark.parametrize("name", GROUPS)
def test_measures_reconcile_on_real_logs(name, request):
    if name == "demo":
        log = load_journeys(open_store(request.getfixturevalue("demo_workspace")))
    else:
        log = example_log(name, request.getfixturevalue("shared"))
    steps = most_frequent(log, 3)
    check_moves(log)
    check_places(log, steps[0])
    # Two kinds of funnel on each log, so that each kind meets two logs.
    for rules in RULES[list(GROUPS).index(name) % 3 :: 3]:
        check_funnel(log, steps, rules)
    check_conversions(log, steps[:2])
    check_paths(log, steps)
    check_customers(log)
    served = not log.events.department.isnull().all().to_pandas()
    # Each meets two logs, as there are six.
    for measure in sorted(PARTS)[list(GROUPS).index(name) % 3 :: 3]:
        if served or measure not in NEED_DEPARTMENTS:
            check_parts(log, steps, GROUPS[name], measure)


def test_every_measure_that_takes_groups_is_held_to_its_parts_and_to_bad_input():
    nouns = {
        name
        for name, home in cxlib._HOME.items()
        if home.startswith("cxlib.journeys.")
        and inspect.isfunction(getattr(cxlib, name))
        and "by" in inspect.signature(getattr(cxlib, name)).parameters
    }
    assert nouns == set(PARTS) == set(NOUNS)

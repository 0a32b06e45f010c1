"""Time per stage and moves between stages."""

import math
from itertools import groupby

import pytest
from hypothesis import assume, given
from lifelines import KaplanMeierFitter

from cxlib import keep_events, stage_times, stage_transitions
from cxlib.errors import CxError, CxWarning
from cxlib.journeys.maps import JourneyMap
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

ORDER = ["choose", "buy", "use"]
STAGE = {"visit": "choose", "ask": "choose", "buy": "buy", "leave": "use"}


def staged(rows):
    rows = rows_of(rows) if isinstance(rows, dict) else rows
    return [{**row, "stage": STAGE.get(row["touchpoint"])} for row in rows]


# "note" is in no stage. Hour 1400 is within seven days of the end of the records (hour 1440).
TINY = {
    "a": "visit@0 ask@2 buy@10 leave@11 leave@15",
    "b": "visit@0 note@5 visit@6 leave@20 visit@30 note@31",
    "c": "buy@1400",
}


def test_a_stay_lasts_until_the_first_event_of_another_stage(con):
    found = stage_times(log_of(con, staged(TINY)), ORDER).set_index("stage")
    # choose: 10 (a), 20 (b), and b's last stay to its journey's last event, an hour later.
    assert found.loc["choose", ["n", "left", "ended", "open"]].tolist() == [3, 2, 1, 0]
    assert found.loc["choose", "median_hours"] == 10
    assert found.loc["choose", "p90_hours"] == 20
    # buy: an hour (a), and one that goes on since 40 hours.
    assert found.loc["buy", ["n", "left", "ended", "open"]].tolist() == [2, 1, 0, 1]
    assert found.loc["buy", "median_hours"] == 1
    assert math.isnan(found.loc["buy", "p90_hours"])
    assert found.loc["use", "median_hours"] == 4
    assert found["target_hours"].isna().all()


def test_a_map_gives_stages_and_targets(con):
    plan = JourneyMap(
        name="x",
        stages=[
            {"stage": "first", "steps": ["visit"], "target_time": "12 hours"},
            {"stage": "then", "steps": ["leave", "buy"], "target_time": "60 days"},
        ],
    )
    found = stage_times(log_of(con, staged(TINY)), plan).set_index("stage")
    assert found.loc["first", ["n", "target_hours"]].tolist() == [3, 12]
    # Stays of 10, 20 and 1 hours: two of three within 12 hours.
    assert found.loc["first", "within_target"] == pytest.approx(2 / 3)
    assert found.loc["first", "lower"] < 2 / 3 < found.loc["first", "upper"]
    # Nobody who stayed was watched for 60 days.
    assert math.isnan(found.loc["then", "within_target"])


def test_quantiles_and_targets_are_those_of_lifelines(con):
    # 17 stays of 1, 2, … hours, and 8 that go on since 40 to 47 hours.
    rows = {f"l{n:02}": f"visit@0 buy@{n}" for n in range(30, 47)}
    rows |= {f"o{n:02}": f"visit@{1440 - n}" for n in range(40, 48)}
    plan = JourneyMap(
        name="x",
        stages=[
            {"stage": "first", "steps": ["visit"], "target_time": "42 hours"},
            {"stage": "then", "steps": ["buy"]},
        ],
    )
    found = stage_times(log_of(con, rows), plan).iloc[0]
    times = [*range(30, 47), *range(40, 48)]
    fitter = KaplanMeierFitter().fit(times, [1] * 17 + [0] * 8)
    assert found["median_hours"] == fitter.median_survival_time_
    assert found["within_target"] == pytest.approx(1 - fitter.predict(42))
    interval = fitter.confidence_interval_survival_function_.loc[42]
    assert found["lower"] == pytest.approx(1 - interval.iloc[1])
    assert found["upper"] == pytest.approx(1 - interval.iloc[0])


def test_moves_say_their_direction_and_what_they_skip(con):
    found = stage_transitions(log_of(con, staged(TINY)), ORDER)
    rows = [tuple(row) for row in found[[*found.columns[:6], "median_hours"]].fillna(-1).to_numpy()]
    assert rows == [
        ("(start)", "choose", "start", "", 2, 3, -1),
        ("(start)", "buy", "start", "choose", 1, 3, -1),
        ("choose", "buy", "forward", "", 1, 3, 10),
        ("choose", "use", "skip", "buy", 1, 3, 20),
        ("choose", "(end)", "end", "", 1, 3, 1),
        ("buy", "use", "forward", "", 1, 2, 1),
        ("buy", "(open)", "open", "", 1, 2, -1),
        ("use", "choose", "backward", "", 1, 2, 10),
        ("use", "(end)", "end", "", 1, 2, 4),
    ]
    assert found["probability"].iloc[2] == pytest.approx(1 / 3)
    assert (found["lower"] < found["probability"]).all()


def test_stages_can_be_counted_by_a_group(con):
    rows = [{**row, "channel": "web" if row["step"] else None} for row in with_step(staged(TINY))]
    found = stage_times(log_of(con, rows), ORDER, by="channel")
    assert found["channel"].tolist()[:2] == ["(none)", "(none)"]
    assert found["n"].sum() == stage_times(log_of(con, rows), ORDER)["n"].sum()


def with_step(rows):
    return [{**row, "step": number % 2} for number, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (["chose", "by"], "no stage 'chose' in the log; did you mean 'choose'"),
        ([], "give each stage once, in order"),
        (["buy", "buy"], "give each stage once, in order"),
        (
            JourneyMap(name="other", stages=[{"stage": "s", "steps": ["danced"]}]),
            "no event of the log has a touchpoint of the journey map 'other'",
        ),
    ],
)
def test_stages_that_the_log_does_not_have_are_refused(con, stages, message):
    with pytest.raises(CxError, match=message):
        stage_times(log_of(con, staged(TINY)), stages)


def test_a_stage_that_nobody_was_in_is_told(con):
    with pytest.warns(CxWarning, match="there is no stage 'by' in the log; did you mean 'buy'"):
        found = stage_times(log_of(con, staged(TINY)), ["choose", "by"])
    assert found["stage"].tolist() == ["choose"]


def test_a_log_without_stages_says_so(con):
    with pytest.raises(CxError, match="no stage 'choose' in the log; there are none"):
        stage_times(log_of(con, {"a": "visit"}), ORDER)


def test_a_log_without_events_gives_no_row(con):
    empty = keep_events(log_of(con, staged(TINY)), where={"customer_id": "nobody"})
    assert stage_times(empty, ORDER, by="channel").empty
    assert stage_transitions(empty, ORDER).empty


@few_examples
@given(rows=random_rows())
def test_moves_are_those_counted_by_hand_and_add_up(con, rows):
    rows = staged(rows)
    assume({row["stage"] for row in rows} >= set(ORDER))
    log = log_of(con, rows)
    moves = stage_transitions(log, ORDER)
    by_hand = {}
    for path in paths_by_hand(rows).values():
        runs = [stage for stage, _ in groupby(row["stage"] for row in path)]
        for pair in zip(["(start)", *runs], [*runs, "(end)"], strict=True):
            by_hand[pair] = by_hand.get(pair, 0) + 1
    found = zip(moves["from_stage"], moves["to_stage"], moves["count"], strict=True)
    assert {(start, end): n for start, end, n in found} == by_hand
    times = stage_times(log, ORDER)
    out = moves[moves["from_stage"] != "(start)"].groupby("from_stage")["count"].sum()
    assert dict(zip(times["stage"], times["n"], strict=True)) == out.to_dict()
    assert (times["n"] == times["left"] + times["ended"] + times["open"]).all()
